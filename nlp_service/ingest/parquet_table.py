"""Parquet files through pyarrow: declared sizes first, then row group by row group; columns of text, numbers, dates and truth values."""

import datetime as dt
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from nlp_service.ingest.table import (
    MAX_CELL_CHARS,
    MAX_COLUMNS,
    MAX_ROWS,
    InputRefusedError,
    Row,
    Table,
    check_cells,
    make_columns,
    too_many,
)

MAGIC: Final = b"PAR1"
MAX_UNPACKED_BYTES: Final = 1_000_000_000
_BATCH_ROWS: Final = 4_096
_EXACT_BELOW: Final = 1e15


def read_parquet(name: str, data: bytes) -> Table:
    """Return the table in a Parquet file; the first row under the names is row 2, as in a workbook.

    Raises
    ------
    InputRefusedError
        If it is damaged or encrypted, or a limit is passed.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        about = file.metadata
        names = [str(field.name) for field in file.schema_arrow]
        if about.num_rows > MAX_ROWS:
            raise too_many("rows", about.num_rows, MAX_ROWS, name)
        if len(names) > MAX_COLUMNS:
            raise too_many("columns", len(names), MAX_COLUMNS, name)
        check_cells(name, about.num_rows, len(names))
        declared = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
        if declared > MAX_UNPACKED_BYTES:
            raise _suspicious(name, f"{declared // 1_000_000} MB unpacked")
        return Table(name, make_columns(names), tuple(_rows(name, file)))
    except InputRefusedError:
        raise
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise InputRefusedError(
            "damaged_table",
            f"{name} cannot be read as Parquet.",
            allowed="undamaged Parquet files without encryption.",
            next_step="export it again, or as CSV.",
        ) from error


def _rows(name: str, file: Any) -> list[Row]:
    """Return all rows. Text is read as a dictionary, so that an answer that comes a million times is in memory once."""
    rows: list[Row] = []
    n_chars = 0
    for batch in file.iter_batches(batch_size=_BATCH_ROWS):
        columns = []
        for column in batch.columns:
            is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
            encoded = column.dictionary_encode() if is_text else column
            if pa.types.is_dictionary(encoded.type):
                words = [_cell(v) for v in encoded.dictionary.to_pylist()]
                n_chars += sum(len(w or "") for w in words)
                columns.append(["" if i is None else words[i] for i in encoded.indices.to_pylist()])
            else:
                columns.append([_cell(v) for v in column.to_pylist()])
        if n_chars > MAX_UNPACKED_BYTES:
            raise _suspicious(name, "more text than it declares")
        for cells in zip(*columns, strict=True):
            if any(cell is not None and len(cell) > MAX_CELL_CHARS for cell in cells):
                raise too_many("characters in a cell", MAX_CELL_CHARS + 1, MAX_CELL_CHARS, name)
            rows.append(Row(len(rows) + 2, cells))
    return rows


def _cell(value: object) -> str | None:
    """Return a cell as text; None for lists, structures and bytes."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        if value != value:  # not a number: a blank in files written by data frames
            return ""
        return str(int(value)) if value.is_integer() and abs(value) < _EXACT_BELOW else str(value)
    if isinstance(value, dt.datetime):
        plain = value.replace(tzinfo=None)
        return value.date().isoformat() if plain.time() == dt.time() else value.isoformat(sep=" ")
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return str(value) if isinstance(value, int) or type(value).__name__ == "Decimal" else None


def _suspicious(name: str, what: str) -> InputRefusedError:
    return InputRefusedError(
        "suspicious_table",
        f"{name} holds {what}.",
        allowed=f"at most {MAX_UNPACKED_BYTES // 1_000_000} MB unpacked.",
        next_step="export fewer columns, or as CSV.",
    )
