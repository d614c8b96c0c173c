"""The report as JSON: every figure of the other forms, for other tools and for the next wave's comparison."""

import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from nlp_service.report.content import FORMAT, Report


def to_document(report: Report) -> dict[str, Any]:
    """Return the report as plain objects and lists; shares have six decimals."""
    return {"format": FORMAT, **_plain(report)}


def write_report_json(path: Path, report: Report) -> None:
    """Write the report's document."""
    path.write_text(json.dumps(to_document(report), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return round(value, 6) if isinstance(value, float) else value
