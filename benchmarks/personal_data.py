"""Personal data found in 1,000 marked comments: `make bench-personal-data` (under a minute).

`benchmarks/personal/measured_marked.txt` holds written comments with their personal data marked, `measured_none.txt` comments with none.
Each marked one also comes with other values drawn into its places, to 1,000 in all. Nothing is tuned on them: `development.txt` is
for that (`--development`, which also prints what was missed).
"""

import random
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.report import publish
from nlp_service.privacy.personal_data import Kind, PersonalData
from nlp_service.privacy.redaction import find_personal_data
from nlp_service.privacy.structured import find_structured

FOLDER: Final = Path(__file__).parent / "personal"
N: Final = 1_000
_MARK: Final = re.compile(r"\{([A-Z @]+):([^{}|]+)(?:\|([^{}]+))?\}")
_SHORT: Final = {
    "N": "NAME",
    "A": "ADDRESS",
    "P": "POSTCODE",
    "T": "PHONE",
    "E": "EMAIL",
    "I": "NI NUMBER",
    "H": "NHS NUMBER",
}
_SHORT |= {"V": "VEHICLE", "R": "REFERENCE", "U": "URL", "@": "HANDLE"}

GIVEN: Final = """Olga Perpetua Ikram Delphine Callum Bronagh Xenia Tariq Ottoline Kwabena Mairi Dinesh Solveig Jarek Ifeanyi Cosima Leroy Anneliese
Bashir Winnie Rhydian Chukwudi Esme Parveen Tomasz Hephzibah Dougie Nasreen Fitzroy Ludmila Shaun Aaliyah Gwyneth Haroon Imelda Josiah Keziah Lorcan
Mabel Nikhil Orsolya Paolo Quincy Roya Selina Thandeka Ulrika Vikram Wioleta Yvonne Zoltan Alistair Bukola Carmela Dafydd Eleni Faisal Gulsen Horace""".split()
FAMILY: Final = """Prendergast Oyelowo Thistlewood Szymanski Bhattacharya Macpherson Achebe Lindgren Tempest Vasquez Olusanya Fairweather Dimitriou Kaczmarek
Ashdown Mbeki Tolliver Sheikh Underhill Ogunleye Pemberton Rasool Kettlewell Iyer Drinkwater Haile Bannister Quartey Esposito Featherstone Jankowski Lalani
Oduwole Penhaligon Ravenscroft Sivakumar Threlfall Uzoma Vickers Wolstenholme Yamoah Zaman Applegarth Bielecki Cattermole Duvall Eze Fotheringham""".split()
STREETS: Final = """Wheelwright Tansy Old Oak Barlby Sefton Chesterton Highlever Kelfield Finstock Brewster Pangbourne Shrewsbury Raddington Munro Bosworth
Telford Appleford Southern Hazlewood Adair Bonchurch St Ervan's Murchison Faraday Conlan""".split("\n")[0].split()
_TYPES: Final = (
    "Road",
    "Street",
    "Gardens",
    "Avenue",
    "Close",
    "Rd",
    "Mews",
    "Terrace",
    "Crescent",
    "Lane",
    "Square",
    "St",
)
_BLOCKS: Final = ("House", "Court", "Tower", "Mansions", "Point")


@dataclass(frozen=True, slots=True)
class Marked:
    """A comment and the personal data that a person marked in it."""

    text: str
    gold: tuple[PersonalData, ...]


def read_marked(line: str, rng: random.Random | None = None) -> Marked:
    """Return the comment of a marked line; with `rng`, other values stand in its places."""
    text, gold, last = "", [], 0
    for m in _MARK.finditer(line):
        kind = Kind(_SHORT.get(m.group(1), m.group(1)))
        shown, value = m.group(2), m.group(3) or m.group(2)
        text += line[last : m.start()]
        new = value if rng is None else _redrawn(kind, value, rng)
        start = len(text) + shown.index(value)
        text += shown.replace(value, new, 1)
        gold.append(PersonalData(start, start + len(new), kind))
        last = m.end()
    return Marked(text + line[last:], tuple(gold))


def _redrawn(kind: Kind, value: str, rng: random.Random) -> str:
    """Return another value of the kind, of the form and case that the old one has."""
    digit, letter = "0123456789", "ABCDEFGHJKLMNPRSTUWXY"
    if kind is Kind.NAME:
        n_words = len(value.split())
        new = rng.choice(FAMILY) if n_words == 1 and value in FAMILY_PLACES else rng.choice(GIVEN)
        if n_words > 1:
            new += f" {rng.choice(FAMILY)}"
        return new.lower() if value.islower() else new.upper() if value.isupper() and len(value) > 1 else new
    if kind is Kind.ADDRESS:
        number = str(rng.randint(1, 240)) + rng.choice(["", "", "", "a", "B"])
        if value.lower().startswith(("number", "no")):
            return f"number {rng.randint(1, 99)}"
        if re.fullmatch(r"(?i)flat \w+", value):
            return f"flat {rng.randint(1, 90)}"
        street = f"{number} {rng.choice(STREETS)} {rng.choice(_TYPES)}"
        new = rng.choice(
            [
                street,
                street,
                f"Flat {rng.randint(1, 80)}, {street}",
                f"Flat {rng.randint(1, 80)} {rng.choice(STREETS)} {rng.choice(_BLOCKS)}",
            ]
        )
        return new.lower() if value.islower() else new.upper() if value.isupper() else new
    if kind is Kind.POSTCODE:
        area = rng.choice(
            ["W10", "W11", "SW3", "SW10", "NW6", "E14", "B12", "M14", "SE1", "WC1N", "EC2A", "LS6", "CR0", "N1"]
        )
        new = (
            f"{area}{rng.choice([' ', ' ', ''])}{rng.randint(0, 9)}{rng.choice('ABDEFGHJLN')}{rng.choice('PQRSTUWXYZ')}"
        )
        return new.lower() if value.islower() else new
    if kind is Kind.PHONE:
        tail = "".join(rng.choice(digit) for _ in range(9))
        forms = [
            f"07{tail}",
            f"07{tail[:3]} {tail[3:]}",
            f"07{tail[:3]} {tail[3:6]} {tail[6:]}",
            f"+44 7{tail[:3]} {tail[3:]}",
            f"020 {8}{tail[:3]} {tail[3:7]}",
            f"(020) 7{tail[:3]} {tail[3:7]}",
            f"07{tail[:3]}-{tail[3:6]}-{tail[6:]}",
            f"0161 {tail[:3]} {tail[3:7]}",
        ]
        return rng.choice(forms)
    if kind is Kind.EMAIL:
        who = (
            rng.choice(GIVEN).lower()
            + rng.choice([".", "_", "", "-"])
            + rng.choice(FAMILY).lower()
            + rng.choice(["", "", "7", "1984"])
        )
        return f"{who}@{rng.choice(['gmail.com', 'yahoo.co.uk', 'hotmail.com', 'live.co.uk', 'icloud.com', 'mail.example.org', 'btinternet.com'])}"
    if kind is Kind.NI_NUMBER:
        d = "".join(rng.choice(digit) for _ in range(6))
        first = rng.choice(["AB", "JK", "PW", "SX", "NR", "CE"])
        return rng.choice([f"{first}{d}A", f"{first} {d[:2]} {d[2:4]} {d[4:]} C", f"{first}{d}D".lower()])
    if kind is Kind.NHS_NUMBER:
        return _nhs_number(rng)
    if kind is Kind.VEHICLE:
        age = rng.choice(["05", "12", "19", "23", "24", "55", "62", "67", "71", "73"])
        new = f"{rng.choice(letter)}{rng.choice(letter)}{age}{rng.choice([' ', ' ', ''])}" + "".join(
            rng.choice(letter) for _ in range(3)
        )
        return new.lower() if value.islower() else new
    if kind is Kind.REFERENCE:
        return re.sub(r"\d", lambda m: m.group() if m.group() == "0" else rng.choice("123456789"), value)
    if kind is Kind.HANDLE:
        return (
            ("@" if value.startswith("@") else "")
            + rng.choice(GIVEN).lower()
            + rng.choice(["_", "."])
            + rng.choice(["w10", "ldn", "x99", "kc1"])
        )
    return value.replace(value[-1], value[-1]) + rng.choice(["", "/a1", "?id=7"]) if "/" in value else value


FAMILY_PLACES: Final = frozenset(
    "Hollis Dhaliwal Whitlock Bains Stavrou Grayling Marchetti Ravindran Entwistle Patel Nwosu Callaghan Petrakis Lindqvist May Siddiqui Pilkington Oyelaran "
    "Ferreira Oduya Fitch Lovegrove DESAI Hendersons Khan Iqbal".split()
)
"""Values that are family names where they stand: others of their sort are drawn."""


def _nhs_number(rng: random.Random) -> str:
    while True:
        d = [rng.randint(4, 7), *(rng.randint(0, 9) for _ in range(8))]
        check = 11 - sum(x * w for x, w in zip(d, range(10, 1, -1), strict=True)) % 11
        if check != 10:  # noqa: PLR2004
            s = "".join(map(str, [*d, check % 11]))
            return rng.choice([s, f"{s[:3]} {s[3:6]} {s[6:]}", f"{s[:3]}-{s[3:6]}-{s[6:]}"])


def _lines(name: str) -> list[str]:
    return [x for x in (FOLDER / name).read_text(encoding="utf-8").splitlines() if x]


def measured() -> list[Marked]:
    """Return the 1,000 comments that are measured, none twice."""
    rng = random.Random(4)  # noqa: S311 -- draws test values
    none = [Marked(line, ()) for line in _lines("measured_none.txt")]
    lines = _lines("measured_marked.txt")
    out = {m.text: m for m in [*none, *map(read_marked, lines)]}
    while len(out) < N:
        for line in lines:
            one = read_marked(line, rng)
            if len(out) < N:
                out.setdefault(one.text, one)
    return list(out.values())


def score(comments: Sequence[Marked], *, show: bool) -> dict[str, float]:
    """Return recall by kind and for structured kinds together, and precision.

    A mark counts as found if findings cover all of it. A finding counts as right if it touches a mark.
    """
    marked, hit, found, right = Counter[Kind](), Counter[Kind](), 0, 0
    for one in comments:
        results = find_personal_data(one.text)
        covered = {i for f in results for i in range(f.start, f.end)}
        for gold in one.gold:
            marked[gold.kind] += 1
            ok = all(i in covered for i in range(gold.start, gold.end) if one.text[i].isalnum())
            hit[gold.kind] += ok
            if show and not ok:
                print("MISSED", gold.kind, repr(one.text[gold.start : gold.end]), "in", one.text)
        for f in results:
            found += 1
            ok = any(f.start < g.end and g.start < f.end for g in one.gold)
            right += ok
            if show and not ok:
                print("WRONG ", f.kind, repr(one.text[f.start : f.end]), "in", one.text)
    structured = [k for k in Kind if k is not Kind.NAME]
    return {
        "comments": len(comments),
        "comments_with_none": sum(not one.gold for one in comments),
        "marks": sum(marked.values()),
        "recall_structured": round(sum(hit[k] for k in structured) / max(1, sum(marked[k] for k in structured)), 4),
        "recall_names": round(hit[Kind.NAME] / marked[Kind.NAME], 4),
        "precision": round(right / found, 4),
        **{f"recall {k.value} (of {marked[k]})": round(hit[k] / marked[k], 4) for k in Kind if marked[k]},
    }


def main() -> None:
    if "--development" in sys.argv:
        comments = [read_marked(line) for line in _lines("development.txt")]
        print(score(comments, show=True))
        return
    comments = measured()
    figures = score(comments, show="--show" in sys.argv)
    began = time.process_time()
    for one in comments:
        find_structured(one.text)
    figures["structured_comments_per_s"] = round(len(comments) / (time.process_time() - began))
    began = time.process_time()
    for one in comments:
        find_personal_data(one.text)
    figures["all_comments_per_s"] = round(len(comments) / (time.process_time() - began))
    bars = {
        "recall_structured": (">=", 0.97),
        "recall_names": (">=", 0.9),
        "precision": (">=", 0.9),
        "structured_comments_per_s": (">=", 400.0),
        "comments": (">=", 1000.0),
        "comments_with_none": (">=", 200.0),
    }
    publish("personal_data", figures, bars)


if __name__ == "__main__":
    main()
