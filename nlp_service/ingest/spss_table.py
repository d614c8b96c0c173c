"""SPSS files (.sav, .zsav) through pyreadstat: the header's sizes first, then variables with their labels.

A column's name is the variable's label (the question), its short name the variable. Coded answers are read as their labels, in the order of
their codes; user-missing values are blank. Layout of the header: "System File Format", GNU PSPP developers' guide, appendix B.
"""

import datetime as dt
import io
import struct
from collections import Counter
from typing import Any, Final

import pyreadstat

from nlp_service.ingest.table import (
    MAX_CELL_CHARS,
    MAX_COLUMNS,
    MAX_ROWS,
    ColumnFacts,
    InputRefusedError,
    Row,
    Table,
    check_cells,
    too_many,
)

MAGIC: Final = (b"$FL2", b"$FL3")
MAX_UNPACKED_BYTES: Final = 400_000_000
_HEADER: Final = "64x5i"
"""Layout code, 8-byte units a case, compression (0 none, 1 by byte codes, 2 zlib), weight, number of cases (-1: it does not say)."""
_HEADER_BYTES: Final = 176
_LAYOUTS: Final = (2, 3)
_MAX_CODE_RATIO: Final = 8
"""Byte codes pack eight bytes into one at best."""
_ZLIB: Final = 2
_EXACT_BELOW: Final = 1e15


def read_sav(name: str, data: bytes) -> Table:
    """Return the table in an SPSS file; the first case is row 2, as in a workbook.

    Raises
    ------
    InputRefusedError
        If it is damaged or encrypted, or a limit is passed.
    """
    _audit(name, data)
    try:
        cells, about = pyreadstat.read_sav(io.BytesIO(data), output_format="dict", row_limit=MAX_ROWS + 1)
    except (
        pyreadstat.ReadstatError,
        pyreadstat.PyreadstatError,
        ValueError,
        OverflowError,
        MemoryError,
        UnicodeError,
        KeyError,
    ) as error:
        raise _damaged(name) from error
    variables = list(about.column_names)
    if not variables:
        raise _damaged(name)
    if len(variables) > MAX_COLUMNS:
        raise too_many("columns", len(variables), MAX_COLUMNS, name)
    n_rows = len(cells[variables[0]])
    if n_rows > MAX_ROWS:
        raise too_many("rows", n_rows, MAX_ROWS, name)
    check_cells(name, n_rows, len(variables))
    columns = [_column(name, cells[v], about.variable_value_labels.get(v, {})) for v in variables]
    facts = tuple(_facts(v, about) for v in variables)
    rows = tuple(Row(i, tuple(row)) for i, row in enumerate(zip(*columns, strict=True), 2))
    return Table(name, _names(variables, about), rows, facts=facts)


def _names(variables: list[str], about: Any) -> tuple[str, ...]:
    """Return the question behind each variable; where several have the same one, the variable goes with it."""
    labels = [" ".join((about.column_names_to_labels.get(v) or v).split()) or v for v in variables]
    times = Counter(labels)
    return tuple(f"{label} ({v})" if times[label] > 1 else label for label, v in zip(labels, variables, strict=True))


def _facts(variable: str, about: Any) -> ColumnFacts:
    coded = about.variable_value_labels.get(variable, {})
    missing = set(about.missing_user_values.get(variable, ()))
    numbers = sorted((code for code in coded if not isinstance(code, str)), key=float)
    texts = sorted(code for code in coded if isinstance(code, str))
    labels = tuple(dict.fromkeys(_label(coded[code]) for code in (*numbers, *texts) if code not in missing))
    ordinal = about.variable_measure.get(variable) == "ordinal"
    for group in about.mr_sets.values():
        if variable in group.get("variable_list", ()) and group.get("label") and group.get("is_dichotomy"):
            option = about.column_names_to_labels.get(variable) or variable
            return ColumnFacts(str(group["label"]), " ".join(option.split()), variable, labels)
    return ColumnFacts(alias=variable, labels=labels, is_ordered=ordinal and bool(labels))


def _column(name: str, values: Any, labels: dict[Any, str]) -> list[str]:
    named = {code: _label(label) for code, label in labels.items()}
    found = [named[v] if _is_code(v, named) else _cell(v) for v in values]
    if any(len(cell) > MAX_CELL_CHARS for cell in found):
        raise too_many("characters in a cell", MAX_CELL_CHARS + 1, MAX_CELL_CHARS, name)
    return found


def _is_code(value: object, named: dict[Any, str]) -> bool:
    return isinstance(value, str | float | int) and value in named


def _label(label: object) -> str:
    return " ".join(str(label).split())


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        if value != value:  # system-missing is not a number
            return ""
        return str(int(value)) if value.is_integer() and abs(value) < _EXACT_BELOW else str(value)
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() else value.isoformat(sep=" ")
    return value.isoformat() if isinstance(value, dt.date | dt.time) else str(value)


def _audit(name: str, data: bytes) -> None:
    """Raise unless the sizes in the header are ones that such a file can have."""
    if len(data) < _HEADER_BYTES:
        raise _damaged(name)
    for order in "<>":
        layout, units, compression, _, cases = struct.unpack_from(order + _HEADER, data)
        if layout in _LAYOUTS:
            break
    else:
        raise _damaged(name)
    case_bytes = max(8, units * 8)
    bound = len(data) * _MAX_CODE_RATIO if compression != _ZLIB else None
    if cases < 0:
        unpacked = bound if bound is not None else MAX_UNPACKED_BYTES + 1
    else:
        unpacked = cases * case_bytes
        if bound is not None and units > 0 and unpacked > bound:
            raise _damaged(name)
    if unpacked > MAX_UNPACKED_BYTES:
        raise InputRefusedError(
            "suspicious_table",
            f"{name} declares {unpacked // 1_000_000} MB unpacked."
            if cases >= 0
            else f"{name} is packed and does not say how much it holds.",
            allowed=f"at most {MAX_UNPACKED_BYTES // 1_000_000} MB unpacked.",
            next_step="save it as .sav without compression by zlib, with fewer variables, or as CSV.",
        )


def _damaged(name: str) -> InputRefusedError:
    return InputRefusedError(
        "damaged_table",
        f"{name} cannot be read as an SPSS file.",
        allowed="undamaged .sav files without a password.",
        next_step="save it again, or export it as CSV.",
    )
