"""The command as people run it: a real process, real files, real signals."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import openpyxl
import pyarrow.parquet as pq
import pytest

from tests.broken_files import ROW_BY_ROW, Case, run_case

THEMES = Path(sys.executable).with_name("themes")
SAMPLE = Path(__file__).parents[2] / "nlp_service" / "samples" / "survey.csv"
pytestmark = pytest.mark.slow


def themes(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([THEMES, *map(str, arguments)], capture_output=True, text=True, timeout=240)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("coded")
    for kind in ("jsonl", "csv", "xlsx", "parquet"):
        themes("code", SAMPLE, "--out", folder / f"o.{kind}")
    return folder


def test_every_format_holds_the_same_codings(coded: Path) -> None:
    lines = [json.loads(line) for line in (coded / "o.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 600
    expected = [[t["theme"] for t in line["themes"]] for line in lines]
    with (coded / "o.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [[t for t in row["themes"].split("; ") if t] for row in csv.DictReader(file)] == expected
    assert pq.read_table(coded / "o.parquet")["themes"].to_pylist() == expected
    with (coded / "o.xlsx").open("rb") as file:
        rows = list(openpyxl.load_workbook(file)["Comments"].iter_rows(min_row=2, values_only=True))
    assert [len((row[3] or "").splitlines()) for row in rows] == [len(e) for e in expected]


def test_rows_in_are_codings_plus_problems_and_evidence_is_verbatim(coded: Path) -> None:
    lines = [json.loads(line) for line in (coded / "o.jsonl").read_text(encoding="utf-8").splitlines()]
    problems = [json.loads(line) for line in (coded / "o.jsonl.problems.jsonl").read_text().splitlines()]
    assert len(lines) + len(problems) == 2 * 420
    texts = {}
    with SAMPLE.open(encoding="utf-8", newline="") as file:
        for row in csv.reader(file):
            texts[f"{row[0]}/1"], texts[f"{row[0]}/2"] = row[2], row[3]
    for line in lines:
        for theme in line["themes"]:
            for start, end in theme["evidence"]:
                assert texts[line["comment_id"]][start:end].strip()


def test_batch_size_processes_and_order_change_no_byte(tmp_path: Path) -> None:
    with SAMPLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    texts = [r[c] for r in rows for c in list(r)[2:4] if r[c].strip()] * 2
    made = [{"id": f"c{i:04d}", "text": t + (" again" if i >= 600 else "")} for i, t in enumerate(texts)]
    digests = set()
    for order, batch, jobs in ((1, 1, 1), (1, 64, 2), (-1, 7, 2)):
        source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
        source.write_text("".join(json.dumps(m) + "\n" for m in made[::order]), encoding="utf-8")
        themes("code", source, "--out", out, "--batch-size", batch, "--jobs", jobs, "--quiet")
        digests.add(b"".join(sorted(out.read_bytes().splitlines(keepends=True))))
    assert len(digests) == 1


@pytest.mark.parametrize("case", ROW_BY_ROW, ids=lambda c: c.name)
def test_bad_rows_are_listed_and_good_ones_coded(case: Case, tmp_path: Path) -> None:
    assert run_case(case, tmp_path) == ""


def _hear_ctrl_c() -> None:
    """A shell has its background jobs ignore Ctrl-C, and these tests may be one."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize(
    "seconds", [2.5, 3.5, 6]
)  # while processes are about to start, while they start, and afterwards
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_leaves_nothing(stop: signal.Signals, seconds: float, tmp_path: Path) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.xlsx"
    source.write_text(
        "".join(json.dumps({"id": i, "text": f"Dealers by the lifts on floor {i}. " * 8}) + "\n" for i in range(30_000))
    )
    process = subprocess.Popen(
        [THEMES, "code", source, "--out", out],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_hear_ctrl_c,
    )
    time.sleep(seconds)
    if stop is signal.SIGINT:
        os.killpg(process.pid, stop)  # as a terminal does
    else:
        process.send_signal(stop)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped" in said
    assert "Traceback" not in said
    assert [p.name for p in tmp_path.iterdir()] == ["in.jsonl"]


def test_exit_codes_tell_usage_refusal_and_absence_apart(tmp_path: Path) -> None:
    themes("code", code=2)
    themes("nonsense", code=2)
    assert "file_not_found" in themes("code", tmp_path / "none.csv", "--out", tmp_path / "o.csv", code=4).stderr
    assert "model_not_found" in themes("code", SAMPLE, "--out", tmp_path / "o.csv", "--model", "none", code=4).stderr
    assert "output_refused" in themes("code", SAMPLE, "--out", tmp_path / "o.docx", code=3).stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command",
    [
        (),
        ("code",),
        ("codebook",),
        ("codebook", "check"),
        ("model",),
        ("model", "verify"),
        ("model", "show"),
        ("train",),
        ("evaluate",),
    ],
)
def test_every_help_has_an_example(command: tuple[str, ...]) -> None:
    assert "Example" in themes(*command, "--help").stdout


def test_the_shipped_model_is_intact_and_small_and_says_what_it_is() -> None:
    from models.artefact import STARTER

    assert "intact" in themes("model", "verify", "starter").stdout
    card = themes("model", "show").stdout
    assert "written for this project" in card
    assert sum(p.stat().st_size for p in STARTER.iterdir()) < 10_000_000


def test_the_codebook_check_prints_lines(tmp_path: Path) -> None:
    assert "43 of them codable" in themes("codebook", "check").stderr
    bad = tmp_path / "bad.yaml"
    bad.write_text("id: c\nversion: 1\nthemes:\n  - id: A\n    label: A\n    definition: a\n    parent: Z\n")
    assert "bad.yaml:4: error missing_parent" in themes("codebook", "check", bad, code=3).stdout


def test_the_demo_shows_themes_and_underlined_evidence(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nlp_service.demo"], capture_output=True, text=True, cwd=tmp_path, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert "Antisocial behaviour" in done.stdout
    assert done.stdout.count("probability") >= 3
    assert "~~~~" in done.stdout
    assert (tmp_path / "demo-output" / "sample-coded.xlsx").stat().st_size > 10_000
    assert "95% interval" in done.stdout
    assert all((tmp_path / "demo-output" / f"report.{kind}").stat().st_size > 100_000 for kind in ("html", "docx"))
    assert not differs_from_demo(done.stdout)


def differs_from_demo(output: str) -> list[str]:
    """Return the lines of the README's sample output that the demo does not print; counts may be off by three or a tenth elsewhere."""
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    sample = readme.split("From its output:\n\n```text\n")[1].split("\n```")[0]
    printed = [(words(line), numbers(line)) for line in output.splitlines()]
    return [
        line
        for line in sample.splitlines()
        if line.strip() not in ("", "…")
        and not any(
            words(line) == same
            and len(numbers(line)) == len(found)
            and all(abs(a - b) <= max(3, b / 10) for a, b in zip(numbers(line), found, strict=True))
            for same, found in printed
        )
    ]


def words(line: str) -> list[str]:
    return re.findall(r"[^\W\d]+", line)


def numbers(line: str) -> list[float]:
    return [float(n) for n in re.findall(r"\d+(?:\.\d+)?", line)]


def test_a_sample_that_the_demo_does_not_print_is_noticed() -> None:
    assert differs_from_demo("Theme  comments  share  unsure")


def test_a_bug_prints_no_comment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from nlp_service.cli import code as door
    from nlp_service.cli.main import run

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a resident wrote zebrafish")

    monkeypatch.setattr(door, "code_batch", fail)
    assert run(["code", str(SAMPLE), "--out", str(tmp_path / "o.csv")]) == 70
    said = capsys.readouterr().err
    assert "zebrafish" not in said
    assert "RuntimeError" in said
