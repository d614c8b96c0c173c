"""Write docs/reference/measurements.md from what the benchmarks wrote: `make measurements`.

A part whose benchmark has not run in this checkout stays as it is on the page.
"""

import json
from pathlib import Path
from typing import Final

from benchmarks.report import OUT

PAGE: Final = Path(__file__).parents[1] / "docs" / "reference" / "measurements.md"
HEAD: Final = """# Measurements

Printed by `make bench-…` on two cores with AVX-512 VNNI; figures of other machines will differ, ratios less. Each run is one run: small differences are chance.
Each part is from the last run of its own benchmark, which may be older than that of its neighbours.
"""
PARTS: Final = {
    "real_comments": (
        "Real comments, never trained or tuned on",
        "`make bench-real`: 150 residents' comments from three places (two cities of the USA, one of Britain), coded by two language "
        "models; disputed cells are masked. The set is small: expect several points either way on another.",
    ),
    "speed": (
        "Speed",
        "`make bench-speed`: file in to workbook out, against SentenceTransformer.encode alone on all cores in the same run. Memory counts pages that processes "
        "share once. What was tried to be faster is in [ADR 2](../adr/0002-reading-twice.md).",
    ),
    "same_bytes": ("Same bytes", "`make bench-bytes`: SHA-256 (first 16 digits) of the sorted JSONL output."),
    "bad_input": (
        "Bad input",
        "`make bench-bad-input`: broken files with their verdicts, and generated tables in which rows are counted.",
    ),
    "file_corpus": (
        "Files with recorded verdicts",
        "`make bench-file-corpus`: 300 files that are accepted with every comment and 300 that are refused with their code, each in a process of its own. Memory is "
        "what reading adds, for each MB of file.",
    ),
    "column_roles": (
        "Roles of columns",
        "`make bench-column-roles`: 60 exports made by code in the layouts of six survey tools, with questions written for the purpose. Real exports will hold "
        "questions that these do not.",
    ),
    "regexes": (
        "Regular expressions under hostile text",
        "`make bench-regexes`: every expression of the product on 10,000 hostile characters, in the processor's time.",
    ),
    "nhs": (
        "Training on the public NHS comments",
        "`make bench-nhs`: 7,400 comments, 38 themes, three kinds of split, `themes train` with its defaults beside two peers fitted in the same run. The random split was run again without the peers after fallback and common threshold were changed; the rest, and few decisions below, is from before.",
    ),
    "few_labels": (
        "Few decisions",
        "`make bench-few-labels`: models from so many random decisions, tested on the grouped split of the NHS comments, means over seeds.",
    ),
    "own_decisions": (
        "A council's own decisions",
        "`make bench-own-decisions`: registers of the starter corpus stand in for a survey and a workshop; a starter model trained without them goes on from 50, 200 or 500 of their comments and is scored on "
        "others. `starter` is that model as it is, `alone` a model from the same decisions without it.",
    ),
    "model_safety": (
        "What a model gives away and refuses",
        "`make bench-model-safety`: planted strings, flipped bits, swapped files, killed trainings.",
    ),
    "coverage": (
        "Shares with intervals",
        "`make bench-coverage`: how often 95 % intervals hold the true share. On the NHS comments one trust's model meets the other trust, both ways, 300 draws of so many labels; `plain` is hand labels alone, `tags` counting "
        "what the model says, `rare` themes that 0.5 to 2 % raise.",
    ),
    "coverage_simulated": (
        "Shares of simulated consultations",
        "`make bench-coverage`: shares of 0.5 to 60 %, 50 to 400 labels, 200 to 20,000 respondents, and a useless, a middling or a perfect model, whose estimates are exact: any interval around those holds the truth. "
        "How much a useless model widens is against Wilson's interval of the labels alone, from 25 labels on.",
    ),
    "coverage_clusters": (
        "Shares where people write several comments",
        "`make bench-coverage`: one to three comments a person, those who write more raise a theme more often; people are drawn, as `themes round start` does, with all they wrote.",
    ),
    "personal_data": (
        "Personal data",
        "`make bench-personal-data`: 1,000 marked comments, written for it or made from those by drawing other values; the lists of names and the comments have one author. "
        "Beside Presidio in [ADR 10](../adr/0010-personal-data-without-presidio.md). Speed on one core.",
    ),
    "queue_order_quick": (
        "The annotation queue's order",
        "`make bench-queue`: from 50 random decisions on the NHS comments' grouped split, comments picked by the queue or at random; learnt by the benchmark's quick "
        "learner (ridge regression on frozen vectors and TF-IDF), not by `themes train`.",
    ),
    "round_pull": (
        "Pulling a round",
        "`make bench-round-pull`: from a real Label Studio on this machine.",
    ),
    "hidden_themes": (
        "Finding a theme that the codebook lacks",
        "`make bench-hidden-themes`: on the public NHS comments, each of 17 themes hidden in turn; best F1 of ten candidates beside plain BERTopic's best topic of all. "
        "What decides is described in [ADR 8](../adr/0008-candidates-from-unexplained-segments.md).",
    ),
    "refi_qda": (
        "Exchange with other programs",
        "`make bench-refi-qda`: codebooks and projects against the REFI-QDA schemas, and read back; 2,000 made texts with emoji, marks and every kind of line break.",
    ),
    "load": (
        "The service under load",
        "`make bench-load`: a real server on real sockets, one coding process.",
    ),
    "kill_batches": (
        "Killed workers",
        "`make bench-kills`: workers killed at random moments; every finished batch compared, byte for byte, with `themes code`.",
    ),
    "many_workers": (
        "Many workers",
        "`make bench-many-workers`: eight workers on one PostgreSQL server, 200 batches handed in while they run; each comment's coding compared with that of `themes code`.",
    ),
    "disk_full": (
        "A disk that is full",
        "`make bench-disk-full`: the database's disk filled up at random moments while a worker codes; whether the service says so, and whether all goes on once there is room.",
    ),
    "report": (
        "The report",
        "`make bench-report`: made answers and codings of so many respondents, in to all four forms out; quotes and hidden cells read back.",
    ),
}


def read_parts(page: str) -> dict[str, list[str]]:
    """Return the lines of each part by its title."""
    parts = {}
    for part in page.split("\n## ")[1:]:
        title, _, rest = part.partition("\n")
        parts[title] = [f"## {title}", *rest.rstrip("\n").split("\n"), ""]
    return parts


def main() -> None:
    kept = read_parts(PAGE.read_text(encoding="utf-8"))
    lines = [HEAD]
    for name, (title, what) in PARTS.items():
        path = OUT / f"{name}.json"
        if not path.exists():
            lines += kept.get(title, [])
            continue
        report = json.loads(path.read_text())
        lines += [f"## {title}", "", what, "", "| figure | value | bar |", "|---|---|---|"]
        for key, value in report["figures"].items():
            bar = report["bars"].get(key)
            verdict = "" if bar is None else f"{bar['bar']}: {'met' if bar['met'] else '**missed**'}"
            lines.append(f"| {key} | {value} | {verdict} |")
        lines.append("")
    PAGE.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
