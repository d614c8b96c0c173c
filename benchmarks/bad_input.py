"""Broken files and generated tables: `make bench-bad-input`. The cases are those of the tests, run at full size."""

import sys
import tempfile
from pathlib import Path

from benchmarks.report import publish
from tests.broken_files import BROKEN, ROW_BY_ROW, run_case
from tests.generated_tables import check_table

N_TABLES = 1_000


def main() -> None:
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        for case in (*BROKEN, *ROW_BY_ROW):
            trouble = run_case(case, Path(name))
            if trouble:
                wrong.append(f"{case.name}: {trouble}")
        n_rows = n_comments = n_problems = 0
        for seed in range(N_TABLES):
            rows, comments, problems = check_table(seed, Path(name))
            n_rows, n_comments, n_problems = n_rows + rows, n_comments + comments, n_problems + problems
    for line in wrong:
        print("wrong:", line)
    figures = {
        "broken_files": len(BROKEN) + len(ROW_BY_ROW),
        "wrong_verdicts": len(wrong),
        "tables": N_TABLES,
        "rows": n_rows,
        "comments": n_comments,
        "problems": n_problems,
        "rows_lost_or_doubled": n_rows - n_comments - n_problems,
    }
    publish(
        "bad_input",
        figures,
        {"broken_files": (">=", 40), "wrong_verdicts": ("<=", 0), "rows_lost_or_doubled": ("<=", 0)},
    )
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
