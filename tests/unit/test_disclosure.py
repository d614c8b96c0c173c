import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from models.disclosure import FOLDER, SafeguardingModelError, find_disclosures, parts, read_disclosure_model

DISCLOSES = "My husband hits me and the children, he said he will kill me if I tell anyone."
ORDINARY = "Please empty the bins on the high street more often, and fix the lights."


def test_a_disclosure_is_found_and_an_ordinary_comment_is_not() -> None:
    found = find_disclosures([ORDINARY, DISCLOSES, ORDINARY])
    assert list(found) == [1]
    assert 0 < found[1] <= 1


def test_a_disclosure_in_a_long_comment_is_found_and_company_changes_nothing() -> None:
    long = " ".join([ORDINARY] * 6 + [DISCLOSES] + [ORDINARY] * 6)
    assert find_disclosures([ORDINARY, long, DISCLOSES])[1] == find_disclosures([long])[0]


def test_parts_overlap_and_leave_nothing_out() -> None:
    text = "One here. Two here. Three here. Four here. Five here."
    assert parts("One here. Two here.") == ["One here. Two here."]
    assert parts(text) == ["One here. Two here. Three here.", "Three here. Four here. Five here."]
    for n in range(1, 12):
        sentences = [f"This is sentence {i}." for i in range(n)]
        read = parts(" ".join(sentences))
        assert all(any(one in part for part in read) for one in sentences)
    assert find_disclosures([""]) == {}


def test_the_card_tells_what_was_measured_out_of_sample() -> None:
    card = json.loads((FOLDER / "card.json").read_text(encoding="utf-8"))
    assert card["n_disclosures"] >= 200
    assert card["n_near_misses"] >= 400
    assert card["out_of_sample"]["recall"] >= 0.9


@pytest.mark.parametrize("what", ["missing", "changed", "card", "array"])
def test_a_model_that_is_not_as_it_was_written_is_refused(what: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(FOLDER, folder)
    weights = folder / "weights.npz"
    if what == "missing":
        weights.unlink()
    elif what == "changed":
        weights.write_bytes(weights.read_bytes() + b"\0")
    elif what == "card":
        (folder / "card.json").write_text("[]")
    else:
        np.savez(weights, idf=np.zeros(3, np.float32))
    with pytest.raises(SafeguardingModelError):
        read_disclosure_model(folder)
