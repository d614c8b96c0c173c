"""Codings as files: JSON lines by contract, and flat CSV and Parquet. Written aside, then moved into place."""

import csv
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from models.vocabulary import Codebook, CodedComment, Comment, Problem
from nlp_service.report.run import Disclosure

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
_PARQUET_ROWS: Final = 5_000

Pair = tuple[Comment, CodedComment]


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yield a path beside `path`; move it there when the block ends well, remove it when it does not."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    aside = Path(name)
    try:
        yield aside
        aside.chmod(0o666 & ~_umask())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def coding_line(comment: Comment, coded: CodedComment) -> str:
    """Return a coded comment as a line of a codings file, without the line break.

    Beside the contract's keys stand `respondent`, where one person can have several comments, `question`, if there are several, and
    `session` for what was said in a workshop.
    """
    more: dict[str, str] = {}
    if comment.respondent is not None and str(comment.respondent) != str(comment.id):
        more["respondent"] = comment.respondent
    if comment.question is not None:
        more["question"] = comment.question
    if comment.session is not None:
        more["session"] = comment.session
    document = {
        "comment_id": coded.comment_id,
        "themes": [
            {"theme": c.theme, "probability": c.probability, "evidence": [[s.start, s.end] for s in c.evidence]}
            for c in coded.codings
        ],
        "unsure": list(coded.unsure),
        "probabilities": dict(coded.probabilities),
        "model": coded.model,
        "codebook": coded.codebook,
        **more,
    }
    return json.dumps(document, ensure_ascii=False)


def write_jsonl(path: Path, pairs: Sequence[Pair]) -> None:
    """Write a codings file, one line a comment, in order."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for comment, coded in pairs:
            file.write(coding_line(comment, coded) + "\n")


def write_csv(path: Path, pairs: Sequence[Pair], codebook: Codebook) -> None:
    """Write a table with a row a comment: themes and unsure joined by "; ", evidence as JSON, a column a probability.

    A cell that a spreadsheet would take for a formula starts with an apostrophe.
    """
    names = [f"probability {t.id}" for t in codebook.codable]
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        out = csv.writer(file)
        head = (
            "comment_id",
            "question",
            "text",
            "themes",
            "unsure",
            "evidence",
            "model",
            "codebook",
            "respondent",
            *names,
        )
        out.writerow([plain_cell(name) for name in head])
        for comment, coded in pairs:
            evidence = {c.theme: [[s.start, s.end] for s in c.evidence] for c in coded.codings}
            cells = (
                comment.id,
                comment.question or "",
                comment.text,
                "; ".join(coded.themes),
                "; ".join(coded.unsure),
                json.dumps(evidence),
                coded.model,
                coded.codebook,
                comment.respondent or "",
            )
            out.writerow([*map(plain_cell, cells), *(p for _, p in coded.probabilities)])


def plain_cell(text: str) -> str:
    """Return the text so that no spreadsheet program reads it as a formula."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def write_parquet(path: Path, pairs: Sequence[Pair], codebook: Codebook) -> None:
    """Write a Parquet table with a row a comment; themes, unsure and evidence as lists, a column a probability."""
    import pyarrow as pa  # noqa: PLC0415 -- a heavy library, in this module only
    import pyarrow.parquet as pq  # noqa: PLC0415

    names = [f"probability {t.id}" for t in codebook.codable]
    evidence = pa.struct([("theme", pa.string()), ("start", pa.int64()), ("end", pa.int64())])
    texts = [(n, pa.string()) for n in ("comment_id", "question", "text")]
    lists = [("themes", pa.list_(pa.string())), ("unsure", pa.list_(pa.string())), ("evidence", pa.list_(evidence))]
    schema = pa.schema(
        [
            *texts,
            *lists,
            ("model", pa.string()),
            ("codebook", pa.string()),
            ("respondent", pa.string()),
            *((n, pa.float64()) for n in names),
        ]
    )
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, len(pairs), _PARQUET_ROWS):
            rows = [_parquet_row(c, coded, names) for c, coded in pairs[start : start + _PARQUET_ROWS]]
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))


def _parquet_row(comment: Comment, coded: CodedComment, names: Sequence[str]) -> dict[str, Any]:
    spans = [{"theme": c.theme, "start": s.start, "end": s.end} for c in coded.codings for s in c.evidence]
    return {
        "comment_id": comment.id,
        "question": comment.question,
        "text": comment.text,
        "themes": list(coded.themes),
        "unsure": list(coded.unsure),
        "evidence": spans,
        "model": coded.model,
        "codebook": coded.codebook,
        "respondent": comment.respondent,
        **dict(zip(names, (p for _, p in coded.probabilities), strict=True)),
    }


def write_problems(path: Path, problems: Sequence[Problem]) -> None:
    """Write problems as JSON lines: file, row, column, code, found, next_step."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for p in problems:
            line = {
                "file": p.file,
                "row": p.row,
                "column": p.column,
                "code": p.code,
                "found": p.found,
                "next_step": p.next_step,
            }
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def write_disclosures(path: Path, disclosures: Sequence[Disclosure]) -> None:
    """Write the comments to read first as JSON lines: comment_id, probability, row, question; no text."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for d in disclosures:
            line = {"comment_id": d.comment_id, "probability": d.probability, "row": d.row, "question": d.question}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


Writer = Callable[[Path, Sequence[Pair]], None]
