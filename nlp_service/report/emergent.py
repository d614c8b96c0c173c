"""Candidate themes for the report, from the file that `themes candidates` wrote: names and counts, no shares."""

import json
from pathlib import Path
from typing import Final

from models.vocabulary import ThemesError
from nlp_service.report.content import Emergent

MAX_FILE_BYTES: Final = 100_000_000


class CandidatesFileError(ThemesError):
    """A candidates file cannot be used."""

    code = "candidates_file_invalid"


def read_emergent(path: Path) -> tuple[Emergent, ...]:
    """Return the candidates of a file, those of most comments first; CandidatesFileError if it is none."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise _refused(path, f"is larger than {MAX_FILE_BYTES} bytes")
        found = [
            Emergent(str(entry["name"]), int(entry["n_comments"]), tuple(map(str, entry["phrases"])))
            for entry in json.loads(path.read_text(encoding="utf-8"))["candidates"]
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _refused(path, f"is no candidates file ({type(error).__name__})") from error
    return tuple(sorted(found, key=lambda e: (-e.n_comments, e.label)))


def _refused(path: Path, found: str) -> CandidatesFileError:
    return CandidatesFileError(
        f"{path.name} {found}.",
        allowed="a file that `themes candidates` wrote.",
        next_step="find the candidates again.",
    )
