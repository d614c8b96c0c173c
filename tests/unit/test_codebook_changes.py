"""A codebook changes without losing a label: every old theme has a place, every change can be undone, old versions stay as they were."""

import json
from dataclasses import replace
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
from models.codebook_diff import compare_codebooks
from models.vocabulary import Codebook, Theme, ThemeId
from nlp_service.change_codebook import find_changes, write_change, write_yaml
from nlp_service.cli.main import run
from nlp_service.exchange.qdc_file import ExchangeError, code_guid, read_qdc, write_qdc

BOOK = read_codebook(SHIPPED)
GONE = {"merged", "split", "retired", "removed"}


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


def lines_of(changes: list[CodebookChange], new: Codebook | None = None) -> list[tuple[str, str, str, bool]]:
    found = compare_codebooks(changes[0].old, new or changes[-1].new, changes)
    return [(c.kind, c.theme, c.text, c.touches_labels) for c in found if c.kind not in ("hints", "redefined")]


def test_a_diff_that_knows_the_way_says_what_was_merged_into_what() -> None:
    assert lines_of([merge(BOOK, ["ASB.beg"], "ASB.drink")]) == [
        ("widened", "ASB.drink", "takes the labels of ASB.beg (Begging and rough sleeping)", True),
        ("merged", "ASB.beg", "Begging and rough sleeping -> ASB.drink: its labels are labels of that theme now", True),
    ]


def test_a_diff_that_knows_the_way_says_what_was_split_retired_and_given_another_id() -> None:
    book = Codebook("b", "1", (theme("A"), theme("A.x", parent="A"), theme("B"), theme("C"), theme("D")))
    changes = [split(book, "B", [theme("B1"), theme("B2")])]
    changes.append(retire(changes[-1].new, "C"))
    changes.append(rename(changes[-1].new, "A", new_id="N"))
    changes.append(retire(changes[-1].new, "B2"))
    changes.append(promote(changes[-1].new, theme("C", "Another")))
    assert lines_of(changes) == [
        ("renamed", "N", "from the id A: its labels go with it", False),
        ("added", "B1", "Label B1; a part of B", True),
        ("added", "C", "Another", True),
        ("split", "B", "Label B -> B1: a person says which part each label means", True),
        ("retired", "C", "Label C: its labels stay under the old version and count in none", True),
    ]


def test_an_id_that_was_freed_and_given_to_another_theme_is_that_other_theme() -> None:
    book = Codebook("b", "1", (theme("A"), theme("B", "Old"), theme("C")))
    changes = [retire(book, "B")]
    changes.append(rename(changes[-1].new, "A", new_id="B"))
    assert [line[:2] for line in lines_of(changes)] == [("renamed", "B"), ("retired", "B")]


def test_what_was_taken_out_by_hand_after_a_change_has_no_place_to_go() -> None:
    change = merge(BOOK, ["ASB.beg"], "ASB.drink")
    by_hand = Codebook(BOOK.id, "9", tuple(t for t in change.new.themes if t.id != "ASB.drink"))
    assert [line[:2] for line in lines_of([change], by_hand)] == [("removed", "ASB.beg"), ("removed", "ASB.drink")]


def test_the_way_between_versions_is_found_by_their_change_files_and_not_where_one_lacks(tmp_path: Path) -> None:
    one = merge(BOOK, ["ASB.beg"], "ASB.drink")
    other = merge(BOOK, ["ASB.beg"], "ASB.litter")
    two = retire(one.new, "ASB.damage")
    for name, change in (("w2", one), ("other", other), ("w3", two)):
        write_change(change, tmp_path / f"{name}.yaml")
    (tmp_path / "odd.change.json").write_text("{}")
    assert find_changes(BOOK, two.new, tmp_path) == ([one, two], ["odd.change.json"])
    assert find_changes(BOOK, other.new, tmp_path) == ([other], ["odd.change.json"])
    assert find_changes(two.new, BOOK, tmp_path) == ([], ["odd.change.json"])
    assert find_changes(BOOK, BOOK, tmp_path) == ([], ["odd.change.json"])
    by_hand = replace(one.new, title="By hand")
    assert find_changes(BOOK, by_hand, tmp_path) == (
        [],
        ["odd.change.json"],
    )  # two changes gave that number: which one it was cannot be told
    (tmp_path / "other.change.json").unlink()
    assert find_changes(BOOK, by_hand, tmp_path) == ([one], ["odd.change.json"])
    (tmp_path / "w2.change.json").unlink()
    assert find_changes(BOOK, two.new, tmp_path) == ([], ["odd.change.json"])


@pytest.mark.slow
def test_the_command_says_what_was_merged_and_where_nothing_tells_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = str(tmp_path / "w2.yaml")
    assert run(["codebook", "merge", "ASB.drink", "ASB.beg", "--into", "ASB.drink", "--out", new]) == 0
    capsys.readouterr()
    assert run(["codebook", "diff", str(SHIPPED), new]) == 0
    told = capsys.readouterr()
    assert "* merged    ASB.beg          Begging and rough sleeping -> ASB.drink" in told.out
    assert "note" not in told.err
    (tmp_path / "w2.change.json").write_text("{")
    assert run(["codebook", "diff", str(SHIPPED), new]) == 0
    assert "Not to be read: w2.change.json." in capsys.readouterr().err
    (tmp_path / "w2.change.json").unlink()
    assert run(["codebook", "diff", str(SHIPPED), new]) == 0
    told = capsys.readouterr()
    assert "* removed   ASB.beg" in told.out
    assert "note: no change files beside w2.yaml lead from community-safety@1.0.0 to community-safety@1.1.0" in told.err


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
@pytest.mark.slow
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
    told_of_each_theme(changes)


def told_of_each_theme(changes: list[CodebookChange]) -> None:
    """Check that a diff which knows the way says of each theme what its labels mean now."""
    found = compare_codebooks(BOOK, changes[-1].new, changes)
    told = {(c.theme, c.kind) for c in found}
    assert len({(c.theme, c.kind, c.text) for c in found}) == len(found)
    assert {c.theme for c in found if c.kind == "removed"}.isdisjoint(t.id for t in BOOK.codable)
    for one in (t.id for t in BOOK.codable):
        seen, gone = view_themes(changes, [one]), {kind for theme_id, kind in told if theme_id == one} & GONE
        if seen.themes == {one}:
            assert gone == set()
        elif seen.themes:
            assert gone == {"merged"} or (not gone and (*seen.themes, "renamed") in told)
        elif seen.undecided:
            assert gone in ({"split"}, {"retired"})  # all its parts were retired
        else:
            assert gone == {"retired"}


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


@pytest.mark.slow
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
