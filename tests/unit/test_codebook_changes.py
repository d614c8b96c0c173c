"""A codebook changes without losing a label: every old theme has a place, every change can be undone, old versions stay as they were."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.codebook import SHIPPED, codebook_to_document, read_codebook
from models.codebook_changes import (
    CodebookChange,
    CodebookChangeError,
    change_from_document,
    change_to_document,
    merge,
    promote,
    rename,
    retire,
    split,
    view_themes,
)
from models.vocabulary import Codebook, Theme, ThemeId
from nlp_service.change_codebook import write_yaml
from nlp_service.cli.main import run
from nlp_service.exchange.qdc_file import ExchangeError, code_guid, read_qdc, write_qdc

BOOK = read_codebook(SHIPPED)


def theme(theme_id: str, label: str | None = None, parent: str | None = None) -> Theme:
    return Theme(
        ThemeId(theme_id),
        label or f"Label {theme_id}",
        f"Meaning of {theme_id}.",
        parent=ThemeId(parent) if parent else None,
    )


def test_a_promoted_theme_stands_after_its_sisters_under_a_new_version() -> None:
    change = promote(BOOK, theme("ASB.library", parent="ASB"))
    ids = [t.id for t in change.new.themes]
    at = ids.index(ThemeId("ASB.library"))
    assert ids[at - 1].startswith("ASB.")
    assert not ids[at + 1].startswith("ASB.")
    assert change.new.version == "1.1.0"
    assert view_themes([change], ["ASB.beg"]).themes == {"ASB.beg"}


def test_merged_labels_go_to_the_theme_that_takes_them_with_cues() -> None:
    change = merge(BOOK, ["ASB.drink", "ASB.beg"], "ASB.drink")
    assert view_themes([change], ["ASB.beg", "ASB.noise"]).themes == {"ASB.drink", "ASB.noise"}
    assert set(BOOK.get_theme("ASB.beg").cues) <= set(change.new.get_theme("ASB.drink").cues)
    assert change.new.find_theme("ASB.beg") is None


def test_a_split_label_waits_for_a_person_and_a_retired_one_is_kept_apart() -> None:
    one = split(BOOK, "ASB.drink", [theme("ASB.drink", "Drink"), theme("ASB.drugs2", "Smoke")])
    two = retire(one.new, "ASB.beg")
    seen = view_themes([one, two], ["ASB.drink", "ASB.beg", "ASB.litter"])
    assert (seen.themes, seen.undecided, seen.retired) == ({"ASB.litter"}, {"ASB.drink"}, {"ASB.beg"})


def test_a_new_id_takes_labels_and_children_with_it() -> None:
    change = rename(BOOK, "ASB", new_id="NUI", label="Nuisance")
    assert {t.parent for t in change.new.themes if t.id.startswith("ASB.")} == {"NUI"}
    assert len(change.new.codable) == len(BOOK.codable)
    assert change.new.version == "1.0.1"


def test_the_last_theme_of_a_family_takes_the_family_with_it_so_that_no_comment_is_coded_with_a_family() -> None:
    book = Codebook("b", "1", (theme("A"), theme("A.x", parent="A"), theme("B")))
    change = retire(book, "A.x")
    assert [t.id for t in change.new.codable] == ["B"]
    assert change.new.version == "2"


def test_what_does_not_fit_is_refused_with_a_reason() -> None:
    for attempt in (
        lambda: promote(BOOK, theme("ASB.beg")),
        lambda: promote(BOOK, theme("\nbad")),
        lambda: promote(BOOK, theme("x", parent="ASB.beg")),
        lambda: merge(BOOK, ["ASB.beg"], "ASB.beg"),
        lambda: merge(BOOK, ["ASB"], "ASB.beg"),
        lambda: split(BOOK, "ASB.beg", [theme("one")]),
        lambda: rename(BOOK, "ASB.beg", new_id="ASB.drink"),
        lambda: retire(BOOK, "nothing"),
    ):
        with pytest.raises(CodebookChangeError):
            attempt()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_random_changes_lose_no_label_are_undone_and_read_back(data: st.DataObject) -> None:
    change_at_random(data)


@pytest.mark.slow
@pytest.mark.soak
@settings(max_examples=1_000, deadline=None)
@given(st.data())
def test_a_thousand_sequences_of_changes_lose_no_label(data: st.DataObject) -> None:
    change_at_random(data)


def change_at_random(data: st.DataObject) -> None:
    changes: list[CodebookChange] = []
    book = BOOK
    labels = data.draw(st.sets(st.sampled_from([t.id for t in BOOK.codable]), min_size=1, max_size=6))
    for n in range(data.draw(st.integers(1, 8))):
        ids = [t.id for t in book.codable]
        chosen = data.draw(st.sampled_from(ids))
        kind = data.draw(st.sampled_from(["promote", "merge", "split", "rename", "retire"]))
        if kind == "promote":
            change = promote(book, theme(f"new.{n}"))
        elif kind == "merge":
            change = merge(book, [chosen, data.draw(st.sampled_from([i for i in ids if i != chosen]))], chosen)
        elif kind == "split":
            change = split(book, chosen, [theme(f"p{n}"), theme(f"q{n}")])
        elif kind == "rename":
            change = rename(book, chosen, new_id=f"r{n}")
        else:
            change = retire(book, chosen)
        changes.append(change)
        book = change.new
    for change in reversed(changes):
        book = change_from_document(json.loads(json.dumps(change_to_document(change)))).old
    assert codebook_to_document(book) == codebook_to_document(BOOK)
    for label in labels:
        seen = view_themes(changes, [label])
        assert len(seen.themes) + len(seen.undecided) + len(seen.retired) == 1
        assert all(changes[-1].new.find_theme(t) is not None for t in seen.themes)


def test_a_written_codebook_reads_back_as_it_was(tmp_path: Path) -> None:
    write_yaml(tmp_path / "b.yaml", BOOK)
    assert read_codebook(tmp_path / "b.yaml") == BOOK


@pytest.mark.slow
def test_commands_write_a_version_and_its_map_and_never_over_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "w2.yaml")
    assert run(["codebook", "merge", "ASB.beg", "--into", "ASB.drink", "--out", out]) == 0
    assert run(["codebook", "retire", "ASB.beg", "--out", out]) == 3
    three = str(tmp_path / "w3.yaml")
    parts = ["--part", "ASB.v1=Cars: Loud cars.", "--part", "ASB.v2=Scooters: Scooters on pavements."]
    assert run(["codebook", "split", "ASB.vehicle", "--codebook", out, *parts, "--out", three]) == 0
    lines = [
        {"comment_id": "1", "text": "a", "themes": ["ASB.beg", "ASB.drink"]},
        {"comment_id": "2", "text": "b", "themes": ["ASB.vehicle", "ASB.litter"]},
    ]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    maps = [str(tmp_path / "w2.change.json"), str(tmp_path / "w3.change.json")]
    arguments = [
        "codebook",
        "apply",
        *maps,
        "--decisions",
        str(tmp_path / "d.jsonl"),
        "--out",
        str(tmp_path / "new.jsonl"),
    ]
    assert run(arguments) == 0
    assert json.loads((tmp_path / "new.jsonl").read_text())["themes"] == ["ASB.drink"]
    queued = json.loads((tmp_path / "new.queue.jsonl").read_text())
    assert (queued["comment_id"], queued["themes"], queued["undecided"]) == ("2", ["ASB.litter"], ["ASB.vehicle"])
    assert (
        run(["codebook", "apply", *reversed(maps), "--decisions", str(tmp_path / "d.jsonl"), "--out", out + "l"]) == 3
    )
    assert run(["codebook", "undo", maps[0], "--out", str(tmp_path / "w1.yaml")]) == 0
    assert read_codebook(tmp_path / "w1.yaml") == BOOK
    capsys.readouterr()
    assert run(["codebook", "diff", str(SHIPPED), three]) == 0
    assert "ASB.v1" in capsys.readouterr().out


def test_a_candidate_becomes_a_theme_and_its_comments_are_queued(tmp_path: Path) -> None:
    suggested = {
        "label": "Libraries",
        "id": "NEW.1",
        "definition": "On libraries.",
        "include": "",
        "exclude": "",
        "cues": ["library"],
    }
    candidates = {"candidates": [{"id": "new-1", "suggested": suggested, "comment_ids": ["7", "9"]}]}
    (tmp_path / "c.json").write_text(json.dumps(candidates))
    source = ["--from", str(tmp_path / "c.json"), "--parent", "ASB", "--id", "ASB.library"]
    assert run(["codebook", "promote", "new-1", *source, "--out", str(tmp_path / "w2.yaml")]) == 0
    assert read_codebook(tmp_path / "w2.yaml").get_theme("ASB.library").label == "Libraries"
    assert json.loads((tmp_path / "w2.change.json").read_text())["queue"] == ["7", "9"]
    assert run(["codebook", "promote", "new-2", *source, "--out", str(tmp_path / "w4.yaml")]) == 3


def test_a_codebook_goes_out_as_qdc_and_comes_back_exactly(tmp_path: Path) -> None:
    assert run(["codebook", "export", "--out", str(tmp_path / "b.qdc")]) == 0
    assert run(["codebook", "import", str(tmp_path / "b.qdc"), "--out", str(tmp_path / "b.yaml")]) == 0
    assert read_codebook(tmp_path / "b.yaml") == read_qdc(tmp_path / "b.qdc") == BOOK
    first = (tmp_path / "b.qdc").read_bytes()
    write_qdc(tmp_path / "b.qdc", BOOK)
    assert first == (tmp_path / "b.qdc").read_bytes()


def test_anothers_qdc_gives_themes_of_two_levels(tmp_path: Path) -> None:
    guid = code_guid(BOOK, BOOK.themes[0])
    codes = "".join(
        f'<Code guid="{guid[:-1]}{i}" name="{name}" isCodable="true">{inner}' for i, (name, inner) in enumerate(
            [("Traffic", "<Description>On roads</Description>"), ("Speeding", ""), ("At night", "")]
        )
    )  # fmt: skip
    text = f'<CodeBook xmlns="urn:QDA-XML:codebook:1.0"><Codes>{codes}</Code></Code></Code></Codes></CodeBook>'
    (tmp_path / "x.qdc").write_text(text)
    book = read_qdc(tmp_path / "x.qdc")
    assert [t.label for t in book.themes] == ["Traffic", "Speeding", "Speeding / At night"]
    assert [t.parent for t in book.themes[1:]] == [book.themes[0].id] * 2
    (tmp_path / "y.qdc").write_text('<!DOCTYPE a [<!ENTITY b "c">]>' + text)
    with pytest.raises(ExchangeError):
        read_qdc(tmp_path / "y.qdc")
