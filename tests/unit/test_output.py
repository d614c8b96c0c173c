"""Nothing that is written takes the place of what is read."""

import json
import os
from pathlib import Path

import pytest

from nlp_service.cli.main import run
from nlp_service.output import OutputRefusedError, keep_inputs


def test_an_output_that_is_an_input_is_refused_also_by_another_name(tmp_path: Path) -> None:
    read, other = tmp_path / "in.csv", tmp_path / "out.csv"
    read.write_text("text\nlamp out\n")
    keep_inputs([other, tmp_path / "absent"], [read, None])
    os.link(read, other)
    (tmp_path / "link").symlink_to(read)
    for out in (read, other, tmp_path / "link", tmp_path / "." / "in.csv"):
        with pytest.raises(OutputRefusedError):
            keep_inputs([out], [None, read])


@pytest.mark.parametrize(
    "words", ["code FILE --out FILE", "shares --codings FILE --out FILE", "report FILE --out FILE"]
)
def test_a_command_that_would_lose_its_input_leaves_it(
    tmp_path: Path, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / ("in.json" if words.startswith("report") else "in.jsonl")
    path.write_text(json.dumps({"id": "1", "text": "lamp out"}) + "\n")
    before = path.read_bytes()
    assert run(words.replace("FILE", str(path)).split()) == 3
    assert "would be lost" in capsys.readouterr().err
    assert path.read_bytes() == before
