"""Roles of columns on 60 made exports in the layouts of six survey tools: `python -m benchmarks.column_roles`. Fixtures are made by code."""

import sys
from collections import Counter

from benchmarks.report import publish
from tests.made_exports import VENDORS, check_export, make_export

N_EACH = 10


def main() -> None:
    n = right = n_questions = right_questions = n_scales = in_order = fewest = 0
    wrong: Counter[tuple[str, str, str]] = Counter()
    worst: dict[str, float] = {}
    for vendor in VENDORS:
        mine = of = 0
        for seed in range(N_EACH):
            found = check_export(make_export(vendor, 1_000 + seed))
            fewest = min(fewest or len(found), len(found))
            for column, role, ordered in found:
                ok = role == column.role
                n, right, of, mine = n + 1, right + ok, of + 1, mine + ok
                n_questions, right_questions = (
                    n_questions + column.is_question,
                    right_questions + (ok and column.is_question),
                )
                n_scales, in_order = (
                    n_scales + (column.role == "scale"),
                    in_order + (ordered and column.role == "scale"),
                )
                if not ok or not ordered:
                    wrong[(f"{vendor}: {column.name[:60]}", column.role, role)] += 1
        worst[vendor] = round(mine / of, 4)
    for (name, wanted, got), times in wrong.most_common(40):
        print(f"wrong {times}x  {name!r}: is {wanted}, taken for {got}")
    figures = {
        "exports": N_EACH * len(VENDORS),
        "fewest_columns": fewest,
        "columns": n,
        "columns_right": round(right / n, 4),
        "question_columns": n_questions,
        "question_columns_right": round(right_questions / n_questions, 4),
        "worst_tool_right": min(worst.values()),
        "scales_in_order": round(in_order / n_scales, 4),
    }
    bars: dict[str, tuple[str, float]] = {
        "fewest_columns": (">=", 10),
        "columns_right": (">=", 0.95),
        "question_columns_right": (">=", 0.95),
        "worst_tool_right": (">=", 0.95),
        "scales_in_order": (">=", 0.95),
    }
    publish("column_roles", figures, bars)
    sys.exit(0 if figures["columns_right"] >= bars["columns_right"][1] else 1)


if __name__ == "__main__":
    main()
