"""A codebook is either read whole or refused with the line that is wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest

from models.codebook import (
    MAX_THEMES,
    SHIPPED,
    CodebookError,
    check_codebook,
    codebook_from_document,
    codebook_to_document,
    read_codebook,
)
from models.codebook_diff import compare_codebooks
from nlp_service.cli.main import run

Write = Callable[[str, str], Path]
HEAD = "id: c\nversion: '1'\nthemes:\n"


def theme(theme_id: str, more: str = "", definition: str = "Something of its own.") -> str:
    return f"  - id: {theme_id}\n    label: Label {theme_id}\n    definition: {definition} {theme_id}\n{more}"


def codes(path: Path) -> list[tuple[int, str, str]]:
    return [(f.line, f.level, f.code) for f in check_codebook(path)[1]]


def test_the_shipped_codebook_is_whole() -> None:
    book, findings = check_codebook(SHIPPED)
    assert findings == []
    assert book is not None
    assert (len(book.themes), len(book.codable)) == (51, 43)
    assert {t.id for t in book.codable if t.residual} == {"RES.other", "RES.offtopic", "RES.process", "RES.none"}
    for t in book.codable:
        assert t.definition
        assert t.include
        assert t.exclude
        assert len(t.examples) >= 5
        assert t.cues or t.residual


def test_no_example_stands_under_two_themes() -> None:
    examples = [e for t in read_codebook(SHIPPED).codable for e in t.examples]
    assert len(examples) == len(set(examples))


def test_three_flat_themes_without_cues_are_a_codebook(lines_file: Write) -> None:
    book = read_codebook(lines_file("flat.yaml", HEAD + theme("A") + theme("B") + theme("C")))
    assert [t.id for t in book.codable] == ["A", "B", "C"]
    assert book.ref == "c@1"


def test_duplicate_ids_missing_parents_and_a_third_level_have_lines(lines_file: Write) -> None:
    text = (
        HEAD
        + theme("A")
        + theme("A")
        + theme("B", "    parent: Z\n")
        + theme("D", "    parent: E\n")
        + theme("E", "    parent: A\n")
    )
    assert [c for c in codes(lines_file("bad.yaml", text)) if c[1] == "error"] == [
        (7, "error", "duplicate_id"),
        (10, "error", "missing_parent"),
        (14, "error", "too_deep"),
    ]


def test_a_theme_cannot_be_its_own_parent(lines_file: Write) -> None:
    assert codes(lines_file("own.yaml", HEAD + theme("A", "    parent: A\n"))) == [(4, "error", "too_deep")]


def test_overlapping_definitions_are_told_with_both_lines(lines_file: Write) -> None:
    text = HEAD + "".join(
        f"  - id: {i}\n    label: {i}\n    definition: Loud music, shouting and parties late at night.\n" for i in "AB"
    )
    path = lines_file("same.yaml", text)
    assert codes(path) == [(7, "warning", "overlapping_definitions")]
    assert "line 4" in check_codebook(path)[1][0].message
    assert read_codebook(path).version == "1"


@pytest.mark.parametrize(
    ("text", "line", "code"),
    [
        ("", 1, "not_a_codebook"),
        ("- a\n", 1, "not_a_codebook"),
        ("id: c\nversion: 1\n", 1, "no_themes"),
        ("id: c\nversion: 1\nthemes: []\n", 3, "no_themes"),
        ("version: 1\nthemes:\n" + theme("A"), 1, "empty_field"),
        (HEAD + "  - label: x\n", 4, "empty_field"),
        (HEAD + "  - id: A\n    label:\n    definition: d\n", 5, "empty_field"),
        (HEAD + "  - id: '=1+1'\n    label: x\n    definition: d\n", 4, "bad_id"),
        (HEAD + "  - id: A\n    id: B\n    label: x\n    definition: d\n", 5, "duplicate_field"),
        (HEAD + theme("A", "    cues: noise\n"), 7, "bad_field"),
        (HEAD + theme("A", "    include: [a, b]\n"), 7, "bad_field"),
        (HEAD + "  - just text\n", 4, "not_a_theme"),
        ("id: [\n", 2, "not_yaml"),
        ("id: &a c\nversion: *a\n", 2, "alias"),
        (HEAD + "".join(theme(f"T{i}") for i in range(MAX_THEMES + 1)), 4, "too_many_themes"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(lines_file: Write, text: str, line: int, code: str) -> None:
    path = lines_file("bad.yaml", text)
    assert (line, "error", code) in codes(path)
    with pytest.raises(CodebookError, match=r"line \d+"):
        read_codebook(path)


def test_the_limit_itself_is_allowed(lines_file: Write) -> None:
    text = HEAD + "".join(
        f"  - id: T{i}\n    label: L{i}\n    definition: {chr(97 + i % 26) * (1 + i // 26)}\n"
        for i in range(MAX_THEMES)
    )
    assert len(read_codebook(lines_file("many.yaml", text)).codable) == MAX_THEMES


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\xfe\x00\x80id")
    assert codes(path) == [(1, "error", "not_utf8")]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CodebookError, match=r"nowhere\.yaml cannot be read"):
        read_codebook(tmp_path / "nowhere.yaml")


def test_a_codebook_survives_its_document() -> None:
    book = read_codebook(SHIPPED)
    assert codebook_from_document(codebook_to_document(book)) == book


def test_a_diff_names_every_change_and_what_can_alter_labels(
    lines_file: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    up = theme("UP")
    old = lines_file(
        "old.yaml",
        HEAD + up + theme("A", "    parent: UP\n") + theme("B") + theme("C", "    cues: [x, y]\n") + theme("D"),
    )
    new = lines_file(
        "new.yaml",
        HEAD.replace("'1'", "'2'") + up + theme("A") + theme("B").replace("Label B", "Noise") + theme("C", "    cues: [y, z]\n", "Another thing.") + theme("E", "    parent: UP\n"),
    )  # fmt: skip
    found = compare_codebooks(read_codebook(old), read_codebook(new))
    assert [(c.theme, c.kind, c.touches_labels) for c in found] == [
        ("A", "moved", False),
        ("B", "renamed", False),
        ("C", "redefined", True),
        ("C", "hints", False),
        ("E", "added", True),
        ("D", "removed", True),
    ]
    assert found[3].text == "cues +1 -1"
    assert compare_codebooks(read_codebook(old), read_codebook(old)) == []
    assert run(["codebook", "diff", str(old), str(new)]) == 0
    said = capsys.readouterr()
    assert "* removed   D" in said.out
    assert "c@1 -> c@2: 6 changes, 3 themes" in said.err
    assert run(["codebook", "diff", str(old), str(new.with_name("none.yaml"))]) == 3
