"""The NHS comments of `../shared/data/nhs_v6` as decisions, and their splits, by the protocol in that folder's README."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.codebook import read_codebook
from models.vocabulary import Codebook, Comment, CommentId, DecidedComment, RespondentId, ThemeId

FILE: Final = Path(__file__).parents[2] / "shared" / "data" / "nhs_v6" / "v6framework_230831.csv"
CODEBOOK: Final = Path(__file__).with_name("nhs_codebook.yaml")
MIN_POSITIVES: Final = 20

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class NhsData:
    """Comments with themes, the codebook they fit, and each one's trust."""

    decided: list[DecidedComment]
    codebook: Codebook
    trusts: tuple[str, ...]


def read_nhs(path: Path = FILE) -> NhsData:
    """Return the comments that have text and a theme, with the 38 themes of 20 positives or more."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = list(rows[0])
    names = columns[columns.index("Not assigned") :]
    rows = [r for r in rows if r["FFT answer"].strip() and any(r[n] == "1" for n in names)]
    kept = [n for n in names if sum(r[n] == "1" for r in rows) >= MIN_POSITIVES]
    codebook = read_codebook(CODEBOOK)
    theme_of = {t.label: t.id for t in codebook.codable}
    if set(theme_of) != set(kept):
        raise ValueError(f"the codebook's labels must be the file's columns: {sorted(set(theme_of) ^ set(kept))}")
    decided = [
        DecidedComment(
            Comment(
                CommentId(str(i)),
                r["FFT answer"],
                respondent=RespondentId(r["Respondent ID"]) if r["Respondent ID"].strip() else None,
                row=i + 1,
            ),
            frozenset(ThemeId(theme_of[n]) for n in kept if r[n] == "1"),
            source=r["Trust"],
        )
        for i, r in enumerate(rows)
    ]
    return NhsData(decided, codebook, tuple(r["Trust"] for r in rows))


def random_split(n: int) -> tuple[Rows, Rows]:
    """Return training and test rows: scikit-learn's 80/20 with seed 42."""
    from sklearn.model_selection import train_test_split  # noqa: PLC0415

    inside, outside = train_test_split(np.arange(n), test_size=0.2, random_state=42)
    return np.asarray(inside), np.asarray(outside)


def grouped_split(data: NhsData, *, seed: int = 42) -> tuple[Rows, Rows]:
    """Return training and test rows, 80/20, no text on both sides, case and punctuation apart."""
    from sklearn.model_selection import GroupShuffleSplit  # noqa: PLC0415

    texts = np.array([" ".join(re.sub(r"[^a-z0-9]", " ", d.comment.text.lower()).split()) for d in data.decided])
    split = GroupShuffleSplit(1, test_size=0.2, random_state=seed)
    inside, outside = next(split.split(texts, groups=texts))
    return np.asarray(inside), np.asarray(outside)


def trust_split(data: NhsData, train_on: str) -> tuple[Rows, Rows]:
    """Return the rows of one trust, and of the other."""
    inside = np.array([t == train_on for t in data.trusts])
    return np.flatnonzero(inside), np.flatnonzero(~inside)
