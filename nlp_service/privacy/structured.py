"""Personal data that has a form: numbers, plates, codes, addresses. Patterns with checks on what they match.

Every pattern reads a text once: repeats are bounded and start only where the character before cannot belong to a match.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

from nlp_service.privacy.personal_data import PLAIN_MARKS, Kind, PersonalData

_AREAS: Final = frozenset(
    "AB AL B BA BB BD BH BL BN BR BS BT CA CB CF CH CM CO CR CT CV CW DA DD DE DG DH DL DN DT DY E EC EH EN EX FK FY G GL "
    "GU GY HA HD HG HP HR HS HU HX IG IM IP IV JE KA KT KW KY L LA LD LE LL LN LS LU M ME MK ML N NE NG NN NP NR NW OL OX "
    "PA PE PH PL PO PR RG RH RM S SA SE SG SK SL SM SN SO SP SR SS ST SW SY TA TD TF TN TQ TR TS TW UB W WA WC WD WF WN WR "
    "WS WV YO ZE".split()
)
"""Postcode areas, Royal Mail."""
_BEFORE_CHARS: Final = 60
_AFTER_CHARS: Final = 30


def _is_near(pattern: re.Pattern[str], text: str, start: int, end: int, *, before: int = _BEFORE_CHARS) -> bool:
    return bool(
        pattern.search(text, max(0, start - before), start)
        or pattern.search(text, end, min(len(text), end + _AFTER_CHARS))
    )


# --- e-mail, links, social names -------------------------------------------------------------------------------------

_EMAIL: Final = re.compile(
    r"(?<![\w.+%'-])[\w.+%'-]{1,64} ?@ ?[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,5}(?![\w@])"
    r"|(?<![\w.+-])[\w.+-]{1,64} ?(?:\(at\)|\[at\]| at ) ?[A-Za-z0-9-]{2,40} ?(?:\(dot\)|\[dot\]| dot ) ?[a-z]{2,10}"
    r"(?: ?(?:\(dot\)|\[dot\]| dot ) ?uk)?(?!\w)",
    re.IGNORECASE,
)
_DOMAIN: Final = (
    r"[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){0,4}\."
    r"(?:co\.uk|org\.uk|gov\.uk|nhs\.uk|ac\.uk|sch\.uk|police\.uk|me\.uk|com|org|net|info|london|uk|io|tv|ly|gl|gle|be|ie|eu)"
)
_URL: Final = re.compile(
    r"(?<![\w@.])(?:(?:https?://|www\.)[^\s<>\"'()\[\]]{2,500}|"
    + _DOMAIN
    + r"(?![\w@.-]*@)(?:[/?#][^\s<>\"'()\[\]]{0,500}|(?![\w-])))",
    re.IGNORECASE,
)
_HANDLE: Final = re.compile(
    r"(?<![\w.@/])@[A-Za-z_][A-Za-z0-9_.]{1,29}(?![\w@])|(?<![\w/])u/[A-Za-z0-9_-]{3,20}(?![\w/])"
)
_NETWORK_NAME: Final = re.compile(
    r"\b(?:insta(?:gram)?|ig|snap(?:chat)?|twitter|tik ?tok|telegram|facebook|fb|discord|threads|bluesky|next ?door)"
    r"(?:\s{0,2}(?:name|handle|account|user(?:name)?|id|page|is|as|under|called|:|-|=)){1,4}\s{0,2}(@?[A-Za-z][A-Za-z0-9_.]{2,29})",
    re.IGNORECASE,
)


def _emails(text: str) -> Iterator[PersonalData]:
    if "@" not in text and "at" not in text.lower():
        return
    for m in _EMAIL.finditer(text):
        start = m.start() + len(m.group()) - len(m.group().lstrip("'.-"))
        yield PersonalData(start, m.end(), Kind.EMAIL)


def _urls(text: str) -> Iterator[PersonalData]:
    for m in _URL.finditer(text):
        yield PersonalData(m.start(), m.start() + len(m.group().rstrip(".,;:!?*_~")), Kind.URL)


def _handles(text: str) -> Iterator[PersonalData]:
    for m in _HANDLE.finditer(text):
        yield PersonalData(m.start(), m.start() + len(m.group().rstrip(".")), Kind.HANDLE)
    for m in _NETWORK_NAME.finditer(text):
        name = m.group(1).rstrip(".")
        if re.search(r"[\d_.@]", name):
            yield PersonalData(m.start(1), m.start(1) + len(name), Kind.HANDLE)


# --- numbers -----------------------------------------------------------------------------------------------------------

_PHONE: Final = re.compile(
    r"(?<![\w/+.#-])(?:(?:\+|00) ?44[ .-]{0,2}(?:\(0\)[ .-]{0,2})?|\(?0)(?:[1-9])(?:[ .)(-]{0,3}\d){8,9}(?![ .-]?\d|[\w/])"
    r"|(?<![\w/+.#-])\+(?!44)[1-9]\d{0,2}(?:[ .()-]{0,2}\d){7,12}(?![\d/])"
)
_LOCAL_PHONE: Final = re.compile(
    r"(?<![\w/.£-])(?:[2-8]\d{2,3}[ -]?\d{4}|[2-9]\d{5}|7\d{3}[ -]?\d{3}[ -]?\d{3})(?![\w/]|[.,]\d)"
)
_CALLING: Final = re.compile(
    r"\b(?:call|ring|phone|text|mobile|mob|tel|telephone|landline|whatsapp|contact(?: me)?(?: on)?|number is|my number)\b[^\d.?!]{0,25}$",
    re.IGNORECASE,
)
_PUBLIC_NUMBER: Final = re.compile(r"(?:0|\+44|0044)(?:80[08]|3\d\d|116)")
_NHS: Final = re.compile(r"(?<![\w/.-])\d{3}[ -]?\d{3}[ -]?\d{4}(?![\w/]|[.-]\d)")
_NHS_SAID: Final = re.compile(r"\bNHS (?:no|num|number|id)\b[^\d]{0,20}$", re.IGNORECASE)
_NI: Final = re.compile(
    r"(?<!\w)(?!BG|GB|NK|KN|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][ -]?\d{2}[ -]?\d{2}[ -]?\d{2}[ -]?[A-D](?!\w)",
    re.IGNORECASE,
)
_NI_SAID: Final = re.compile(r"\b(?:NI|NINO|national insurance)\b[^\d]{0,20}$", re.IGNORECASE)
_NI_BARE: Final = re.compile(r"(?<!\w)[A-Z]{2}[ -]?\d{2}[ -]?\d{2}[ -]?\d{2}(?:[ -]?[A-Z])?(?!\w)", re.IGNORECASE)


def _phones(text: str) -> Iterator[PersonalData]:
    for m in _PHONE.finditer(text):
        digits = re.sub(r"[^\d+]", "", m.group().replace("(0)", ""))
        if not _PUBLIC_NUMBER.match(digits):
            yield PersonalData(m.start(), m.end(), Kind.PHONE)
    for m in _LOCAL_PHONE.finditer(text):
        if _CALLING.search(text, max(0, m.start() - _BEFORE_CHARS), m.start()):
            yield PersonalData(m.start(), m.end(), Kind.PHONE)


def is_nhs_number(digits: str) -> bool:
    """Return whether ten digits carry a right check digit: modulus 11, NHS Data Dictionary "NHS NUMBER"."""
    if len(digits) != 10 or not digits.isdecimal() or len(set(digits)) == 1:
        return False
    check = 11 - sum(int(d) * w for d, w in zip(digits, range(10, 1, -1), strict=False)) % 11
    return check % 11 == int(digits[9]) if check != 10 else False


def _nhs_numbers(text: str) -> Iterator[PersonalData]:
    for m in _NHS.finditer(text):
        digits = re.sub(r"\D", "", m.group())
        said = _NHS_SAID.search(text, max(0, m.start() - _BEFORE_CHARS), m.start())
        if said or (digits[0] != "0" and is_nhs_number(digits)):
            yield PersonalData(m.start(), m.end(), Kind.NHS_NUMBER)


def _ni_numbers(text: str) -> Iterator[PersonalData]:
    for m in _NI.finditer(text):
        yield PersonalData(m.start(), m.end(), Kind.NI_NUMBER)
    for m in _NI_BARE.finditer(text):
        if _NI_SAID.search(text, max(0, m.start() - _BEFORE_CHARS), m.start()):
            yield PersonalData(m.start(), m.end(), Kind.NI_NUMBER)


# --- postcodes and plates ------------------------------------------------------------------------------------------------

_POSTCODE: Final = re.compile(
    r"(?<![\w-])(?:GIR ?0AA|([A-PR-UWYZ][A-HK-Y]?)(?:\d{1,2}|\d[A-HJKMNPR-Y])[ -]{0,2}(\d[ABD-HJLNP-UW-Z]{2}))(?![\w])",
    re.IGNORECASE,
)
_ORDINAL: Final = re.compile(r"1st|2nd|3rd|[4-90]th")
_PLATE: Final = re.compile(
    r"(?<![\w/-])[A-HJ-PR-Y]{2}(?:0[2-9]|[12]\d|5[1-9]|[67]\d)[ -]?[A-HJ-PR-Z]{3}(?![\w/])", re.IGNORECASE
)
_PLATE_SPLIT: Final = re.compile(
    r"(?<![\w/-])[A-HJ-PR-Y]{2} (?:0[2-9]|[12]\d|5[1-9]|[67]\d) ?[A-HJ-PR-Z]{3}(?![\w/])", re.IGNORECASE
)
_OLD_PLATE: Final = re.compile(
    r"(?<![\w/-])(?:[A-HJ-NPR-TV-Y]\d{1,3}[ -]?[A-HJ-PR-Z]{3}|[A-HJ-PR-Z]{3}[ -]?\d{1,3}[A-HJ-NPR-TV-Y]|[A-Z]{3} ?\d{4}|\d{1,4} ?[A-HJ-PR-Z]{2,3}|[A-HJ-PR-Z]{2,3} ?\d{1,4})(?![\w/])",
    re.IGNORECASE,
)
_PLATE_SAID: Final = re.compile(
    r"\b(?:reg(?:istration)?|plates?|number ?plates?|vrm|vrn|index)\b(?:\s{0,2}(?:no|num|number|plate|mark|is|was|are|of|ending|starting|begins?|:|-|\.|,|with|on)){0,4}\s{0,2}[\"'(]?$",
    re.IGNORECASE,
)
_VEHICLE_SAID: Final = re.compile(
    r"\b(?:reg(?:istration)?s?|plates?|numberplates?|cars?|vans?|vehicles?|mopeds?|scooters?|motorbikes?|bmw|audi|vw|golf|ford|fiesta|corsa|merc(?:edes)?|range rover|toyota|prius|"
    r"transit|lorry|taxi|minicab|blue badge)\b",
    re.IGNORECASE,
)
_WORDS_LIKE_PLATES: Final = re.compile(
    r"(?i)(?:the|and|for|was|are|bus|has|had|you|not|but|our|all|now|who|asb|exit|hrs|car|men|day)"
)


def _postcodes(text: str) -> Iterator[PersonalData]:
    for m in _POSTCODE.finditer(text):
        area, inward = m.group(1), m.group(2)
        if area is not None and (area.upper() not in _AREAS or _ORDINAL.fullmatch(inward)):
            continue
        yield PersonalData(m.start(), m.end(), Kind.POSTCODE)


def _plates(text: str) -> Iterator[PersonalData]:
    for m in _PLATE.finditer(text):
        if not (m.group().isupper() or m.group().islower()) or (
            " " in m.group() and _WORDS_LIKE_PLATES.fullmatch(m.group()[-3:])
        ):
            continue
        yield PersonalData(m.start(), m.end(), Kind.VEHICLE)
    for m in _PLATE_SPLIT.finditer(text):
        if m.group().isupper():
            yield PersonalData(m.start(), m.end(), Kind.VEHICLE)
    for m in _OLD_PLATE.finditer(text):
        said = _PLATE_SAID.search(text, max(0, m.start() - _BEFORE_CHARS), m.start())
        letters = re.sub(r"[\W\d]", " ", m.group()).split()
        old_form = re.fullmatch(r"(?i)[a-z]\d{1,3}[ -]?[a-z]{3}|[a-z]{3}[ -]?\d{1,3}[a-z]|[a-z]{3} ?\d{4}", m.group())
        if any(_WORDS_LIKE_PLATES.fullmatch(w) for w in letters):
            continue
        if said or (old_form and m.group().isupper() and _is_near(_VEHICLE_SAID, text, m.start(), m.end())):
            yield PersonalData(m.start(), m.end(), Kind.VEHICLE)


# --- references ------------------------------------------------------------------------------------------------------------

_REFERENCE_FORM: Final = re.compile(
    r"(?<![\w/])(?:(?:CAD|CRIS|CHS|URN|PCN|CRN|CR|MPS|TAA|BCA|NICHE|FOI|FS-?Case|FS|CAS|SR|INC|REF|RBK|ASB|HS|CMP)[ -]{0,2}(?=[A-Z/-]{0,8}\d)[A-Z0-9][A-Z0-9/-]{2,24}"
    r"|\d{2}/\d{5,7}/\d{2,4}|\d{5,8}/\d{2}|\d{2}[A-Z]{1,4}/\d{3,7}/\d{2,4}|[A-Z]{2,4}/\d{4,8}/\d{2,4})(?![\w/])"
)
_REFERENCE_SAID: Final = re.compile(
    r"\b(?P<what>crime|case|incident|cad|cris|complaint|reference|ref|urn|log|ticket|occurrence|job|report|police|enquiry|application|claim|pcn|penalty|fixit|service request|foi|victim)"
    r"(?P<word>[\s,]{0,2}(?:reference|ref|refs|number|numbers|num|no|nos|nr|id|code))?[.\s:#,=(-]{0,4}"
    r"(?:(?:is|was|are|were|of|as|given)\s){0,2}[:#\s\"'(]{0,3}"
    r"(?P<token>(?=[A-Z/-]{0,12}\d)[A-Z0-9][A-Z0-9/-]{2,24}(?:\sof\s\d{1,2}/\d{1,2}/\d{2,4})?)(?![\w/])",
    re.IGNORECASE,
)
_COLLAR: Final = re.compile(
    r"\b(?:(?:PC|WPC|PCSO|SGT|PS|DC|DS|officer|constable|shoulder|collar|badge)\s{1,2}(?:number\s{1,2}|no\.?\s{0,2}|num\s{1,2}|is\s)?)(\d{2,5}\s?[A-Z]{2}|[A-Z]{2}\s?\d{2,5}|\d{3,6})(?![\w/%])",
    re.IGNORECASE,
)
_YEAR: Final = re.compile(r"(?:19|20)\d\d")
_MIN_DIGITS: Final = 3
_PLAIN_DIGITS: Final = 5
"""A bare number after "crime" or "report" is a reference from this many digits on; after "ref" or "number", from three."""
_SURE: Final = frozenset({"cad", "cris", "ref", "reference", "urn", "pcn", "foi"})


def _references(text: str) -> Iterator[PersonalData]:
    for m in _REFERENCE_FORM.finditer(text):
        if sum(c.isdigit() for c in m.group()) >= _MIN_DIGITS:
            yield PersonalData(m.start(), m.end(), Kind.REFERENCE)
    for m in _REFERENCE_SAID.finditer(text):
        token = m.group("token")
        digits = sum(c.isdigit() for c in token)
        said = m.group("word") is not None or m.group("what").lower() in _SURE
        plain = token.isdigit()
        if (
            digits < _MIN_DIGITS
            or (_YEAR.fullmatch(token) and not m.group("word"))
            or re.fullmatch(r"(?i)\d{1,25}(?:st|nd|rd|th|am|pm|k|s|mph|m)", token)
        ):
            continue
        if said or not plain or digits >= _PLAIN_DIGITS:
            yield PersonalData(m.start("token"), m.end("token"), Kind.REFERENCE)
    for m in _COLLAR.finditer(text):
        if not _YEAR.fullmatch(m.group(1)):
            yield PersonalData(m.start(1), m.end(1), Kind.REFERENCE)


# --- addresses -------------------------------------------------------------------------------------------------------------

STREET_TYPES: Final = (
    "Road Rd Street St Str Avenue Ave Av Lane Ln Close Drive Dr Court Ct Gardens Gdns Garden Grove Gro Terrace Terr Ter Place Pl Square Sq "
    "Mews Crescent Cres Cresent Way Walk Hill Park Row Rise Mansions House Tower Towers Point Buildings Estate Lodge Gate Green Yard Vale View "
    "Heights Villas Parade Wharf Path Circus Broadway Bank Fields Meadow Meadows Croft Chase Quay Mount Passage Cottages Block Cottage"
).split()
_LOWER_TYPES: Final = (
    "road rd street st avenue ave lane ln crescent cres gardens gdns terrace mews grove square mansions"
)
_TYPE: Final = "(?:" + "|".join(sorted(STREET_TYPES, key=len, reverse=True)) + r")(?![\w'])"
_NUMBER: Final = r"\d{1,4}[A-Za-z]?(?:\s?[-/]\s?\d{1,4}[A-Za-z]?)?"
_UNIT: Final = r"(?:flat|flt|apt|apartment|unit|room|maisonette|studio|bedsit)\s{0,2}(?:no\.?\s{0,2}|number\s)?(?:\d{1,4}[A-Za-z]?|(?<=\s)[A-Z]\d{0,3})(?!\w)"
_NAME_WORD: Final = r"[A-Z][A-Za-z.'-]{1,25}"
_ADDRESS: Final = re.compile(
    rf"(?<![\w£.,/:-])(?:(?i:{_UNIT})[,\s]{{1,3}}(?:in\s|at\s)?)?(?:(?:[Nn]o\.?|[Nn]umber|[Nn]umbers|[Nn]os\.?)\s{{0,2}})?{_NUMBER},?\s{{1,2}}(?:{_NAME_WORD}\s{{1,2}}){{1,4}}?{_TYPE}"
    rf"|(?<![\w£.,/:-])(?i:{_UNIT})[,\s]{{1,3}}(?:(?i:in|at|of)\s)?(?:the\s)?(?:{_NAME_WORD}\s{{1,2}}){{1,3}}?{_TYPE}"
    rf"|(?<![\w£.,/:-]){_NUMBER},?\s{{1,2}}The\s(?:{_NAME_WORD})(?!\w)"
)
_LOWER_ADDRESS: Final = re.compile(
    rf"(?<![\w£.,/:-])(?:{_UNIT}[,\s]{{1,3}}(?:in\s|at\s)?)?(?:(?:no\.?|number|numbers|nos\.?)\s{{0,2}})?(?P<number>{_NUMBER}),?\s{{1,2}}(?P<words>(?:[a-z'-]{{2,20}}\s){{1,3}}?)(?P<type>{_TYPE})"
    rf"|(?<![\w£.,/:-]){_UNIT}[,\s]{{1,3}}(?:in\s|at\s|of\s)?(?P<words2>(?:[a-z'-]{{2,20}}\s){{1,3}}?)(?P<type2>{_TYPE})",
    re.IGNORECASE,
)
_UNIT_ALONE: Final = re.compile(rf"(?<![\w-]){_UNIT}", re.IGNORECASE)
_DOOR: Final = re.compile(
    r"\b(?:at|from|in|outside|opposite|above|below|next to|with|by|next door at|people at|live at|house)\s((?:number|no\.?|num)\s?\d{1,3}[a-d]?)(?![\w%])(?!\s(?:bus|route|on|of|reason|priority|issue|problem|thing|in the))",
    re.IGNORECASE,
)
_NOT_STREET_WORDS: Final = frozenset(
    """a about across added after again all along always an and another any anti are around as at away back bad be because been before behind
    between bikes bins bus buses but by cameras car cars children close cars crossing days did dogs down drivers each every few first for from had has
    have hours houses i in into is it its kids last later less lots main many men metres mile miles min mins minute minutes month months more most mph
    my near new next nights no not of off old on one only onto opposite or other our out outside over parked parking past people per pm am pound pounds
    problem properties quiet really residents same school schools second shops side since small so some sort speed still street streets such than that
    the their there these they thing this those three times to too trees two up very vehicles was week weeks were when where which while who will with
    women yards year years young youths zone st nd rd th different lovely local busy long wide narrow dark residential whole entire bedroom storey metre story hour day
    rough homeless big police officers officer lamp lights lights' posts potholes dealers crimes incidents attacks burglaries muggings neighbours families""".split()
)
_MAX_ADDRESS_YEAR: Final = 2099
_MIN_ADDRESS_YEAR: Final = 1900


def _is_year(number: str) -> bool:
    return number.isdigit() and _MIN_ADDRESS_YEAR <= int(number) <= _MAX_ADDRESS_YEAR


def _addresses(text: str) -> Iterator[PersonalData]:
    if not any(c.isdigit() for c in text) and "flat" not in text.lower():
        return
    for m in _ADDRESS.finditer(text):
        first = re.search(r"\d+", m.group())
        said = {w.lower() for w in re.findall(r"[A-Za-z']+", m.group())}
        if first is not None and _is_year(first.group()) and not m.group().lower().startswith(("flat", "no", "apt")):
            continue
        if said & {"bus", "buses", "mph", "cctv", "pcso", "pcsos", "pm", "am", "covid"}:
            continue
        yield PersonalData(m.start(), m.end(), Kind.ADDRESS)
    lower = _LOWER_TYPES.split()
    for m in _LOWER_ADDRESS.finditer(text):
        words = (m.group("words") or m.group("words2") or "").lower().split()
        kind = (m.group("type") or m.group("type2") or "").lower()
        unit = m.group("words2") is not None or m.group().lower().startswith(
            ("flat", "flt", "apt", "apartment", "unit", "room", "maisonette")
        )
        numbered = m.group().lower().startswith(("no ", "no.", "number", "nos"))
        if not words or any(w in _NOT_STREET_WORDS for w in words) or (kind not in lower and not unit and not numbered):
            continue
        if m.group("number") and _is_year(m.group("number")) and not unit:
            continue
        yield PersonalData(m.start(), m.end(), Kind.ADDRESS)
    for m in _UNIT_ALONE.finditer(text):
        if not m.group().lower().startswith(("room", "unit", "studio")) and re.search(r"\d|\s[A-H]$", m.group()):
            yield PersonalData(m.start(), m.end(), Kind.ADDRESS)
    for m in _DOOR.finditer(text):
        yield PersonalData(m.start(1), m.end(1), Kind.ADDRESS)


_FINDERS: Final[tuple[Callable[[str], Iterator[PersonalData]], ...]] = (
    _emails,
    _urls,
    _handles,
    _ni_numbers,
    _nhs_numbers,
    _phones,
    _addresses,
    _postcodes,
    _references,
    _plates,
)
"""In order of precedence: where two findings overlap, the earlier finder's stands (the longer one within a finder)."""


def find_structured(text: str) -> tuple[PersonalData, ...]:
    """Return the personal data that has a form, in order, without overlap."""
    text = text.translate(PLAIN_MARKS)
    kept: list[PersonalData] = []
    taken = bytearray(len(text))
    for finder in _FINDERS:
        for one in sorted(finder(text), key=lambda f: (f.start - f.end, f.start)):
            if not any(taken[one.start : one.end]):
                taken[one.start : one.end] = b"\1" * (one.end - one.start)
                kept.append(one)
    return tuple(sorted(kept))
