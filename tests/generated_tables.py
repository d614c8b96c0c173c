"""Random tables: every row that goes in is a comment or a listed problem, and text comes through code point by code point."""

import csv
import json
import random
from pathlib import Path

import openpyxl

from nlp_service.ingest.comments import BLANK, ReadingOptions, read_comments

PIECES = (
    "dealers", "noise", "café", "“quoted”", '"', "a,b", "line\nbreak", "\r\n", "=1+1", "👮🏽‍♀️", "e\u0301", "\u05d0\u05d1", "'", ";", "\t", "\u200b", "0", "-",
)  # fmt: skip
BLANKS = ("", " ", "\u200b", "\n")


def make_rows(seed: int) -> list[tuple[str, str]]:
    """Return ids, some of them repeated or blank, with texts, some of them blank."""
    rng = random.Random(seed)
    rows = []
    for i in range(rng.randint(1, 30)):
        row_id = rng.choice(("", f"r{rng.randint(0, i)}")) if rng.random() < 0.15 else f"r{i}"
        text = (
            rng.choice(BLANKS) if rng.random() < 0.2 else " ".join(rng.choice(PIECES) for _ in range(rng.randint(1, 8)))
        )
        rows.append((row_id, text))
    rows.append((f"r{len(rows)}", "a last answer"))
    return rows


def write_table(path: Path, rows: list[tuple[str, str]], seed: int) -> None:
    rng = random.Random(seed)
    if path.suffix == ".jsonl":
        path.write_text(
            "".join(json.dumps({"id": i, "text": t}, ensure_ascii=seed % 2 == 0) + "\n" for i, t in rows),
            encoding="utf-8",
        )
    elif path.suffix == ".xlsx":
        book = openpyxl.Workbook(write_only=True)
        sheet = book.create_sheet("Answers")
        for row in (("id", "text"), *rows):
            cells = [openpyxl.cell.WriteOnlyCell(sheet, value=v) for v in row]
            for cell in cells:
                cell.data_type = "s"
            sheet.append(cells)
        book.save(path)
    else:
        encoding = rng.choice(("utf-8", "utf-8-sig", "utf-16"))
        with path.open("w", encoding=encoding, newline="") as file:
            out = csv.writer(
                file,
                delimiter=rng.choice((",", ";", "\t")),
                lineterminator=rng.choice(("\n", "\r\n")),
                quoting=csv.QUOTE_ALL,
            )
            out.writerow(("id", "text"))
            out.writerows(rows)


def check_table(seed: int, folder: Path) -> tuple[int, int, int]:
    """Return rows, comments and problems of one generated table, after checking every text against what was written."""
    rows = make_rows(seed)
    path = folder / f"table{seed}{('.csv', '.jsonl', '.xlsx')[seed % 3]}"
    write_table(path, rows, seed)
    reading = read_comments([path], ReadingOptions(text=("text",), id_column="id"))
    path.unlink()
    first: dict[str, str] = {}
    for row_id, text in rows:
        if row_id:
            first.setdefault(row_id, text)
    for comment in reading.comments:
        expected = first[comment.id]
        if path.suffix == ".xlsx":  # XML itself turns a carriage return into a line feed
            expected, got = expected.replace("\r\n", "\n"), comment.text.replace("\r\n", "\n")
            assert got.replace("_x000D_", "") == expected.replace("\r", ""), path.name
        else:
            assert comment.text == expected, path.name
    assert len({c.id for c in reading.comments}) == len(reading.comments)
    assert all(p.row and p.code for p in reading.problems)
    assert all(p.code in (BLANK, "blank_id", "duplicate_id") for p in reading.problems)
    return len(rows), len(reading.comments), len(reading.problems)
