"""Names of people: lists and the words around them first, spaCy's recogniser for what the lists do not hold.

A title ("Mr", "PC", "Cllr") stays and the name behind it is found. Streets, wards, schools, shops, laws and campaigns that
carry a person's name are places, not people.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from nlp_service.privacy.entities import find_entities, is_english
from nlp_service.privacy.personal_data import PLAIN_MARKS, Kind, PersonalData
from nlp_service.privacy.words import phrase_list, word_list

_WORD: Final = re.compile(r"[^\W\d_]+(?:['-](?=[^\W\d_])[^\W\d_]+){0,4}")
_SENTENCE_END: Final = re.compile(r"[.!?]\s|[\r\n]")
_SENTENCE_CHARS: Final = 400
"""How far the recogniser looks to each side for the end of a sentence."""
_POSSESSIVE: Final = ("'s", "'S")

_STRONG_TITLES: Final = frozenset("mr mrs mister cllr councillor pcso sgt sergeant wpc".split())
"""Before a name whatever its case."""
_TITLES: Final = _STRONG_TITLES | frozenset(
    "ms miss mx fr dr doctor prof professor rev reverend father sister sir dame lady lord pc ps dc ds di dci constable officer inspector insp superintendent supt "
    "commander commissioner chief imam rabbi pastor auntie aunty aunt uncle nurse judge baroness mp warden headteacher nan nana grandad coach".split()
)
"""Before a capital."""
_PLAIN_TITLES: Final = frozenset("pc dc ds di ps dr fr ms inspector sergeant officer".split())
"""Before a known name whatever its case."""
_CONNECTORS: Final = frozenset(
    "de da do dos das del della di du la le van von der den ter bin bint al el ibn abu st ap".split()
)
_INTRODUCING: Final = re.compile(
    r"(?:\b(?:called|named|nicknamed|name is|name's|names are|name was|known as|goes by|aka|ask for|i am|i'm|im|signed|regards|thanks|cheers|yours|sincerely|dear|hi|hello)\s{0,2}[,:]?\s{0,3}[\"']?)$",
    re.IGNORECASE,
)
_NAMING: Final = re.compile(
    r"\b(?:called|named|name is|name's|name was|known as|goes by|aka)\s{1,2}[\"']?$", re.IGNORECASE
)
_RELATION: Final = re.compile(
    r"\b(?:husband|wife|baby|partner|boyfriend|girlfriend|son|daughter|brother|sister|cousin|nephew|niece|mum|dad|mother|father|uncle|aunt|auntie|grandson|grandad|nan|grandma|friend|mate|"
    r"neighbour|neighbor|landlord|landlady|manager|officer|warden|caretaker|concierge|carer|colleague|ex|boss|teacher|guy|man|woman|lad|bloke|lady|resident|dealer|thanks to|"
    r"spoke to|speak to|spoken to|talk to|talked to|told|asked|from|with|by|and|when|saw|met|emailed|rang|phoned|ask|reported to|complained to|know|knows)\s{0,2},?\s{0,2}$",
    re.IGNORECASE,
)
_MET: Final = re.compile(r"\b(?:met|told|asked|ask|tell|know|saw|thank|remember|called|invited)\s$", re.IGNORECASE)
_KIN: Final = re.compile(
    r"\b(?:my|our|his|her|their|old|young|little|big|named|called)\s(?:\w{1,12}\s)?(?:husband|wife|partner|boyfriend|girlfriend|son|daughter|brother|sister|cousin|nephew|niece|mum|dad|uncle|aunt|auntie|grandson|"
    r"granddaughter|friend|mate|neighbour|landlord|manager|warden|caretaker|carer|cleaner|colleague|ex|boss|teacher|builder)\s{1,2}$",
    re.IGNORECASE,
)
_ROLE: Final = re.compile(
    r"\b(?:barber|postman|postie|baker|butcher|caretaker|concierge|warden|cleaner|carer|nurse|teacher|coach|manager|officer|constable|neighbour|neighbor|landlord|landlady|tenant|lodger|resident|builder|gardener|"
    r"plumber|driver|cabbie|shopkeeper|owner|trader|volunteer|worker|organiser|leader|trainer|lad|lads|guy|bloke|chap|man|woman|girl|boy|kid|fella|dealer|friend|mate|pal|councillor|vicar|priest|imam|pastor|"
    r"receptionist|housemate|flatmate|babysitter|nanny|childminder|granny|nephew|niece|cousin|grandson|granddaughter|stepdad|stepson|boyfriend|girlfriend|husband|wife|son|daughter|brother|sister),?\s{1,2}$",
    re.IGNORECASE,
)
_DIRECT: Final = re.compile(
    r"(?:\b(?:told|asked|ask|tell|remember|rip|r\.i\.p\.|regards|signed|sincerely|faithfully|thanks|cheers|thank|stabbed|attacked|mugged|robbed|killed|punched|bullied|invited|emailed|rang|phoned|texted|saw|met|know|knows|blame|"
    r"because|when|if|even|in memory of|justice for|goodness for|rest in peace|why does|why is|poor|that|says|said|with|but|also|it was|reported it to|sorry for)|"
    r"\b(?:spoke|speak|spoken|talk|talked|listen|wrote|written|said|reported|complained|complain|thanks|thank you|gave|give|apologised|belongs|raised with|spoke with|met with|it) (?:to|with))[,:]?\s{1,2}[\"']?$",
    re.IGNORECASE,
)
"""What stands before a person's name more often than before anything else that has a capital."""
_AFTER_PERSON: Final = re.compile(
    r"\s{0,2}(?:,?\s(?:the (?:barber|gardener|caretaker|warden|builder|baker|butcher|postman|plumber|cleaner|vicar|trader|trainer|cobbler|tailor|driver|shopkeeper|manager)|(?:my|our) (?:eldest|youngest|son|daughter|dog|cat|neighbour|brother|sister|husband|wife|partner|mate|friend|landlord|uncle|cousin)|in (?:flat|number|no|the flat|the shop)|who|whose|from (?:number|no|flat|next|the|across|upstairs|downstairs|over)|at (?:number|no|flat)|next door|downstairs|upstairs|our (?:warden|caretaker|local|beat)|my (?:neighbour|son|husband|wife|friend)|"
    r"(?:and (?:his|her|their|my|i)\b|told|said|says|lives|lived|cries|shouts|smokes|drinks|deals|plays|agrees|moved (?:in|out)|has (?:rung|called|told|said|lived|asked|been (?:mugged|attacked|robbed|told|here))|is (?:scared|frightened|leaving|lovely|brilliant|a )|saw|knew|thinks|fixed|asked|works|moved|fell|died|shouts|threatened|bullies|nicks|rang|phoned|came|deals|sells|runs|helped|knows|keeps|never|always|was (?:attacked|mugged|stabbed|robbed)|got (?:mugged|stabbed|attacked|robbed)|has been|had)\b)|\s\((?:my|our|aged|\d)|,\s(?:a resident|aged|\d\d|my|our|the (?:old|new|caretaker|warden|owner|vicar)|he |she |who)|'s (?:mum|dad|mother|father|son|sons|daughter|brother|sister|wife|husband|kids|children|dog|car|van|flat|house|door|shop|caf|cab|bike|boys|family|garden|window))",
    re.IGNORECASE,
)
_ASKING: Final = re.compile(
    r"\s(?:you|the|we|they|it|there|i|this|that|someone|somebody|he|she|anyone|anybody|my|our|be|not|power)\b",
    re.IGNORECASE,
)
_LOOSE_AFTER: Final = re.compile(
    r",? (?:who|from the|my|asked|says|came|whose|keeps|works|moved|never|always|runs|sells|knows)\b", re.IGNORECASE
)
"""What also follows other words that open a sentence."""
_LOWER_AFTER: Final = re.compile(r"\s(?:got|was|is|has|had|says|said|who|from|lives|told)\b|\s?[,.!?]|$")
_SELF: Final = re.compile(r"\b(?:i am|i'm|im|this is|it's|its)\s{1,2}$", re.IGNORECASE)
_PEOPLES: Final = re.compile(
    r"(?:ish|ians?|eans?|[^h]ans|ists?|[^t]ers|ics?)$|^(?:portuguese|chinese|japanese|maltese|lebanese|sudanese|vietnamese|moroccan|somali|ethiopian|iraqis?|turk|turks|arab|arabs|jew|jews|"
    r"tory|tories|labour|greens|yardies?|yobs?|hoodies?)$"
)
"""Peoples, parties and trades: words with a capital that are no person."""
_SPEAKING: Final = re.compile(
    r"\s(?:told|said|says|rang|phoned|lives|who|from number|next door|at number)\b", re.IGNORECASE
)
_MONTH_BEFORE: Final = re.compile(
    r"\b(?:in|since|last|this|next|early|late|mid|by|until|till|of|during|from|before|after|every|on|to|between|\d{1,2}(?:st|nd|rd|th)?)\s$",
    re.IGNORECASE,
)
_PLACE_BEFORE: Final = re.compile(
    r"\b(?:in|on|at|near|around|off|along|down|up|to|into|through|behind|outside|opposite|across|towards|the|of|over|via|between|within|round|by|past|from)\s$",
    re.IGNORECASE,
)
_AT_PLACE: Final = re.compile(
    r"\b(?:in|on|at|near|nr|around|off|along|down|up|into|through|behind|outside|opposite|across|towards|the|over|via|between|within|round|past|beside|inside|leaving|visit|visited|west|east|north|south|central|upper|lower)\s$",
    re.IGNORECASE,
)
_PLACE_LABELS: Final = frozenset(
    {"GPE", "LOC", "FAC", "NORP", "PRODUCT", "EVENT", "LAW", "LANGUAGE", "WORK_OF_ART", "DATE", "TIME"}
)
_DOES: Final = re.compile(
    r"\s(?:is|was|has|had|got|gets|said|says|sells|runs|rings|cries|moved|left|came|comes|went|goes|lives|likes|knows|works|helps|helped|does|did|and|at|from|in flat|with|next door|will|never|always|needs|wants|"
    r"should|would|can|could|keeps|kept|told|who|plays|parks|drives|smokes|deals|shouts|drinks|thinks|feels|leads|saw)\b|\s\(|,\s[a-z]|'s\s[a-z]",
)
_SAINT_BEFORE: Final = re.compile(r"\b(?:st|saint|ste)\.?\s$", re.IGNORECASE)
_ANY_PLACE_TYPES: Final = frozenset(
    "road rd ct sq dr hwy cove mall street st avenue ave lane ln crescent cres gardens gdns terrace mews square estate ward station tube academy college primary secondary hospital surgery clinic library theatre "
    "museum arms tavern pub hotel mansions towers tower buildings market bridge roundabout junction centre center park's nursery playground infirmary stadium "
    "society institute trust foundation ltd plc housing association homes law inquiry report review act scheme line memorial day row's bus depot high "
    "school road's street's grove green's quarter quay wharf works yard barracks cemetery villas parade circus broadway hub leisure sports".split()
)
"""After a name, these make it a place or an institution."""
_WEAK_PLACE_TYPES: Final = frozenset(
    "park hill house court close drive way walk place lodge gate green rise view church hall field fields wood woods row bank common end corner path heath meadow meadows point heights vale croft chase "
    "garden block flats building".split()
)
"""These are family names too: a place only after a word of place, or where no given name stands before them."""
_SHOP_TYPES: Final = frozenset(
    "cafe bar salon kitchen bakery deli restaurant barbers garage motors stores supermarket news newsagents grill takeaway".split()
)
"""Make a name a shop's where they have a capital: "Jack's Cafe"."""
_SEASONS: Final = frozenset(
    "may will april june august summer winter autumn storm rain major hope star sky sun".split()
)
_NEVER: Final = frozenset(
    "i i'm i've i'd i'll im ive id mum dad nan nana gran grandad granny mummy daddy nhs asb cctv rbkc tfl met police council covid god jesus christ allah lord sir madam "
    "monday tuesday wednesday thursday friday saturday sunday january february march july september october november december mon tue tues wed thu thurs fri sat sun "
    "kids crime drugs graffiti litter knife gangs gang pcso pcsos mps mp mayor borough ward estate tube bus taxi uber deliveroo brexit nitrous ketamine heroin cannabis weed cocaine "
    "mopeds ebikes e-bikes e-scooters airbnb wifi ulez ltn ltns lgbt lgbtq lgbtqia tmo kctmo rbk lancwest please thanks cheers hello hi dear regards yes no ok okay lol".split()
)


@cache
def _given() -> frozenset[str]:
    return word_list("first_names") | word_list("ambiguous_names") | word_list("strict_names")


@cache
def _sure_given() -> frozenset[str]:
    return word_list("first_names") - word_list("ambiguous_names") - word_list("strict_names")


@cache
def _common() -> frozenset[str]:
    return (word_list("common_words") - _sure_given()) | _NEVER


@cache
def _place_starts() -> dict[str, list[tuple[str, ...]]]:
    starts: dict[str, list[tuple[str, ...]]] = {}
    for phrase in phrase_list("places"):
        starts.setdefault(phrase[0], []).append(phrase)
    return {k: sorted(v, key=len, reverse=True) for k, v in starts.items()}


@dataclass(frozen=True, slots=True)
class _Word:
    """A word with its place. `key` is its lower case without a possessive."""

    start: int
    end: int
    text: str
    key: str
    capital: bool
    opens: bool
    """True for the first word of a sentence or line."""

    @property
    def name_end(self) -> int:
        return self.end - 2 if self.text.endswith(_POSSESSIVE) and len(self.text) > 2 else self.end


def _plain_key(word: str) -> str:
    """Return the word in lower case without accents, as the lists hold it."""
    if word.isascii():
        return word.lower()
    return "".join(c for c in unicodedata.normalize("NFD", word.lower()) if not unicodedata.combining(c))


def _words(text: str) -> list[_Word]:
    shouted = sum(map(str.isupper, text)) > sum(map(str.islower, text))
    words: list[_Word] = []
    last = 0
    for m in _WORD.finditer(text):
        between = text[last : m.start()]
        key = _plain_key(m.group())
        key = key.removesuffix("'s")
        opens = not words or any(c in between for c in '.!?\n\r:;•*"(') or " - " in between
        words.append(_Word(m.start(), m.end(), m.group(), key, m.group()[0].isupper() and not shouted, opens))
        last = m.end()
    return words


def _adjacent(text: str, left: _Word, right: _Word) -> bool:
    between = text[left.end : right.start]
    return between in {" ", "  ", ". "} if between != ". " else len(left.text) <= 2


class _Search:
    """One text being searched: words, what is taken already, what is a place."""

    def __init__(self, text: str, taken: Sequence[PersonalData]) -> None:
        self.text = text
        self.words = _words(text)
        self._blocked = bytearray(len(text))
        for t in taken:
            self._blocked[t.start : t.end] = b"\1" * (t.end - t.start)
        self._found = bytearray(len(text))
        self._at = {w.start: i for i, w in enumerate(self.words)}
        self.spans: list[tuple[int, int]] = []
        self._mark_places()

    # -- places ------------------------------------------------------------------------------------------------------

    def _mark_places(self) -> None:
        starts = _place_starts()
        for i, word in enumerate(self.words):
            for phrase in starts.get(word.key, ()) or starts.get(word.text.lower(), ()):
                if self._is_phrase(i, phrase):
                    self._block(i, len(phrase))
                    break
        for i, word in enumerate(self.words):
            if word.key in _ANY_PLACE_TYPES | _WEAK_PLACE_TYPES | _SHOP_TYPES and i:
                self._mark_place_before(i)

    def _is_phrase(self, i: int, phrase: tuple[str, ...]) -> bool:
        words = [p for p in phrase if p != "&"]
        if i + len(words) > len(self.words):
            return False
        here = self.words[i : i + len(words)]
        same = all(w.text.lower() == p or w.key == p for w, p in zip(here, words, strict=True))
        if not same:
            return False
        if len(words) == 1 and words[0] in _given() | word_list("surnames"):
            # "Stanley", "Victoria", "Holland": a place only where the words around say place, or nothing says person
            word = here[0]
            named = _INTRODUCING.search(self.text[: word.start][-40:]) or (i and self.words[i - 1].key in _TITLES)
            joined = (
                i + 1 < len(self.words)
                and self.words[i + 1].capital
                and self.words[i + 1].key not in _common()
                and _adjacent(self.text, word, self.words[i + 1])
            )
            after_given = (
                i
                and self.words[i - 1].key in _given()
                and self.words[i - 1].capital
                and _adjacent(self.text, self.words[i - 1], word)
            )
            return not (named or joined or after_given)
        return True

    def _mark_place_before(self, i: int) -> None:
        """Block the run of capitalised words that leads to a place type."""
        kind = self.words[i]
        first = i
        while (
            first and _adjacent(self.text, self.words[first - 1], self.words[first]) and self._may_name_place(first - 1)
        ):
            first -= 1
        saint = self.words[first].key in {"st", "saint", "queen", "king"}
        if first == i or (not kind.capital and self.words[i - 1].text.endswith(_POSSESSIVE) and not saint):
            return
        if kind.key in _SHOP_TYPES and not kind.capital:
            return
        weak = kind.key in _WEAK_PLACE_TYPES
        run = self.words[first:i]
        if weak and not kind.capital and (any(w.key in _sure_given() for w in run) or not all(w.capital for w in run)):
            return
        if weak and i - first == 1 and kind.capital and self.words[first].key in _given():
            before = self.text[max(0, self.words[first].start - 12) : self.words[first].start]
            if not _PLACE_BEFORE.search(before):
                return
        if (
            not kind.capital
            and not weak
            and kind.key
            in {
                "st",
                "high",
                "line",
                "day",
                "report",
                "act",
                "law",
                "hub",
                "works",
                "sports",
                "bus",
                "trust",
                "homes",
                "review",
                "pub",
                "market",
                "tube",
            }
            and kind.key not in {"law", "pub", "market"}
        ):
            return
        self._block(first, i - first + 1)

    def _may_name_place(self, i: int) -> bool:
        word = self.words[i]
        if word.key in {"the", "and", "of", "a", "our", "my"} or word.key in _TITLES - {
            "sir",
            "lady",
            "lord",
            "father",
        }:
            return False
        if word.capital:
            return not (word.opens and word.key in _common())
        return word.key in _given() | word_list("surnames") and word.key not in _common()

    def _block(self, first: int, n: int) -> None:
        start, end = self.words[first].start, self.words[first + n - 1].end
        self._blocked[start:end] = b"\1" * (end - start)

    def is_free(self, word: _Word) -> bool:
        """Return whether the word belongs to nothing that was found or is a place."""
        return not any(self._blocked[word.start : word.end]) and not any(self._found[word.start : word.end])

    # -- people ------------------------------------------------------------------------------------------------------

    def add(self, start: int, end: int) -> None:
        """Keep a name."""
        if start < end and not any(self._blocked[start:end]):
            self._found[start:end] = b"\1" * (end - start)
            self.spans.append((start, end))

    def take_run(self, i: int, *, most: int = 3) -> int:
        """Keep word i and the family name behind it; return the index after."""
        last = i
        j = i + 1
        while (
            j < len(self.words)
            and j - i < most
            and _adjacent(self.text, self.words[j - 1], self.words[j])
            and not self.words[j - 1].text.endswith(_POSSESSIVE)
        ):
            word = self.words[j]
            if not self.is_free(word) or (
                word.text.isupper() and len(word.text) > 2 and word.capital and not self.words[i].text.isupper()
            ):
                break
            if self._continues_name(j):
                last = j
            elif word.key not in _CONNECTORS:
                break
            j += 1
        self.add(self.words[i].start, self.words[last].name_end)
        return last + 1

    def _continues_name(self, j: int) -> bool:
        word = self.words[j]
        if word.capital:
            if len(word.text) == 1:
                return word.key != "i"
            if self.words[j - 1].key in _sure_given() and not word.text.isupper():
                return word.key not in _NEVER | _ANY_PLACE_TYPES
            if word.key in _WEAK_PLACE_TYPES:
                return False
            return (
                word.key not in _common()
                or word.key in word_list("surnames")
                or (word.key in _given() and word.key not in {"will", "may"})
            )
        return word.key in word_list("surnames") and word.key not in _common()

    def find_titled(self) -> None:
        """Keep what stands behind a title."""
        for i, word in enumerate(self.words[:-1]):
            nxt = self.words[i + 1]
            if (
                word.key not in _TITLES
                or self.text[word.end : nxt.start] not in {" ", ". ", "  ", "."}
                or not self.is_free(nxt)
            ):
                continue
            plain = nxt.key in _common() and nxt.key not in word_list("surnames")
            if nxt.key in _CONNECTORS and word.capital:
                self._take_connected(i + 1)
                continue
            if (
                nxt.capital
                and (not plain)
                and nxt.key not in _TITLES
                and (not nxt.text.isupper() or len(nxt.text) > 3 or len(nxt.text) == 1)
            ):
                self.take_run(i + 1)
            elif (
                word.key in _STRONG_TITLES | _PLAIN_TITLES
                and not plain
                and not nxt.capital
                and nxt.key not in _TITLES
                and len(nxt.key) > 1
            ) and (word.key in {"mr", "mrs", "mister"} or nxt.key in _given() | word_list("surnames")):
                self.take_run(i + 1, most=2)

    def _take_connected(self, i: int) -> None:
        """Keep a family name that begins with connectors: "van der Berg"."""
        j = i
        while j < len(self.words) and self.words[j].key in _CONNECTORS and not self.words[j].capital:
            j += 1
        if i < j < len(self.words) and self.words[j].capital and self.is_free(self.words[j]):
            self.add(self.words[i].start, self.words[j].name_end)

    def find_given(self) -> None:
        """Keep given names, with the family names behind them."""
        i = 0
        while i < len(self.words):
            word = self.words[i]
            if word.key in _given() and self.is_free(word) and self._is_given_name(i):
                i = self.take_run(i)
            else:
                i += 1

    def _is_given_name(self, i: int) -> bool:
        word, text = self.words[i], self.text
        before = text[max(0, word.start - 40) : word.start]
        if (
            _SAINT_BEFORE.search(before)
            or text[word.end : word.end + 1] in {"@", "_"}
            or ("'" in word.key[:-1] and word.key not in _given())
        ):
            return False
        nxt = self.words[i + 1] if i + 1 < len(self.words) and _adjacent(text, word, self.words[i + 1]) else None
        family = (
            nxt is not None
            and nxt.capital
            and self.is_free(nxt)
            and (nxt.key not in _common() or nxt.key in word_list("surnames"))
            and len(nxt.text) > 1
            and not nxt.text.isupper()
        )
        lower_family = (
            nxt is not None and not nxt.capital and nxt.key in word_list("surnames") and nxt.key not in _common()
        )
        if re.search(r"\bthe\s$", before, re.IGNORECASE) and not lower_family:
            return False
        if word.key in _sure_given():
            return True
        if word.capital and family and word.key not in {"will", "may"} | _TITLES:
            return not (
                word.key in word_list("strict_names")
                and _PLACE_BEFORE.search(before)
                and nxt is not None
                and nxt.key not in word_list("surnames")
            )
        if (
            word.capital
            and family
            and nxt is not None
            and (nxt.key in word_list("surnames") or not word.opens)
            and not _MONTH_BEFORE.search(before)
        ):
            return True
        if _NAMING.search(before) and (word.capital or word.key not in {"the", "a", "will", "may"}):
            return True
        if not word.capital:
            return lower_family and word.key not in _common()
        after = text[word.end : word.end + 40]
        if _INTRODUCING.search(before):
            return True
        if word.key in word_list("strict_names"):
            if _MET.search(before) and not word.opens:
                return True
            if _KIN.search(before) or (word.key == "will" and not word.opens and not _ASKING.match(after)):
                return True
            if _SPEAKING.match(after) and not _MONTH_BEFORE.search(before):
                return True
            if word.key not in _SEASONS and _AFTER_PERSON.match(after) and not _MONTH_BEFORE.search(before):
                return True
            return (
                not _MONTH_BEFORE.search(before)
                and bool(_RELATION.search(before))
                and bool(_AFTER_PERSON.match(after) or re.match(r"\s?[,.!?)]|'s|$", after))
            )
        if not word.opens:
            return not _MONTH_BEFORE.search(before) or bool(_AFTER_PERSON.match(after))
        return (
            bool(_AFTER_PERSON.match(after))
            or bool(re.match(r"\s(?:and|&)\s[A-Z]", after))
            or (word.key not in _common() and bool(re.match(r"'s|\s(?:is|was|and|at|from)\b", after)))
        )

    def find_initialled(self) -> None:
        """Keep an initial with the family name behind it, and families: "B. Whitcombe", "the Ahmeds", "the Khan family"."""
        surnames = word_list("surnames")
        for i, word in enumerate(self.words[:-1]):
            nxt = self.words[i + 1]
            if not nxt.capital or not self.is_free(nxt):
                continue
            if len(word.text) == 1 and word.capital and word.key != "i" and self.is_free(word):
                dotted = self.text[word.end : nxt.start] in {". ", "."}
                if (
                    (dotted or (self.text[word.end : nxt.start] == " " and nxt.key in surnames))
                    and nxt.key not in _common()
                    and len(nxt.text) > 1
                    and not nxt.text.isupper()
                ):
                    self.take_run(i)
            elif word.key == "the" and _adjacent(self.text, word, nxt):
                family = (
                    i + 2 < len(self.words)
                    and self.words[i + 2].key in {"family", "brothers", "boys", "lot", "household"}
                    and _adjacent(self.text, nxt, self.words[i + 2])
                )
                if (nxt.key.endswith("s") and nxt.key[:-1] in surnames and nxt.key not in surnames | _common()) or (
                    family and nxt.key not in _common()
                ):
                    self.add(nxt.start, nxt.name_end)

    def find_by_context(self) -> None:
        """Keep unknown words with a capital where the words around them leave little else to be meant."""
        for run in self._open_runs():
            if self._is_introduced(run):
                self.add(run[0].start, run[-1].name_end)
        for i, word in enumerate(self.words):
            if word.capital or word.key in _common() or len(word.key) < 3 or word.opens or not self.is_free(word):
                continue
            before = self.text[max(0, word.start - 60) : word.start]
            after = self.text[word.end : word.end + 12]
            told = _KIN.search(before) and not word.key.endswith(("s", "ed", "ing")) and _LOWER_AFTER.match(after)
            if told or (_NAMING.search(before) and self.words[i - 1].key not in {"a", "the"}):
                self.take_run(i, most=2)

    def _is_introduced(self, run: list[_Word]) -> bool:
        if not self._has_name_form(run) or len(run) > 3:
            return False
        first, last = run[0], run[-1]
        if len(run) == 1 and first.key in word_list("strict_names"):
            return False
        before = self.text[max(0, first.start - 60) : first.start]
        after = self.text[last.name_end : last.name_end + 40]
        if first.opens:
            signed = bool(
                re.search(
                    r"(?i)\b(?:regards|signed|thanks|sincerely|faithfully|cheers|rip|love)\s{0,2}[,.:]?\s{0,3}$", before
                )
            )
            follows = _AFTER_PERSON.match(after) and not _LOOSE_AFTER.match(after)
            return signed or bool(follows) or self._is_listed(first)
        if _NAMING.search(before) or _KIN.search(before) or _ROLE.search(before) or self._is_listed(first):
            return True
        if _SELF.search(before):
            return bool(re.match(r"\s?(?:,|\.|!|and i\b|and we\b|from\b|here\b|$)", after, re.IGNORECASE))
        if _DIRECT.search(before):
            return True
        return bool(_AFTER_PERSON.match(after)) and not _PLACE_BEFORE.search(before)

    def _has_name_form(self, run: list[_Word]) -> bool:
        before = self.text[max(0, run[0].start - 10) : run[0].start]
        if _SAINT_BEFORE.search(before) or re.search(r"\d\s$", before):
            return False
        if any(
            w.text.isupper()
            or (len(w.text) < 3 and w.key not in _given() | word_list("surnames"))
            or w.key in _ANY_PLACE_TYPES
            for w in run
        ):
            return False
        if any("-" in w.key and set(w.key.split("-")) & _common() for w in run):
            return False
        return not _PEOPLES.search(run[-1].key) or len(run) > 1

    def unexplained(self) -> list[tuple[int, int]]:
        """Return the sentences with a run of capitalised words that lists and places leave open and that may be a person."""
        found: list[tuple[int, int]] = []
        for run in self._open_runs():
            first, last = run[0], run[-1]
            if (found and first.start < found[-1][1]) or not self._may_be_person(run):
                continue
            end = _SENTENCE_END.search(self.text, last.end)
            begin = found[-1][1] if found else 0
            for stop in _SENTENCE_END.finditer(self.text, max(begin, first.start - _SENTENCE_CHARS), first.start):
                begin = stop.end()
            found.append((begin, min(end.end() if end else len(self.text), last.end + _SENTENCE_CHARS)))
        return found

    def _open_runs(self) -> list[list[_Word]]:
        runs: list[list[_Word]] = []
        for w in self.words:
            if (
                not w.capital
                or w.key in _TITLES
                or (w.text.isupper() and len(w.text) > 1)
                or len(w.key) == 1
                or (w.key in _common() and w.key not in word_list("surnames"))
                or not self.is_free(w)
            ):
                continue
            if runs and _adjacent(self.text, runs[-1][-1], w):
                runs[-1].append(w)
            else:
                runs.append([w])
        return [r for r in runs if not all(w.key in _common() for w in r)]

    def find_statistical(self) -> None:
        """Keep open runs that the recogniser takes for persons, or that no dictionary holds and nothing speaks against."""
        entities = [
            (b + s, b + e, label) for b, stop in self.unexplained() for s, e, label in find_entities(self.text[b:stop])
        ]
        for run in self._open_runs():
            labels = {label for s, e, label in entities if s < run[-1].end and run[0].start < e}
            if self._is_person(run, labels):
                self.add(run[0].start, run[-1].name_end)

    def _may_be_person(self, run: list[_Word]) -> bool:
        """Return whether asking the recogniser can matter."""
        before = self.text[max(0, run[0].start - 30) : run[0].start]
        if not self._has_name_form(run) or len(run) > 3 or (len(run) == 1 and run[0].key in word_list("strict_names")):
            return False
        return not _AT_PLACE.search(before) or run[-1].text.endswith(_POSSESSIVE)

    def _is_person(self, run: list[_Word], labels: set[str]) -> bool:
        if not self._may_be_person(run):
            return False
        unheard = not any(is_english(w.key) for w in run)
        after = self.text[run[-1].name_end : run[-1].name_end + 40]
        known = any(w.key in _given() or w.key in word_list("surnames") for w in run)
        if "PERSON" in labels:
            return unheard or (known and len(run) > 1) or not run[0].opens or bool(_AFTER_PERSON.match(after))
        if not unheard or labels & _PLACE_LABELS:
            return False
        return not run[0].opens or bool(_AFTER_PERSON.match(after)) or bool(_DOES.match(after))

    def _is_place(self, word: _Word) -> bool:
        return any(self._blocked[word.start : word.end])

    def _is_listed(self, word: _Word) -> bool:
        """Return whether a known given name stands beside it in a list: "Kaiden and Mehdi"."""
        i = self._at[word.start]
        for a, b, other in ((i, i + 1, i + 2), (i - 2, i - 1, i - 2)):
            joined = a >= 0 and other < len(self.words) and self.words[b].key == "and"
            if (
                joined
                and self.words[other].capital
                and self.words[other].key in _sure_given()
                and not self._is_place(self.words[other])
            ):
                return True
        return False


def find_names(text: str, taken: Sequence[PersonalData] = ()) -> tuple[PersonalData, ...]:
    """Return the names of people, in order, without overlap, clear of what is taken already."""
    search = _Search(text.translate(PLAIN_MARKS), taken)
    search.find_titled()
    search.find_given()
    search.find_initialled()
    search.find_by_context()
    search.find_statistical()
    return tuple(PersonalData(s, e, Kind.NAME) for s, e in sorted(search.spans))
