"""Where benchmark figures go: printed, and written as JSON under benchmarks/out/."""

import json
from pathlib import Path
from typing import Any

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
OUT = Path(__file__).parent / "out"


def publish(name: str, figures: dict[str, Any], bars: dict[str, tuple[str, float]]) -> None:
    """Print figures and, for each bar (">=" or "<=", value), whether it is met; write all as JSON."""
    verdicts = {}
    for key, (sign, bar) in bars.items():
        met = figures[key] >= bar if sign == ">=" else figures[key] <= bar
        verdicts[key] = {"bar": f"{sign} {bar}", "met": bool(met)}
    for key, value in figures.items():
        verdict = (
            f"   bar {verdicts[key]['bar']}: {'met' if verdicts[key]['met'] else 'MISSED'}" if key in verdicts else ""
        )
        print(f"{name}  {key}: {value}{verdict}")
    OUT.mkdir(exist_ok=True)
    (OUT / f"{name}.json").write_text(json.dumps({"figures": figures, "bars": verdicts}, indent=1) + "\n")
