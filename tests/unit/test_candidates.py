"""Candidate themes: what is planted is found, again and again the same; old ids stay; nobody's personal data is shown."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from models.candidates import carries_theme, make_material
from models.clusters import Material, find_groups, jaccard
from models.segment_vectors import SegmentReader
from models.text import make_segments
from models.topics import OUTSIDE, fit_topics, flatten
from models.vocabulary import Codebook, CodebookRef, CodedComment, Coding, CommentId, ModelId, Segment, Theme, ThemeId
from nlp_service.cli.main import run

DIM = 24


def made_material(seed: int = 0) -> tuple[Material, np.ndarray]:
    """Return six groups of 60 comments of two segments, the last unexplained, and who is in the last."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(6, DIM))
    group = np.repeat(np.arange(6), 60)
    owner = np.repeat(np.arange(len(group)), 2)
    vectors = centres[group[owner]] + 0.8 * rng.normal(size=(len(owner), DIM))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    coded = group[:, None] == np.arange(5)
    probabilities = np.where(coded, 0.9, 0.05)
    return make_material(vectors, owner, probabilities, coded, np.zeros(len(owner), np.bool_)), group == 5


def test_what_no_theme_explains_is_told_from_what_one_does() -> None:
    material, hidden = made_material()
    assert material.unexplained[hidden[material.owner]].mean() > 0.7
    assert material.unexplained[~hidden[material.owner]].mean() < 0.5


@pytest.mark.slow
def test_a_group_without_a_theme_comes_first_and_the_same_seed_gives_the_same_bits() -> None:
    material, hidden = made_material()
    groups = find_groups(material, n_resamples=5, seed=3)
    again = find_groups(material, n_resamples=5, seed=3)
    assert jaccard(groups[0].comments[None], hidden[None])[0, 0] > 0.9
    assert groups[0].stability > 0.7
    assert [g.discriminant.weights.tobytes() for g in groups] == [g.discriminant.weights.tobytes() for g in again]


def test_a_group_that_is_known_is_not_found_again() -> None:
    material, hidden = made_material()
    groups = find_groups(material, n_resamples=3, known=hidden[None])
    assert all(jaccard(g.comments[None], hidden[None])[0, 0] < 0.4 for g in groups)


def test_a_segment_without_evidence_is_residual_and_a_comment_without_anything_to_report_is_not() -> None:
    def theme(theme_id: str, *, residual: bool = False) -> Theme:
        return Theme(ThemeId(theme_id), theme_id, theme_id, residual=residual)

    book = Codebook("b", "1", (theme("noise"), theme("RES.other", residual=True), theme("RES.none", residual=True)))

    def coded(*themes: tuple[str, Segment]) -> CodedComment:
        codings = tuple(Coding(ThemeId(t), 0.9, (s,)) for t, s in themes)
        return CodedComment(CommentId("c"), codings, (), (), ModelId("m"), CodebookRef("b@1"))

    two = (Segment(0, 5), Segment(6, 9))
    given = [coded(("noise", Segment(0, 5))), coded(("RES.none", Segment(0, 5))), coded(("RES.other", two[0])), coded()]
    assert carries_theme(given, [two] * 4, book).tolist() == [True, False, True, True, False, False, False, False]


PLACES = (
    "in Mill Lane",
    "by the station",
    "near the school",
    "on our street",
    "behind the shops",
    "at the green",
    "in town",
    "by the canal",
)
NOISE = (
    "Loud music every night {}.",
    "The neighbours shout and play music {}.",
    "Noise from parties {} keeps us awake.",
    "Constant noise {} after midnight.",
)
LIGHT = (
    "The street lights {} are broken.",
    "It is too dark {} without lamps.",
    "Please mend the lighting {}.",
    "No lighting {} at all after dusk.",
)
THEFT = (
    "Bikes get stolen {}.",
    "My bicycle was stolen {}.",
    "Thieves took the tools from my van {}.",
    "Theft from sheds {} is common.",
)
LIBRARY = ("Please reopen the library {}.", "The library {} should open on Saturdays.", "We miss the library {} and its books.", "Our library {} has closed and it is a loss.")  # fmt: skip
KINDS = {"noise": NOISE, "light": LIGHT, "theft": THEFT, "": LIBRARY}
BOOK = """id: flat
version: '1'
themes:
  - {id: noise, label: Noise, definition: Loud music and shouting.}
  - {id: light, label: Lighting, definition: Broken or missing street lights.}
  - {id: theft, label: Theft, definition: Things that were stolen.}
"""


def write_wave(place: Path, name: str, n_each: int, *, from_number: int = 0) -> None:
    """Write comments, and codings in which everything but the library is coded."""
    rows, codings = ["id,text"], []
    for kind, forms in KINDS.items():
        for i in range(from_number, from_number + n_each):
            text = forms[i % 4].format(PLACES[i // 4 % 8])
            if not kind and i % 4 == 0:
                text = text[:-1] + f" and ring me on 07700 9000{10 + i}."
            rows.append(f'{kind or "library"}{i},"{text}"')
            themes = [{"theme": kind, "probability": 0.9, "evidence": [[0, len(text)]]}] if kind else []
            codings.append(
                json.dumps(
                    {"comment_id": f"{kind or 'library'}{i}", "themes": themes, "unsure": [], "model": "m", "codebook": "flat@1",
                     "probabilities": {t: 0.9 if t == kind else 0.03 for t in ("noise", "light", "theft")}}
                )
            )  # fmt: skip
    (place / f"{name}.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (place / f"{name}.jsonl").write_text("\n".join(codings) + "\n", encoding="utf-8")
    (place / "book.yaml").write_text(BOOK, encoding="utf-8")


def find(place: Path, wave: str, out: str, *more: str) -> int:
    return run(
        ["candidates", "--codings", str(place / f"{wave}.jsonl"), "--comments", str(place / f"{wave}.csv"), "--quiet",
         "--codebook", str(place / "book.yaml"), "--out", str(place / out), *more]
    )  # fmt: skip


@pytest.mark.slow
def test_a_hidden_theme_is_found_with_evidence_twice_the_same_and_keeps_its_id(tmp_path: Path) -> None:
    write_wave(tmp_path, "one", 120)
    assert find(tmp_path, "one", "a.json") == 0
    assert find(tmp_path, "one", "b.json") == 0
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    document = json.loads((tmp_path / "a.json").read_text())
    first = document["candidates"][0]
    members = set(first["comment_ids"])
    assert sum(m.startswith("library") for m in members) > 100
    assert len(members) < 130
    assert "library" in first["name"].lower()
    assert first["n_respondents"] == len(members)
    assert first["stability"] >= 0.5
    assert set(first["suggested"]) >= {"label", "definition", "include", "exclude"}
    texts = {
        row.split(",", 1)[0]: row.split(",", 1)[1].strip('"')
        for row in (tmp_path / "one.csv").read_text().splitlines()[1:]
    }
    assert len({e["comment_id"] for e in first["examples"]}) == 3
    for example in first["examples"]:
        assert "07700" not in example["text"]
        if not example["redacted"]:
            assert texts[example["comment_id"]][example["start"] : example["end"]] == example["text"]
    write_wave(tmp_path, "two", 132)
    assert find(tmp_path, "two", "c.json", "--since", str(tmp_path / "a.json")) == 0
    later = json.loads((tmp_path / "c.json").read_text())["candidates"][0]
    assert (later["id"], later["name"], later["earlier"]) == (first["id"], first["name"], True)
    assert members <= set(later["comment_ids"])
    assert sum(m.startswith("library") for m in later["comment_ids"]) > len(members) - 5


@pytest.mark.slow
def test_few_comments_give_a_clear_word_and_all_gives_hints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_wave(tmp_path, "few", 30)
    assert find(tmp_path, "few", "few.json") == 0
    assert "too few: 30 segments" in capsys.readouterr().err
    assert json.loads((tmp_path / "few.json").read_text())["candidates"] == []
    assert find(tmp_path, "few", "all.json", "--all") == 0
    document = json.loads((tmp_path / "all.json").read_text())
    assert "hints" in document["notes"][0]
    assert any("library" in c["name"].lower() for c in document["candidates"])


@pytest.mark.slow
def test_topics_are_the_same_twice_and_everything_has_one() -> None:
    texts = [f.format(p) for forms in KINDS.values() for f in forms for p in PLACES]
    vectors = SegmentReader().vectors(texts)
    one, two = fit_topics(texts, vectors), fit_topics(texts, vectors)
    assert one.labels.tobytes() == two.labels.tobytes()
    assert one.words == two.words
    assert len(one.words) >= 2
    assert (one.labels != OUTSIDE).all()
    assert fit_topics(texts[:5], vectors[:5]).words == ()
    assert flatten(vectors).tobytes() == flatten(vectors).tobytes()
    assert flatten(vectors[:2]).shape == (2, 2)


def test_a_file_that_is_no_candidates_file_or_other_comments_are_refused(tmp_path: Path) -> None:
    write_wave(tmp_path, "one", 4)
    (tmp_path / "bad.json").write_text('{"encoder": 1}')
    assert find(tmp_path, "one", "out.json", "--since", str(tmp_path / "bad.json")) == 3
    (tmp_path / "one.csv").write_text("id,text\nx,Something else entirely\ny,And another thing\n")
    assert find(tmp_path, "one", "out.json") == 3
    assert not (tmp_path / "out.json").exists()


def test_a_texts_vector_is_the_same_in_any_company() -> None:
    reader = SegmentReader()
    texts = ["Loud music at night.", "No lighting in the park.", "Loud music at night."]
    together = reader.vectors(texts)
    assert together.shape == (3, 384)
    assert together[0].tobytes() == together[2].tobytes() == reader.vectors(texts[:1])[0].tobytes()
    assert make_segments(texts[0]) == (Segment(0, 20),)


@pytest.mark.slow
def test_topics_say_which_themes_they_consist_of_and_the_map_needs_no_network(tmp_path: Path) -> None:
    write_wave(tmp_path, "one", 60)
    head, *rows = (tmp_path / "one.csv").read_text().splitlines()
    rows = [r.replace("The library in Mill Lane", "<script>x</script> library") for r in rows]
    # the library is a matter of the north in May; two people of the east
    said = [("East" if i < 2 else "North", "2026-05-03") if "library" in r.split(",")[0] else ("South", f"2026-0{4 + i % 2}-11") for i, r in enumerate(rows)]  # fmt: skip
    lines = [f"{r},{ward},{day}" for r, (ward, day) in zip(rows, said, strict=True)]
    (tmp_path / "one.csv").write_text("\n".join([f"{head},Ward,Date submitted", *lines]) + "\n")
    out, picture = tmp_path / "topics.json", tmp_path / "map.html"
    arguments = ["topics", "--codings", str(tmp_path / "one.jsonl"), "--comments", str(tmp_path / "one.csv"), "--quiet"]
    arguments += ["--codebook", str(tmp_path / "book.yaml"), "--out", str(out), "--map", str(picture)]
    assert run(arguments) == 0
    document = json.loads(out.read_text())
    assert sum(t["n_segments"] for t in document["topics"]) + document["n_segments_outside"] == document["n_segments"]
    assert len(document["comments"]) == document["n_comments"] == 240
    libraries = [t for t in document["topics"] if "library" in t["name"]]
    assert libraries
    assert all(t["uncovered"] and not t["themes"] for t in libraries if t["covered"] == 0)
    assert any(t["themes"] and t["themes"][0]["theme"] == "noise" for t in document["topics"])
    everybody = {"answers": {"Ward": Counter(ward for ward, _ in said)}, "months": Counter(day[:7] for _, day in said)}
    everybody["answers"]["Ward"].pop("East", None)  # fewer than five
    assert document["respondents"] == everybody
    for topic in document["topics"]:
        wards = topic["answers"].get("Ward", {})
        assert min([*wards.values(), *topic["months"].values()], default=5) >= 5
        assert sum(topic["months"].values()) <= topic["n_respondents"]
        if topic in libraries and topic["n_respondents"] >= 10:
            assert (set(wards), set(topic["months"])) == ({"North"}, {"2026-05"})
    page = picture.read_text()
    assert "07700 9000" not in page
    assert "<script>x" not in page
    assert 'src="http' not in page
