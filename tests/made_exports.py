"""Made survey exports in the layouts of six tools, each column with the role that it has. Nothing in them is anybody's answer."""

import csv
import datetime as dt
import io
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from tests import made_files

VENDORS = ("microsoft_forms", "google_forms", "surveymonkey", "qualtrics", "citizen_space", "smartsurvey")


@dataclass
class Column:
    """One column of an export: header cells, cells, and its role; `order` holds a scale's points, least first."""

    name: str
    role: str
    cells: list[object]
    question: str | None = None
    option: str | None = None
    order: tuple[str, ...] = ()
    is_question: bool = True
    sub: str = ""


@dataclass
class Export:
    name: str
    data: bytes
    columns: list[Column] = field(default_factory=list)


OPEN = (
    "What worries you most about crime where you live?", "Is there anything else you would like to tell us?", "Please explain your answer",
    "What one change would make you feel safer after dark?", "Which places do you avoid, and why?", "If you disagree, please say why",
    "Any other comments", "How has antisocial behaviour affected you or your family?", "Tell us about the last time you reported something",
    "What should the partnership do first?", "Describe an incident that you have seen in the past year", "Your ideas for the park",
    "What, if anything, has got better?", "What do you think of our proposal for the town centre?", "Reason for your rating", "Concerns",
)  # fmt: skip
SINGLE = (
    ("Have you been a victim of crime in the last 12 months?", ("Yes", "No")), ("Did you report it to the police?", ("Yes", "No", "Can't remember")),
    ("What is the single biggest issue in your street?", ("Drug dealing", "Speeding and dangerous driving", "Fly-tipping", "Noise from neighbours")),
    ("How did you hear about this survey?", ("Social media", "Letter through the door", "Word of mouth", "At the library", "Council website")),
    ("Which option do you prefer?", ("Option A: wardens", "Option B: cameras", "Option C: neither")), ("When do you feel least safe?", ("Mornings", "Afternoons", "Evenings", "After midnight")),
    ("Do you support the alley gates?", ("Yes", "No", "Don't know")), ("Would you join a neighbourhood watch?", ("Yes", "No", "Already a member")),
    ("How do you usually travel to the town centre?", ("On foot", "Bus", "Car", "Bicycle", "Taxi")),
)  # fmt: skip
MULTI = (
    ("Which of these have you seen in the past month?", ("Graffiti", "Drug dealing", "Vandalism", "Street drinking", "Off-road bikes", "Begging")),
    ("What should our priorities be? Tick up to three", ("More officers on foot", "Better lighting", "CCTV", "Youth clubs", "Help for victims", "Cleaner streets")),
    ("Where do you feel unsafe? (select all that apply)", ("Bus station", "Parks", "Car parks", "High Street", "My own street", "Underpasses")),
    ("Who have you contacted about it?", ("Police", "Council", "Housing association", "Local councillor", "Nobody")),
    ("How would you like to hear from us?", ("Newsletter", "E-mail", "Text message", "Facebook", "Public meetings")),
)  # fmt: skip
SCALES = (
    ("Strongly disagree", "Disagree", "Neither agree nor disagree", "Agree", "Strongly agree"), ("Very unsafe", "Fairly unsafe", "Neither safe nor unsafe", "Fairly safe", "Very safe"),
    ("Very dissatisfied", "Dissatisfied", "Neutral", "Satisfied", "Very satisfied"), ("Not at all concerned", "Slightly concerned", "Moderately concerned", "Very concerned", "Extremely concerned"),
    ("Never", "Rarely", "Sometimes", "Often", "Always"), ("Very poor", "Poor", "Fair", "Good", "Very good"), ("1", "2", "3", "4", "5"),
    ("Strongly oppose", "Oppose", "Neither support nor oppose", "Support", "Strongly support"), ("Got much worse", "Got a little worse", "Stayed the same", "Got a little better", "Got much better"),
    ("Not a problem at all", "Not a very big problem", "A fairly big problem", "A very big problem"), ("Less than once a month", "Once a month", "Once a week", "Most days", "Every day"),
    ("Not at all", "A little", "Quite a lot", "A great deal"), ("Very unlikely", "Fairly unlikely", "Fairly likely", "Very likely"),
)  # fmt: skip
SCALED = (
    "How safe do you feel in your area during the day?", "How satisfied are you with local policing?", "Litter and rubbish", "I know who my local officer is", "How good is the lighting in your street?",
    "The council listens to residents", "How likely are you to report a crime?", "How often do you use the park?", "Overall rating", "Compared with last year, crime here has", "Off-road motorbikes",
    "Young people hanging around", "The police can be relied on when needed", "How far do you support a 20 mph limit?",
)  # fmt: skip
GRIDS = (
    ("How much of a problem is each of these?", ("Speeding", "Burglary", "Knife crime", "Noisy neighbours"), 9),
    ("How far do you agree with each statement?", ("I trust the police", "People here look out for each other", "My street is well lit"), 0),
    ("How safe do you feel in these places?", ("At home", "In the park", "On the bus", "In the town centre at night"), 1),
)  # fmt: skip
ABOUT = (
    ("What is your age group?", ("Under 16", "16-24", "25-44", "45-64", "65+")), ("Age", ("18 to 24", "25 to 34", "35 to 54", "55 to 74", "75 or over")), ("How old are you?", ("Under 25", "25 - 49", "50 - 74", "75 and over", "Prefer not to say")),
    ("What is your gender?", ("Female", "Male", "Non-binary", "Prefer not to say")), ("Which ward do you live in?", ("Abbey", "Castle", "Northgate", "Riverside", "Southfields")), ("Ward", ("Elm", "Oak", "Ash", "Holly")),
    ("Do you consider yourself to be disabled?", ("Yes", "No", "Prefer not to say")), ("What is your ethnic group?", ("White British", "Asian or Asian British", "Black or Black British", "Mixed", "Other")),
    ("In what capacity are you responding?", ("Resident", "Business owner", "Councillor", "Visitor")), ("Are you responding as an individual or on behalf of an organisation?", ("Individual", "Organisation")),
    ("First half of your postcode", ("AB1", "AB2", "AB3", "AB10")), ("How long have you lived in the borough?", ("Less than a year", "1 to 5 years", "6 to 10 years", "More than 10 years")),
    ("What is your religion or belief?", ("None", "Christian", "Muslim", "Hindu", "Prefer not to say")), ("Housing tenure", ("Owner", "Private rent", "Social rent")), ("Which part of the borough do you live in?", ("North", "South", "East", "West")),
    ("What is your employment status?", ("Employed", "Retired", "Student", "Not working")), ("Sexual orientation", ("Heterosexual", "Gay or lesbian", "Bisexual", "Prefer not to say")), ("Are you a carer?", ("Yes", "No")),
)  # fmt: skip
_WHO = (
    "Kids on scooters",
    "The dealers",
    "Drivers",
    "My neighbours",
    "People drinking",
    "Nobody from the council",
    "Groups of lads",
    "The shop owner",
    "Two men in a van",
    "Dog walkers",
)
_DOES = (
    "shout",
    "race past",
    "leave rubbish",
    "sell openly",
    "block the path",
    "wake us up",
    "ignore us",
    "park on the pavement",
    "smash bottles",
    "make it hard to walk home",
)
_WHERE = (
    "by the flats",
    "outside the school",
    "near the bus stop",
    "in the underpass",
    "on the green",
    "along the canal",
    "at the back of the shops",
    "in our cul-de-sac",
)
_WHEN = (
    "every night",
    "most weekends",
    "after dark",
    "when the pubs close",
    "all summer long",
    "and nobody comes",
    "so I stay in",
    "and the lights are out",
    "which scares my mum",
    "since the youth club shut",
)


def sentence(rng: random.Random) -> str:
    if rng.random() < 0.12:
        return rng.choice(("No", "None", "N/A", "Nothing", "See above", "More police", "Not sure really", "no comment"))
    parts = [
        f"{rng.choice(_WHO)} {rng.choice(_DOES)} {rng.choice(_WHERE)} {rng.choice(_WHEN)}"
        for _ in range(rng.choice((1, 1, 2, 3)))
    ]
    return rng.choice((". ", ", ", "\n", " - ")).join(parts) + rng.choice(("", ".", "!!"))


class Maker:
    """Draws a questionnaire and answers to it."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.n = self.rng.choice((30, 45, 80, 150, 300))

    def cells(self, draw: Callable[[], object], blank: float | None = None) -> list[object]:
        share = self.rng.choice((0.0, 0.05, 0.2, 0.4)) if blank is None else blank
        return ["" if self.rng.random() < share else draw() for _ in range(self.n)]

    def choice(self, options: tuple[str, ...]) -> Callable[[], object]:
        weights = [self.rng.uniform(0.5, 3) for _ in options]
        return lambda: self.rng.choices(options, weights)[0]

    def some(self, options: tuple[str, ...]) -> list[list[str]]:
        return [
            [] if self.rng.random() < 0.15 else [o for o in options if self.rng.random() < 0.4] for _ in range(self.n)
        ]

    def dates(self, form: str) -> list[object]:
        start = dt.datetime(2026, 3, 1, 9, 0, tzinfo=dt.UTC)
        stamps = [start + dt.timedelta(minutes=self.rng.randrange(40_000)) for _ in range(self.n)]
        if form == "stamp":
            return [s.replace(tzinfo=None) for s in stamps]
        return [s.strftime(form) for s in stamps]

    def questions(self, ticks: bool, joiner: str, grid: str) -> list[Column]:
        """Return the columns of a questionnaire; `ticks` gives a column to each option, `joiner` joins them in one otherwise."""
        rng = self.rng
        found: list[Column] = []
        opens = rng.sample(OPEN, rng.choice((1, 2, 2, 3)))
        found += [Column(o, "open", self.cells(lambda: sentence(rng)), sub="Open-Ended Response") for o in opens]
        for name, options in rng.sample(SINGLE, rng.choice((1, 2, 3))):
            found.append(Column(name, "single", self.cells(self.choice(options)), sub="Response"))
        for name in rng.sample(SCALED, rng.choice((1, 2, 3))):
            points = rng.choice(SCALES)
            drawn = (*points, "Don't know") if rng.random() < 0.3 and points[0] != "1" else points
            found.append(Column(name, "scale", self.cells(self.choice(drawn)), order=points, sub="Response"))
        for name, options in rng.sample(MULTI, rng.choice((1, 2))):
            chosen = self.some(options)
            if ticks:
                found.extend(
                    Column(f"{name} - {o}", "tick", [o if o in mine else "" for mine in chosen], name, o, sub=o)
                    for o in options
                )
                if rng.random() < 0.5:
                    other = Column(
                        f"{name} - Other (please specify)",
                        "open",
                        self.cells(lambda: sentence(rng), 0.8),
                        name,
                        "Other (please specify)",
                        sub="Other (please specify)",
                    )
                    found.append(other)
            else:
                end = ";" if joiner == ";" else ""
                found.append(Column(name, "multi", [joiner.join(mine) + (end if mine else "") for mine in chosen]))
        name, statements, scale = rng.choice(GRIDS)
        found.extend(
            Column(
                grid.format(q=name, s=s), "scale", self.cells(self.choice(SCALES[scale])), name, s, SCALES[scale], sub=s
            )
            for s in statements
        )
        rng.shuffle(found) if not ticks else None
        for name, options in rng.sample(ABOUT, rng.choice((2, 3, 4))):
            found.append(Column(name, "demographic", self.cells(self.choice(options)), sub="Response"))
        return found


def told(name: str, role: str, cells: list[object]) -> Column:
    return Column(name, role, cells, is_question=False)


def make_export(vendor: str, seed: int) -> Export:
    """Return an export in a tool's layout."""
    maker = Maker(seed)
    made: Export = _MAKERS[vendor](maker, seed)
    return made


def _microsoft(m: Maker, seed: int) -> Export:
    columns = [
        told("ID" if seed % 2 else "Id", "id", list(range(1, m.n + 1))), told("Start time", "date", m.dates("stamp")), told("Completion time", "date", m.dates("stamp")),
        told("Email", "ignore", ["anonymous"] * m.n), told("Name", "ignore", [""] * m.n), *m.questions(ticks=False, joiner=";", grid="{s}"),
    ]  # fmt: skip
    return Export(f"forms{seed}.xlsx", made_files.xlsx(_one_row(columns)), columns)


def _google(m: Maker, seed: int) -> Export:
    columns = [
        told("Timestamp", "date", m.dates("%Y/%m/%d %-I:%M:%S %p GMT")),
        *m.questions(ticks=False, joiner=";" if seed % 3 == 0 else ", ", grid="{q} [{s}]"),
    ]
    if seed % 2:
        columns.insert(1, told("Email Address", "ignore", [f"p{i}@example.org" for i in range(m.n)]))
    for c in columns:  # Google joins without a mark at the end
        c.cells = [v[:-1] if c.role == "multi" and isinstance(v, str) and v.endswith(";") else v for v in c.cells]
    return Export(f"google{seed}.csv", _csv(_one_row(columns)), columns)


def _monkey(m: Maker, seed: int) -> Export:
    start = m.rng.randrange(10**10, 10**11)
    columns = [
        told("Respondent ID", "id", [start + i * 37 for i in range(m.n)]), told("Collector ID", "ignore", [400123] * m.n), told("Start Date", "date", m.dates("%m/%d/%Y %I:%M:%S %p")),
        told("End Date", "date", m.dates("%m/%d/%Y %I:%M:%S %p")), told("IP Address", "ignore", [f"10.0.{i % 250}.{i % 99}" for i in range(m.n)]), told("Email Address", "ignore", [""] * m.n),
        told("First Name", "ignore", [""] * m.n), told("Last Name", "ignore", [""] * m.n), told("Custom Data 1", "ignore", [""] * m.n), *m.questions(ticks=True, joiner="", grid="{q} - {s}"),
    ]  # fmt: skip
    rows = _two_rows(columns)
    if seed % 3 == 0:
        return Export(f"monkey{seed}.xls", made_files.xls(rows), columns)
    return (
        Export(f"monkey{seed}.csv", _csv(rows), columns)
        if seed % 3 == 1
        else Export(f"monkey{seed}.xlsx", made_files.xlsx(rows), columns)
    )


def _smart(m: Maker, seed: int) -> Export:
    columns = [
        told("UserNo", "id", list(range(1, m.n + 1))), told("Name", "ignore", [""] * m.n), told("Email", "ignore", [""] * m.n), told("IP Address", "ignore", [f"10.1.{i % 250}.7" for i in range(m.n)]),
        told("Unique ID", "ignore", [""] * m.n), told("Started", "date", m.dates("%d/%m/%Y %H:%M")), told("Ended", "date", m.dates("%d/%m/%Y %H:%M")), told("Tracking Link", "ignore", ["Website"] * m.n),
        *m.questions(ticks=True, joiner="", grid="{q} - {s}"),
    ]  # fmt: skip
    for i, c in enumerate((c for c in columns if c.question is None and c.is_question), 1):
        c.name = f"Q{i}. {c.name}"
    rows = _two_rows(columns, blank_sub=True)
    return (
        Export(f"smart{seed}.csv", _csv(rows), columns)
        if seed % 2
        else Export(f"smart{seed}.xlsx", made_files.xlsx(rows), columns)
    )


def _citizen(m: Maker, seed: int) -> Export:
    columns = [
        told("Response ID", "id", [f"ANON-{chr(65 + i % 26)}{i:03d}-ZX{i % 7}P-{i % 9}" for i in range(m.n)]), told("Date Submitted", "date", m.dates("%Y-%m-%d %H:%M:%S")),
        *m.questions(ticks=True, joiner="", grid="{q} - {s}"),
    ]  # fmt: skip
    if seed % 2:
        columns.insert(2, told("What is your name?", "ignore", [f"Person {chr(65 + i % 26)} Q{i}" for i in range(m.n)]))
        columns.insert(
            3, told("What is your email address?", "ignore", [f"q{i}@example.org" if i % 3 else "" for i in range(m.n)])
        )
    rows = _one_row(columns)
    return (
        Export(f"citizen{seed}.csv", _csv(rows, "cp1252"), columns)
        if seed % 2
        else Export(f"citizen{seed}.xlsx", made_files.xlsx(rows), columns)
    )


def _qualtrics(m: Maker, seed: int) -> Export:
    fields = (
        ("StartDate", "Start Date", "date", m.dates("%Y-%m-%d %H:%M:%S")), ("EndDate", "End Date", "date", m.dates("%Y-%m-%d %H:%M:%S")), ("Status", "Response Type", "ignore", ["IP Address"] * m.n),
        ("IPAddress", "IP Address", "ignore", [f"10.2.{i % 250}.9" for i in range(m.n)]), ("Progress", "Progress", "ignore", [100] * m.n), ("Duration (in seconds)", "Duration (in seconds)", "ignore", [60 + i * 7 % 900 for i in range(m.n)]),
        ("Finished", "Finished", "ignore", ["True"] * m.n), ("RecordedDate", "Recorded Date", "date", m.dates("%Y-%m-%d %H:%M:%S")), ("ResponseId", "Response ID", "id", [f"R_{i * 7919:x}aQ" for i in range(m.n)]),
        ("RecipientLastName", "Recipient Last Name", "ignore", [""] * m.n), ("LocationLatitude", "Location Latitude", "ignore", [f"51.{i % 97}" for i in range(m.n)]),
        ("DistributionChannel", "Distribution Channel", "ignore", ["anonymous"] * m.n), ("UserLanguage", "User Language", "ignore", ["EN"] * m.n),
    )  # fmt: skip
    columns = [told(text, role, cells) for _, text, role, cells in fields]
    names = [name for name, *_ in fields]
    ticks = seed % 2 == 0
    questions = m.questions(ticks=ticks, joiner=",", grid="{q} - {s}")
    numbers: dict[str, int] = {}
    for c in questions:
        key = c.question or c.name
        numbers.setdefault(key, len(numbers) + 1)
        n = sum(q.question == c.question for q in questions[: questions.index(c)]) + 1
        names.append(
            f"Q{numbers[key]}" + (f"_{n}" if c.question else "") + ("_TEXT" if c.sub.startswith("Other") else "")
        )
    columns += questions
    ids = [json.dumps({"ImportId": f"QID{i}"}, separators=(",", ":")) for i in range(len(columns))]
    rows = [
        names,
        [c.name.replace(" - ", " - Selected Choice - ", 1) if c.role == "tick" else c.name for c in columns],
        ids,
        *zip(*(c.cells for c in columns), strict=True),
    ]
    return (
        Export(f"qualtrics{seed}.csv", _csv(rows), columns)
        if seed % 3
        else Export(f"qualtrics{seed}.tsv", _csv(rows, "utf-16", "\t"), columns)
    )


def _one_row(columns: list[Column]) -> list[list[object]]:
    return [[c.name for c in columns], *[list(row) for row in zip(*(c.cells for c in columns), strict=True)]]


def _two_rows(columns: list[Column], *, blank_sub: bool = False) -> list[list[object]]:
    """The question over its columns once, then what each column stands for."""
    first: list[object] = []
    seen: set[str] = set()
    for c in columns:
        first.append("" if c.question in seen else c.question or c.name)
        if c.question is not None:
            seen.add(c.question)
    second: list[object] = ["" if not c.is_question or (blank_sub and c.question is None) else c.sub for c in columns]
    return [first, second, *[list(row) for row in zip(*(c.cells for c in columns), strict=True)]]


def _csv(rows: list[list[object]], encoding: str = "utf-8-sig", delimiter: str = ",") -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter).writerows(rows)
    return out.getvalue().encode(encoding)


_MAKERS: dict[str, Callable[[Maker, int], Export]] = {
    "microsoft_forms": _microsoft, "google_forms": _google, "surveymonkey": _monkey, "qualtrics": _qualtrics, "citizen_space": _citizen, "smartsurvey": _smart,
}  # fmt: skip


def check_export(export: Export) -> list[tuple[Column, str, bool]]:
    """Return, for each column, the role that was found and whether a scale's points came in order (true for what is no scale)."""
    from nlp_service.ingest.formats import read_table
    from nlp_service.ingest.roles import guess_roles

    table = read_table(export.name, "." + export.name.rpartition(".")[2], export.data)
    assert len(table.columns) == len(export.columns), export.name
    assert len(table.rows) == len(export.columns[0].cells), export.name
    found = []
    for column, role in zip(export.columns, guess_roles(table), strict=True):
        on_scale = [o for o in role.order if o in column.order]
        in_order = column.role != "scale" or (bool(on_scale) and on_scale == [p for p in column.order if p in on_scale])
        found.append((column, role.role.value, in_order))
    return found
