"""Codebooks on disk: YAML in, a checked `Codebook` out, every finding with its line number."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import yaml

from models.counts import counted
from models.vocabulary import Codebook, Theme, ThemeId, ThemesError

SHIPPED: Final = Path(__file__).parent / "codebooks" / "community_safety.yaml"
MAX_FILE_BYTES: Final = 2_000_000
MAX_THEMES: Final = 500
MAX_TEXT_CHARS: Final = 4_000
OVERLAP_WARN: Final = 0.6
"""Two definitions of one level that share this much of their words (Jaccard) are reported as overlapping."""
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.&/,:()-]{0,99}")
_TEXT_FIELDS: Final = ("label", "definition", "include", "exclude", "parent")
_LIST_FIELDS: Final = ("cues", "examples")
_FIELDS: Final = frozenset({"id", *_TEXT_FIELDS, *_LIST_FIELDS, "residual", "references"})
_STOP: Final = frozenset(
    [
        "a",
        "an",
        "and",
        "any",
        "are",
        "as",
        "at",
        "by",
        "for",
        "from",
        "has",
        "in",
        "is",
        "it",
        "its",
        "no",
        "not",
        "of",
        "on",
        "or",
        "other",
        "that",
        "the",
        "to",
        "with",
    ]
)


class CodebookError(ThemesError):
    """A codebook file cannot be used."""

    code = "codebook_invalid"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that `check_codebook` noticed. Errors keep a codebook from being used, warnings do not."""

    line: int
    level: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class _Node:
    """A YAML value with the line it starts on."""

    value: Any
    line: int


def read_codebook(path: Path) -> Codebook:
    """Return the codebook in a YAML file.

    Raises
    ------
    CodebookError
        If the file is missing, too large, not YAML or has a finding of level "error".
    """
    codebook, findings = check_codebook(path)
    errors = [f for f in findings if f.level == "error"]
    if codebook is None or errors:
        first = errors[0]
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise CodebookError(
            f"{path.name} line {first.line}: {first.message}{more}",
            allowed="a YAML file with id, version and themes, each theme with id, label and definition.",
            next_step=f"run `themes codebook check {path.name}` for every finding.",
        )
    return codebook


def check_codebook(path: Path) -> tuple[Codebook | None, list[Finding]]:
    """Return the codebook, or None if it cannot be built, and everything worth saying about it, by line."""
    findings: list[Finding] = []

    def add(line: int, level: str, code: str, message: str) -> None:
        findings.append(Finding(line, level, code, message))

    root = _parse(path, findings)
    if root is None:
        return None, findings
    if not isinstance(root.value, dict):
        add(root.line, "error", "not_a_codebook", "the file holds no mapping with id, version and themes.")
        return None, findings
    head = root.value
    for key in ("id", "version"):
        if not _text(head.get(key)):
            add(root.line, "error", "empty_field", f"the codebook's {key} is missing or empty.")
    listed = head.get("themes")
    if listed is None or not isinstance(listed.value, list) or not listed.value:
        add(listed.line if listed else root.line, "error", "no_themes", "`themes` is not a list of at least one theme.")
        return None, findings
    if len(listed.value) > MAX_THEMES:
        add(
            listed.line,
            "error",
            "too_many_themes",
            f"{counted(len(listed.value), 'theme')}; at most {MAX_THEMES} are allowed.",
        )
        return None, findings
    themes: list[tuple[Theme, int]] = []
    for node in listed.value:
        theme = _theme(node, findings)
        if theme is not None:
            themes.append((theme, node.line))
    findings.extend(_relations(themes))
    findings.sort(key=lambda f: (f.line, f.code, f.message))
    if any(f.level == "error" for f in findings):
        return None, findings
    residual = {t.id for t, _ in themes if t.residual}
    built = tuple(_inherit(t, residual) for t, _ in themes)
    title = _text(head.get("title"))
    return Codebook(_text(head["id"]), _text(head["version"]), built, title), findings


def codebook_from_document(document: dict[str, Any]) -> Codebook:
    """Return the codebook that `codebook_to_document` wrote (the form inside a model folder)."""
    themes = tuple(
        Theme(
            id=ThemeId(entry["id"]),
            label=entry["label"],
            definition=entry["definition"],
            include=entry.get("include", ""),
            exclude=entry.get("exclude", ""),
            parent=ThemeId(entry["parent"]) if entry.get("parent") else None,
            cues=tuple(entry.get("cues", ())),
            examples=tuple(entry.get("examples", ())),
            residual=bool(entry.get("residual", False)),
            references=tuple((k, tuple(v)) for k, v in entry.get("references", {}).items()),
        )
        for entry in document["themes"]
    )
    return Codebook(document["id"], document["version"], themes, document.get("title", ""))


def codebook_to_document(codebook: Codebook) -> dict[str, Any]:
    """Return the codebook as plain lists and dicts, empty fields left out."""
    themes: list[dict[str, Any]] = []
    for theme in codebook.themes:
        entry: dict[str, Any] = {
            "id": theme.id,
            "label": theme.label,
            "parent": theme.parent,
            "definition": theme.definition,
            "include": theme.include,
            "exclude": theme.exclude,
            "cues": list(theme.cues),
            "examples": list(theme.examples),
            "residual": theme.residual,
            "references": {k: list(v) for k, v in theme.references},
        }
        themes.append({k: v for k, v in entry.items() if v or k in ("label", "definition")})
    return {"id": codebook.id, "version": codebook.version, "title": codebook.title, "themes": themes}


def _inherit(theme: Theme, residual: set[ThemeId]) -> Theme:
    if theme.residual or theme.parent not in residual:
        return theme
    return Theme(**{f: getattr(theme, f) for f in theme.__dataclass_fields__ if f != "residual"}, residual=True)


def _parse(path: Path, findings: list[Finding]) -> _Node | None:
    try:
        size_bytes = path.stat().st_size
        if size_bytes > MAX_FILE_BYTES:
            findings.append(
                Finding(1, "error", "file_too_large", f"{size_bytes} bytes; at most {MAX_FILE_BYTES} are allowed.")
            )
            return None
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CodebookError(
            f"{path.name} cannot be read ({error.strerror}).",
            allowed="a readable YAML file.",
            next_step="check the path.",
        ) from error
    except UnicodeDecodeError:
        findings.append(Finding(1, "error", "not_utf8", "the file is not UTF-8 text."))
        return None
    try:
        events = list(yaml.parse(text, Loader=yaml.SafeLoader))
        alias = next((e for e in events if isinstance(e, yaml.AliasEvent)), None)
        if alias is not None:
            line = alias.start_mark.line + 1 if alias.start_mark else 1
            findings.append(Finding(line, "error", "alias", "YAML aliases (*name) are not allowed in a codebook."))
            return None
        composed = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "the text is not YAML"
        findings.append(Finding(mark.line + 1 if mark else 1, "error", "not_yaml", f"{problem}."))
        return None
    except RecursionError:
        findings.append(Finding(1, "error", "not_yaml", "the text is nested too deeply."))
        return None
    if composed is None:
        findings.append(Finding(1, "error", "not_a_codebook", "the file is empty."))
        return None
    return _convert(composed, findings)


def _convert(node: yaml.Node, findings: list[Finding]) -> _Node:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, _Node] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else ""
            if key in mapping:
                at = key_node.start_mark.line + 1
                findings.append(Finding(at, "error", "duplicate_field", f"the field {key!r} is given twice."))
            mapping[key] = _convert(value_node, findings)
        return _Node(mapping, line)
    if isinstance(node, yaml.SequenceNode):
        return _Node([_convert(child, findings) for child in node.value], line)
    if node.tag == "tag:yaml.org,2002:null":
        return _Node("", line)
    return _Node(str(node.value), line)


def _text(node: _Node | None) -> str:
    return " ".join(node.value.split()) if node is not None and isinstance(node.value, str) else ""


def _theme(node: _Node, findings: list[Finding]) -> Theme | None:
    def add(line: int, level: str, code: str, message: str) -> None:
        findings.append(Finding(line, level, code, message))

    if not isinstance(node.value, dict):
        add(node.line, "error", "not_a_theme", "an entry of `themes` is not a mapping with id, label and definition.")
        return None
    entry: dict[str, _Node] = node.value
    theme_id = _text(entry.get("id"))
    if not theme_id:
        add(node.line, "error", "empty_field", "a theme has no id.")
        return None
    if not _ID.fullmatch(theme_id):
        add(entry["id"].line, "error", "bad_id", f"{theme_id!r}: ids are 1-100 letters, digits, spaces or _.&/,:()-.")
    for key, child in entry.items():
        if key not in _FIELDS:
            add(child.line, "warning", "unknown_field", f"{theme_id}: the field {key!r} is not known and is left out.")
        elif key in _TEXT_FIELDS and not isinstance(child.value, str):
            add(child.line, "error", "bad_field", f"{theme_id}: {key} is one text, not a list or mapping.")
        elif key in _LIST_FIELDS and not _is_text_list(child):
            add(child.line, "error", "bad_field", f"{theme_id}: {key} is a list of texts.")
    for key in ("label", "definition"):
        if not _text(entry.get(key)):
            level = "error" if key == "label" else "warning"
            add(entry[key].line if key in entry else node.line, level, "empty_field", f"{theme_id}: {key} is empty.")
    for key in _TEXT_FIELDS:
        if len(_text(entry.get(key))) > MAX_TEXT_CHARS:
            add(entry[key].line, "error", "field_too_long", f"{theme_id}: {key} is over {MAX_TEXT_CHARS} characters.")
    return Theme(
        id=ThemeId(theme_id),
        label=_text(entry.get("label")),
        definition=_text(entry.get("definition")),
        include=_text(entry.get("include")),
        exclude=_text(entry.get("exclude")),
        parent=ThemeId(_text(entry.get("parent"))) if _text(entry.get("parent")) else None,
        cues=_texts(entry.get("cues")),
        examples=_texts(entry.get("examples")),
        residual=_text(entry.get("residual")).lower() in ("true", "yes"),
        references=_references(entry.get("references")),
    )


def _is_text_list(node: _Node) -> bool:
    return node.value == "" or (isinstance(node.value, list) and all(isinstance(c.value, str) for c in node.value))


def _texts(node: _Node | None) -> tuple[str, ...]:
    if node is None or not isinstance(node.value, list):
        return ()
    return tuple(text for child in node.value if (text := _text(child)))


def _references(node: _Node | None) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if node is None or not isinstance(node.value, dict):
        return ()
    return tuple((key, _texts(child)) for key, child in node.value.items() if _texts(child))


def _relations(themes: list[tuple[Theme, int]]) -> Iterator[Finding]:
    """Yield what is wrong between themes: double ids, missing parents, a third level, overlapping definitions."""
    first_line: dict[str, int] = {}
    labels: dict[str, int] = {}
    for theme, line in themes:
        if theme.id in first_line:
            yield Finding(
                line, "error", "duplicate_id", f"{theme.id} is already the id of line {first_line[theme.id]}."
            )
        first_line.setdefault(theme.id, line)
        folded = theme.label.casefold()
        if folded and folded in labels:
            yield Finding(
                line, "warning", "duplicate_label", f"{theme.id}: the label is that of line {labels[folded]}."
            )
        labels.setdefault(folded, line)
    by_id = {theme.id: theme for theme, _ in themes}
    for theme, line in themes:
        if theme.parent is None:
            continue
        parent = by_id.get(theme.parent)
        if parent is None:
            yield Finding(
                line, "error", "missing_parent", f"{theme.id}: its parent {theme.parent} is not a theme here."
            )
        elif parent.id == theme.id or parent.parent is not None:
            yield Finding(
                line, "error", "too_deep", f"{theme.id}: {theme.parent} has a parent itself; two levels are allowed."
            )
    parents = {theme.parent for theme, _ in themes}
    words = [(t, line, _content_words(t.definition)) for t, line in themes if t.id not in parents]
    for (a, line_a, words_a), (b, line_b, words_b) in combinations(words, 2):
        if not words_a or not words_b:
            continue
        shared = len(words_a & words_b) / len(words_a | words_b)
        if shared >= OVERLAP_WARN:
            yield Finding(
                line_b,
                "warning",
                "overlapping_definitions",
                f"{b.id} and {a.id} (line {line_a}) share {shared:.0%} of their definitions' words: say what tells them apart.",
            )


def _content_words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z]+", text.lower())) - _STOP
