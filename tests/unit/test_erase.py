"""A respondent is forgotten in rounds, decisions and gold sets too, and the models that learnt from them are named."""

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.display import make_display
from annotation.round import Kind, Round, Suggested, make_round
from models.artefact import read_artefact, write_artefact
from models.registry import Entry, Gold, publish, read_registry
from models.trained_on import holds_any, make_marks
from models.vocabulary import Comment, CommentId, RespondentId
from models.weights import Base
from nlp_service.cli.main import run
from nlp_service.erase_files import EraseError, FilesErased, Places, Wish, look_through_files, make_places
from nlp_service.erase_respondent import RespondentNotFoundError, erase_respondent, find_models
from nlp_service.round_folder import ERASED, TASKS, read_erased, read_round, without_erased, write_lines, write_round
from nlp_service.run_round import RoundBusyError, Server, locked
from nlp_service.settings import Settings
from nlp_service.store.audit import read_entries
from nlp_service.store.database import Database, open_store
from tests.conftest import THREE, make_artefact

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KEY = "ab" * 32
MARKER = "quetzalcoatlus"


def decision(i: int, **more: Any) -> dict[str, Any]:
    return {
        "comment_id": f"c{i}",
        "text": f"{MARKER if i == 1 else 'lamp'} {i}",
        "themes": [],
        "group": f"p{i}",
        **more,
    }


def forget(who: str, *paths: Path, written: tuple[tuple[str, str], ...] = (), everywhere: bool = True, registry: Path | None = None) -> FilesErased:  # fmt: skip
    return forgotten(who, Places(registry or paths[0].parent / "none", tuple(paths)), written, everywhere=everywhere)[0]


def forgotten(who: str, places: Places, written: tuple[tuple[str, str], ...] = (), *, everywhere: bool = True) -> tuple[FilesErased, frozenset[tuple[str, str]]]:  # fmt: skip
    with look_through_files(Wish(who, frozenset(written), everywhere=everywhere), places) as files:
        return files.finish(), files.written


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Database]:
    database = open_store(f"sqlite:///{tmp_path / 'themes.db'}")
    yield database
    database.close()


@pytest.fixture
def decisions(tmp_path: Path) -> Path:
    path = tmp_path / "decisions.jsonl"
    write_lines(path, (decision(i) for i in range(9)))
    return path


def plan_of_four() -> Round:
    comments = [
        Comment(CommentId(f"c{i}"), f"{MARKER if i == 1 else 'lamp'} {i}", None, RespondentId(f"p{i}"))
        for i in range(4)
    ]
    shown = [(c, make_display(c.text), Suggested()) for c in comments]
    return make_round(blind=shown[:2], assisted=shown[2:], codebook=THREE, model="m", coders=1, overlap=0, seed=1)


def holding(folder: Path, marker: str = MARKER) -> list[str]:
    return [p.name for p in folder.rglob("*") if p.is_file() and marker.encode() in p.read_bytes()]


def test_lines_of_the_respondent_go_and_all_others_stay_as_they_were(decisions: Path) -> None:
    before = decisions.read_text().splitlines(keepends=True)
    decisions.chmod(0o640)
    done, written = forgotten("p1", Places(decisions.parent / "none", (decisions,)))
    assert decisions.read_text().splitlines(keepends=True) == before[:1] + before[2:]
    assert decisions.stat().st_mode & 0o777 == 0o640
    assert (done.n_lines, done.left, written) == (1, (), {("p1", f"{MARKER} 1"), ("c1", f"{MARKER} 1")})
    assert forget("p1", decisions).n_lines == 0


def test_a_line_without_a_respondent_is_of_the_one_whose_id_its_comment_has(tmp_path: Path) -> None:
    path = tmp_path / "codings.jsonl"
    write_lines(path, [{"comment_id": "7"}, {"comment_id": "8", "respondent": "7"}, {"comment_id": "9"}])
    assert forget("7", path).n_lines == 2
    assert path.read_text() == '{"comment_id": "9"}\n'


def test_within_one_consultation_the_same_id_with_other_words_is_somebody_else(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    write_lines(path, [decision(1), decision(2, group="p1"), {"comment_id": "c1", "text": "lamp 2"}])
    assert forget("p1", path, written=(("c9", f"{MARKER} 1"),), everywhere=False).n_lines == 1
    assert len(path.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("line", "theirs"),
    [
        ({"comment_id": "7/2"}, True),
        ({"comment_id": "7/x"}, False),
        ({"comment_id": "1", "group": ""}, False),
        ({"comment_id": "7", "group": ""}, True),
        ({"comment_id": "7", "group": 1042.5}, True),
        ({"comment_id": "7", "group": "8"}, False),
        ({"comment_id": "1", "group": 7}, True),
        ({"comment_id": "7", "text": ["no", "text"]}, True),
        ({"id": 7}, True),
        ({}, False),
    ],
)
def test_who_a_line_is_about_is_read_as_training_reads_it(tmp_path: Path, line: dict[str, Any], theirs: bool) -> None:
    path = tmp_path / "in.NDJSON"
    write_lines(path, [line])
    assert forget("7", tmp_path).n_lines == theirs


def test_a_file_behind_a_link_is_looked_through_too(tmp_path: Path, decisions: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "link.jsonl").symlink_to(decisions)
    assert forget("p1", tmp_path / "there").n_lines == 1
    assert holding(tmp_path) == []


def test_within_one_consultation_lines_without_words_are_told_of_and_no_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "codings.jsonl"
    write_lines(path, [{"comment_id": "p1"}])
    assert forget("p1", path, everywhere=False).left == (
        "a file: 1 line without words has the id, and may be somebody else's",
    )


def test_who_may_see_one_consultation_is_told_no_names_of_files_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "secret.jsonl").write_bytes(b"\xff\xfe")
    for path in (tmp_path / "secret.jsonl", tmp_path / "secret-too"):
        with pytest.raises(EraseError, match="secret"):
            forget("p1", path)
        with pytest.raises(EraseError) as refused:
            forget("p1", path, everywhere=False)
        assert "secret" not in str(refused.value)


def test_nothing_is_written_if_one_file_cannot_be(tmp_path: Path, decisions: Path) -> None:
    (tmp_path / "z").mkdir()
    last = tmp_path / "z" / "last.jsonl"
    write_lines(last, [decision(1)])
    last.unlink()
    last.write_bytes(b"\xff\xfe")
    before = decisions.read_bytes()
    with pytest.raises(EraseError):
        forget("p1", decisions, last)
    assert decisions.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["decisions.jsonl", "none", "z"]


def test_erasures_at_the_same_time_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    write_lines(path, (decision(i) for i in range(2_000)))
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda i: forget(f"p{i}", path), range(6)))
    assert [d.n_lines for d in done] == [1] * 6
    assert len(path.read_text().splitlines()) == 1_994


def test_a_line_that_is_no_object_is_kept_and_told_of(tmp_path: Path) -> None:
    path = tmp_path / "odd.jsonl"
    path.write_text(f'{{"comment_id": "p1"}}\n{MARKER}\n[1]\n')
    done = forget("p1", path)
    assert path.read_text() == f"{MARKER}\n[1]\n"
    assert done.left == ("odd.jsonl: 2 lines that are no JSON objects were not looked through",)


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_place_that_cannot_be_used_is_refused_before_the_store_forgets(
    tmp_path: Path, store: Database, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "in.jsonl").write_bytes(content)
    places = Places(tmp_path / "none", (tmp_path / "in.jsonl",))
    with pytest.raises(EraseError) as refused:
        erase_respondent(store, "p1", consultation=None, actor="test", places=places)
    assert refused.value.code == "erase_refused"
    assert read_entries(store) == ()


def test_a_round_forgets_its_tasks_and_answers_and_never_asks_again(tmp_path: Path) -> None:
    plan, folder = plan_of_four(), tmp_path / "round"
    write_round(folder, plan)
    write_lines(folder / "decisions.jsonl", [{"comment_id": "c1", "group": "p1", "text": f"{MARKER} 1", "themes": []}])
    done = forget("p1", tmp_path)
    key = next(t.key for t in plan.tasks if t.comment.id == "c1")
    assert (done.n_lines, holding(tmp_path), read_erased(folder).left) == (2, [], frozenset({key}))
    assert done.left == ("round: 1 task in Label Studio, which no settings name",)
    assert [t.comment.id for t in read_round(folder).tasks] == ["c0", "c2", "c3"]
    assert without_erased(plan, folder) == read_round(folder)
    assert forget("p2", folder).n_lines == 1
    assert len(read_erased(folder).keys) == 2
    assert forget("p9", folder).left == ("round: 2 tasks in Label Studio, which no settings name",)


def test_without_label_studio_what_is_left_there_is_told_and_the_rest_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "round"
    write_round(folder, plan_of_four().with_project(Kind.BLIND, 7))
    gone = Server("http://127.0.0.1:9", "token", 1.0)
    done, _ = forgotten("p1", Places(tmp_path / "none", (folder,), gone))
    assert done.left == ("round: 1 task in Label Studio (label_studio_failed)",)
    assert (done.n_lines, holding(tmp_path)) == (1, [])
    assert json.loads((folder / ERASED).read_text())["left"]


@pytest.mark.parametrize("consultation", [None, "Wave 3"])
def test_who_is_found_nowhere_is_not_found_and_nothing_is_changed(
    decisions: Path, store: Database, consultation: str | None
) -> None:
    before, places = decisions.read_bytes(), Places(decisions.parent / "none", (decisions,))
    with pytest.raises(RespondentNotFoundError) as refused:
        erase_respondent(store, "P1", consultation=consultation, actor="test", places=places)
    assert refused.value.found.endswith("neither in the store nor in the files looked through (1).")
    assert "P1" not in str(refused.value)
    assert decisions.read_bytes() == before
    assert [(e.did, e.details) for e in read_entries(store)] == [
        ("respondent.erase", {"comments": 0, "lines": 0, "tasks": 0})
    ]


def test_an_erasure_given_again_finds_nobody_and_changes_nothing(decisions: Path, store: Database) -> None:
    places = Places(decisions.parent / "none", (decisions,))
    done = erase_respondent(store, "p1", consultation=None, actor="test", places=places)
    assert (done.is_found, done.n_lines) == (True, 1)
    after = decisions.read_bytes()
    with pytest.raises(RespondentNotFoundError, match="if it was erased before, nothing is left to do"):
        erase_respondent(store, "p1", consultation=None, actor="test", places=places)
    assert decisions.read_bytes() == after


def test_where_something_is_left_the_answer_says_so_and_that_nobody_was_found(tmp_path: Path, store: Database) -> None:
    (tmp_path / "odd.jsonl").write_text(f"{MARKER}\n")
    places = Places(tmp_path / "none", (tmp_path / "odd.jsonl",))
    done = erase_respondent(store, "p1", consultation=None, actor="test", places=places)
    assert (done.is_found, done.n_files) == (False, 1)
    assert done.left == ("odd.jsonl: 1 line that is no JSON object was not looked through",)


def test_a_round_that_another_process_works_on_is_left_whole(tmp_path: Path) -> None:
    folder = tmp_path / "round"
    write_round(folder, plan_of_four())
    before = (folder / TASKS).read_bytes()
    with locked(folder), pytest.raises(RoundBusyError):
        forget("p1", folder)
    assert (folder / TASKS).read_bytes() == before


def test_a_gold_set_stays_the_fixed_one_when_somebody_is_erased_from_it(
    tmp_path: Path, decisions: Path, base: Base
) -> None:
    model, registry = tmp_path / "m", tmp_path / "registry"
    model_id = write_artefact(model, make_artefact(base))
    was = hashlib.sha256(decisions.read_bytes()).hexdigest()
    entry = Entry(model_id, "flat", "1", "accepted", NOW.isoformat(), "first")
    publish(registry, model, entry, gold=Gold(str(decisions), was, 9))
    forget("p1", tmp_path / "decisions.jsonl", registry=registry)
    gold = read_registry(registry).gold["flat"]
    assert (gold.sha256, gold.n_comments) == (hashlib.sha256(decisions.read_bytes()).hexdigest(), 8)
    assert gold.earlier == (was,)
    decisions.rename(tmp_path / "elsewhere")
    lost = forget("p2", tmp_path / "elsewhere", registry=registry)
    assert (lost.n_lines, lost.left) == (1, ("decisions.jsonl: a gold set of the registry that is not where it was",))
    (tmp_path / "elsewhere").rename(decisions)
    write_lines(decisions, (decision(i) for i in (0, *range(2, 9))))
    forget("p2", tmp_path, registry=registry)
    assert read_registry(registry).gold["flat"].earlier == (was, gold.sha256)
    assert [e.did for e in read_registry(registry).events] == ["publish", "shrink gold", "shrink gold"]


def test_models_that_learnt_from_the_respondent_are_named_and_no_others(tmp_path: Path, base: Base) -> None:
    registry = tmp_path / "registry"
    card = {"data_sha256": KEY}
    for version, written in (("1", [("p1", "Too dark.")]), ("2", [("p2", "Too dark.")]), ("3", None)):
        marks = None if written is None else make_marks(written, key=KEY)
        folder = tmp_path / version
        made = write_artefact(folder, replace(make_artefact(base), version=version, card=card, trained_on=marks))
        publish(registry, folder, Entry(made, "flat", "1", "accepted", NOW.isoformat(), "because"))
    found = find_models(registry, [("p1", "Too dark."), ("c4", "Too dark.")])
    assert [m.split("+")[0] for m in found.models] == ["test-1"]
    assert [m.split("+")[0] for m in found.unknown] == ["test-3"]
    assert b"dark" not in (registry / "models" / found.models[0] / "trained_on.safetensors").read_bytes()
    kept = read_artefact(registry / "models" / found.models[0]).trained_on
    assert kept is not None
    assert kept.tolist() == make_marks([("p1", "Too dark.")], key=KEY).tolist()


def test_a_broken_model_cannot_be_told(tmp_path: Path, base: Base) -> None:
    made = write_artefact(tmp_path / "m", make_artefact(base))
    publish(tmp_path / "registry", tmp_path / "m", Entry(made, "flat", "1", "accepted", NOW.isoformat(), "because"))
    (tmp_path / "registry" / "models" / made / "card.md").write_text("changed")
    assert find_models(tmp_path / "registry", []).unknown == (made,)


@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=9)), max_size=9), st.tuples(st.text(max_size=5), st.text(max_size=9)))  # fmt: skip
def test_marks_tell_who_wrote_what_and_nothing_else(written: list[tuple[str, str]], other: tuple[str, str]) -> None:
    marks = make_marks(written, key=KEY)
    assert holds_any(marks, [other], key=KEY) == (other in written)
    assert not holds_any(marks, [*written, other], key="cd" * 32)
    assert len(marks) == len(set(written))


def test_settings_name_the_places_with_colons_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEMES_ERASE_FROM", "/a:/b c:")
    monkeypatch.setenv("THEMES_LABEL_STUDIO_URL", "http://here")
    monkeypatch.setenv("THEMES_LABEL_STUDIO_TOKEN", "t")
    places = make_places(Settings(), [Path("/d")])
    assert places.paths == (Path("/a"), Path("/b c"), Path("/d"))
    assert places.label_studio is not None


def test_the_command_says_what_was_erased_and_what_is_left(
    decisions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("THEMES_STORE", f"sqlite:///{tmp_path / 'themes.db'}")
    assert run(["erase", "p1", "--from", str(decisions)]) == 0
    said = capsys.readouterr().err
    assert "0 comments in 0 batches" in said
    assert "1 line of files, 0 tasks in Label Studio" in said
    write_round(tmp_path / "round", plan_of_four())
    assert run(["erase", "p2", "--from", str(tmp_path)]) == 3
    assert "left: round: 1 task" in capsys.readouterr().err
    assert run(["erase", "p2", "--from", str(tmp_path)]) == 3
    said = capsys.readouterr().err
    assert "note: nothing was found under that id, neither in the store nor in the files looked through (2)." in said
    assert "left: round: 1 task" in said
    assert run(["erase", "P3", "--from", str(decisions), "--consultation", "Wave 3"]) == 4
    said = capsys.readouterr().err
    assert "error respondent_not_found: nothing was found under that id" in said
    assert (
        "next: check its spelling, the consultation, and the places looked through (--from, THEMES_ERASE_FROM)" in said
    )
    assert MARKER not in said
    assert run(["erase", "p2", "--from", str(tmp_path / "absent")]) == 3
    assert "erase_refused" in capsys.readouterr().err
