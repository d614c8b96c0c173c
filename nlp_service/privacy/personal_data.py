"""What counts as personal data here, and a finding of it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

PLAIN_MARKS: Final = str.maketrans(
    "\u2018\u2019\u02bc\u201c\u201d\u2010\u2011\u2012\u2013\u2014\u00a0\u202f\t", "'''\"\"-----   "
)
"""Quotes, dashes and blanks as people's keyboards write them, made plain one for one: no offset moves."""


class Kind(StrEnum):
    """A kind of personal data. The value stands in square brackets where the words stood."""

    NAME = "NAME"
    """A person's name: resident, neighbour, officer, victim, official alike. Titles and roles stay."""
    ADDRESS = "ADDRESS"
    """A dwelling or door: number and street, flat and building. A street or area alone is a place, not personal data."""
    POSTCODE = "POSTCODE"
    """A full postcode. A district ("W10") is a place."""
    PHONE = "PHONE"
    """A telephone number, other than freephone, helpline and emergency numbers."""
    EMAIL = "EMAIL"
    NI_NUMBER = "NI NUMBER"
    NHS_NUMBER = "NHS NUMBER"
    VEHICLE = "VEHICLE"
    """A number plate."""
    REFERENCE = "REFERENCE"
    """A crime, case, incident, complaint or penalty reference, or an officer's shoulder number."""
    URL = "URL"
    HANDLE = "HANDLE"
    """A name in a social network."""


@dataclass(frozen=True, slots=True, order=True)
class PersonalData:
    """One finding: half-open offsets in code points of the text that was searched."""

    start: int
    end: int
    kind: Kind

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ValueError(f"a finding runs forward and holds something: [{self.start}, {self.end})")

    @property
    def replacement(self) -> str:
        """Return what stands for it in a redacted text: `[NAME]`."""
        return f"[{self.kind.value}]"
