"""Publish, refuse, override, roll back and pin, as a user does it on the command line."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from models.artefact import Artefact, write_artefact
from models.weights import Base
from tests.conftest import make_artefact

THEMES = Path(sys.executable).with_name("themes")
pytestmark = pytest.mark.slow
TEXTS = ("the music next door", "my bike was taken", "the lamp is out", "nothing to add", "they shout at night")


class Desk:
    """A place with a registry of its own, a gold set, and the command line."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def themes(self, *arguments: object, expect: int = 0) -> str:
        environment = {**os.environ, "THEMES_REGISTRY": str(self.place / "registry"), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [THEMES, *map(str, arguments)], capture_output=True, text=True, timeout=300, env=environment, cwd=self.place
        )
        assert done.returncode == expect, done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def desk(base: Base, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Three models of one codebook; the gold set is what the first one says, so the first is perfect on it."""
    place = tmp_path_factory.mktemp("desk")
    good = make_artefact(base, seed=1)
    write_artefact(place / "good", replace(good, version="1"))
    write_artefact(place / "bad", replace(_turned(good), version="2"))
    desk = Desk(place)
    (place / "texts.jsonl").write_text(
        "".join(json.dumps({"id": str(i), "text": f"{TEXTS[i % 5]}, time {i}"}) + "\n" for i in range(60))
    )
    desk.themes("code", "texts.jsonl", "--out", "said.jsonl", "--model", "good", "--quiet")
    texts = [json.loads(line) for line in (place / "texts.jsonl").read_text().splitlines()]
    said = [json.loads(line) for line in (place / "said.jsonl").read_text().splitlines()]
    (place / "gold.jsonl").write_text(
        "".join(
            json.dumps({"comment_id": t["id"], "text": t["text"], "themes": [c["theme"] for c in s["themes"]]}) + "\n"
            for t, s in zip(texts, said, strict=True)
        )
    )
    return desk


def _turned(artefact: Artefact) -> Artefact:
    """Return the same model with every score turned round."""
    t = artefact.tagger
    turned = replace(t, head=-t.head, head_bias=-t.head_bias, lexical=-t.lexical)
    return replace(artefact, tagger=turned)


def test_the_life_of_two_models(desk: Desk) -> None:
    assert "gold_refused" in desk.themes("model", "publish", "good", expect=3)
    said = desk.themes("model", "publish", "good", "--gold", "gold.jsonl")
    assert "codes flat from now on: the first model of this codebook" in said
    assert "card does not say that this gold set was kept out" in said
    refused = desk.themes("model", "publish", "bad", expect=3)
    assert "error gate_refused" in refused
    assert "micro_f1 1.0000 -> " in refused
    listed = desk.themes("model", "list")
    assert "test-1+" in listed
    assert "codes now" in listed.split("test-1+")[1].splitlines()[0]
    assert "refused" in listed.split("test-2+")[1].splitlines()[0]
    bad_id = next(word for word in listed.split() if word.startswith("test-2+"))

    published = desk.themes("model", "publish", "bad", "--override", "only to try it")
    assert "published all the same: only to try it" in published
    assert "published all the same: only to try it" in desk.themes("model", "list")
    assert "test-1+" in desk.themes("model", "rollback", "flat", "--reason", "it was bad")
    assert f"plan is coded by {bad_id}" in desk.themes("model", "pin", "plan", bad_id)

    for how, expected in ((("--consultation", "plan"), "test-2+"), (("--model", "flat"), "test-1+")):
        desk.themes("code", "texts.jsonl", "--out", "o.jsonl", "--quiet", *how)
        first = json.loads((desk.place / "o.jsonl").read_text().splitlines()[0])
        assert first["model"].startswith(expected)
    desk.themes("model", "unpin", "plan")
    desk.themes("code", "texts.jsonl", "--out", "o.jsonl", "--quiet", "--consultation", "plan")
    assert json.loads((desk.place / "o.jsonl").read_text().splitlines()[0])["model"].startswith("starter-")

    other = desk.place / "other.jsonl"
    other.write_text((desk.place / "gold.jsonl").read_text().split("\n", 1)[1])
    assert "is not the gold set that was fixed" in desk.themes("model", "publish", "bad", "--gold", other, expect=3)
    registry = (desk.place / "registry" / "registry.json").read_text()
    assert all(text not in registry for text in TEXTS)
