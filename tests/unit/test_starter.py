"""The starter corpus keeps its promises."""

import json
import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest

import training.decisions
from models.codebook import SHIPPED, read_codebook
from training.decisions import read_decisions

FOLDER = Path(training.decisions.__file__).parent / "starter"


@pytest.fixture(scope="module")
def corpus() -> list[dict[str, object]]:
    return [json.loads(line) for line in (FOLDER / "corpus.jsonl").read_text(encoding="utf-8").splitlines()]


def test_it_is_large_and_every_line_is_a_decision(corpus: list[dict[str, object]]) -> None:
    decided, problems = read_decisions(FOLDER / "corpus.jsonl", read_codebook(SHIPPED))
    assert problems == []
    assert len(decided) == len(corpus) >= 4_000


def test_every_theme_occurs_often_and_many_comments_carry_several(corpus: list[dict[str, object]]) -> None:
    counts = Counter(t for line in corpus for t in line["themes"])  # type: ignore[attr-defined]
    assert min(counts[t.id] for t in read_codebook(SHIPPED).codable) >= 80
    assert sum(len(line["themes"]) > 1 for line in corpus) / len(corpus) > 0.25  # type: ignore[arg-type]


def test_lengths_run_from_a_word_to_a_story(corpus: list[dict[str, object]]) -> None:
    lengths = [len(str(line["text"]).split()) for line in corpus]
    assert min(lengths) <= 2
    assert max(lengths) >= 120
    assert len({line["source"] for line in corpus}) >= 6


@pytest.mark.slow
def test_near_duplicates_are_under_two_in_a_hundred(corpus: list[dict[str, object]]) -> None:
    words = [frozenset(re.findall(r"[\w']+", str(line["text"]).lower())) for line in corpus]
    frequency = Counter(w for ws in words for w in ws)
    index: dict[str, list[int]] = defaultdict(list)
    near = 0
    for i, own in enumerate(words):
        rarest = sorted(own, key=lambda w: (frequency[w], w))[: int(len(own) * 0.4) + 1]
        others = {j for w in rarest for j in index[w]}
        near += any(len(own & words[j]) > 0.6 * len(own | words[j]) for j in others)
        for w in rarest:
            index[w].append(i)
    assert near / len(corpus) < 0.02


def test_the_agreement_of_the_two_readings_is_reported(corpus: list[dict[str, object]]) -> None:
    report = json.loads((FOLDER / "agreement.json").read_text())
    assert report["kept"] == len(corpus)
    assert report["agreed"] + report["mended"] + report["dropped"] == report["n_written"]
    assert report["agreed"] + report["mended"] - report["duplicates_removed"] == report["kept"]


def test_the_sample_consultation_is_not_the_corpus(corpus: list[dict[str, object]]) -> None:
    from nlp_service.demo import SAMPLE
    from nlp_service.ingest.comments import read_comments

    texts = {str(line["text"]) for line in corpus}
    reading = read_comments([SAMPLE])
    assert len(reading.comments) == 600
    shared = [c for c in reading.comments if c.text in texts and len(c.text.split()) > 4]
    assert shared == []
