"""Every code has a page, which says what it means and what to do; nobody needs a key to read it."""

import ast
import importlib
import pkgutil
import re
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from html.parser import HTMLParser
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import nlp_service.api
import nlp_service.cli
from models.vocabulary import ThemesError
from nlp_service.api.problems import STATUS, problem
from nlp_service.cli.main import _NOT_FOUND_ERRORS, BUSY, NOT_FOUND, REFUSED
from nlp_service.error_codes import Place, find_error_codes, read_error_codes, reference_page
from nlp_service.store.keys import Scope
from tests.broken_files import BROKEN, ROW_BY_ROW
from tests.service_parts import key_of, serving

ROOT = Path(__file__).parents[2]
FOLDERS = ("nlp_service", "models", "annotation", "training")
CODE = re.compile(r"[a-z]+(_[a-z]+)+|busy|bug|forbidden|refused")
KINDS = ("workbook", "document")
TRIPLE = 3
LIMITS = ("rows", "columns", "characters")


def trees() -> list[ast.Module]:
    return [ast.parse(p.read_text(encoding="utf-8")) for f in FOLDERS for p in sorted((ROOT / f).rglob("*.py"))]


def texts(node: ast.AST) -> Iterator[str]:
    """Yield the texts that an expression may be."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from texts(node.body)
        yield from texts(node.orelse)
    elif isinstance(node, ast.Call) and name_of(node) == "get":
        yield from (t for given in node.args[1:] for t in texts(given))
    elif isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
        start = str(node.values[0].value)
        yield from (start + end for end in (LIMITS if start == "too_many_" else KINDS))


def name_of(call: ast.Call) -> str:
    return str(getattr(call.func, "id", getattr(call.func, "attr", "")))


def called(tree: ast.Module, constants: dict[str, str]) -> Iterator[str]:
    """Yield the codes that calls make problems and refusals of."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if name_of(node) == "problem":
            yield from texts(node.args[1])
        elif name_of(node) == "InputRefusedError":
            yield from texts(node.args[0])
        elif name_of(node) in ("Problem", "_problem", "Outcome"):
            for given in node.args:
                yield from (t for t in texts(given) if CODE.fullmatch(t))
                yield from (constants[n] for n in [getattr(given, "id", "")] if CODE.fullmatch(constants.get(n, "")))
        yield from (t for k in node.keywords if k.arg == "error" for t in texts(k.value) if CODE.fullmatch(t))


def assigned(tree: ast.Module) -> Iterator[str]:
    """Yield what variables and class attributes named `code` and `codes` are given, and triples of a code and two texts."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            target = node.targets[0]
            if isinstance(target, ast.Tuple):
                yield from unpacked(target, node.value)
            elif getattr(target, "id", "") == "code":
                yield from texts(node.value)
            elif getattr(target, "id", "") == "codes":
                yield from (t for v in getattr(node.value, "values", ()) for t in texts(v))
        elif isinstance(node, ast.Tuple) and len(node.elts) == TRIPLE:
            given = [list(texts(e)) or [" "] * isinstance(e, ast.JoinedStr) for e in node.elts]
            if all(given) and CODE.fullmatch(given[0][0]) and " " in given[2][0]:
                yield given[0][0]


def unpacked(target: ast.Tuple, value: ast.AST) -> Iterator[str]:
    """Yield what `code` is given where several variables are given values at once."""
    if isinstance(value, ast.IfExp):
        yield from unpacked(target, value.body)
        yield from unpacked(target, value.orelse)
    for name, one in zip(target.elts, getattr(value, "elts", ()), strict=False):
        if getattr(name, "id", "") == "code":
            yield from texts(one)


@pytest.fixture(scope="module")
def used() -> set[str]:
    """Every code that the program may give."""
    parsed = trees()
    constants = {
        str(node.target.id): node.value.value
        for tree in parsed
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    }
    found = {code for tree in parsed for code in (*called(tree, constants), *assigned(tree))}
    return (found | {c.code for c in (*BROKEN, *ROW_BY_ROW)}) - {"error"}  # that of the class that all are of


def errors(of: type[ThemesError] = ThemesError) -> Iterator[type[ThemesError]]:
    for kind in of.__subclasses__():
        yield kind
        yield from errors(kind)


def test_every_code_that_the_program_may_give_has_a_page(used: set[str]) -> None:
    assert len(used) > 100
    assert sorted(c for c in used if not find_error_codes(c)) == []


def test_no_page_is_of_a_code_that_is_never_given(used: set[str]) -> None:
    assert sorted({c.code for c in read_error_codes()} - used) == ["bad_setting"]  # said by the command line itself


def test_every_error_is_listed_with_the_status_and_the_exit_code_that_it_has() -> None:
    for package in (nlp_service.api, nlp_service.cli):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    kinds = [k for k in errors() if k.code != "error" and not k.__module__.startswith("tests")]
    assert len(kinds) > 40
    busy = {"registry_busy", "round_busy", "erase_busy"}
    wrong = []
    for kind in kinds:
        listed = find_error_codes(kind.code)
        if not listed:
            wrong.append((kind.__name__, "no page"))
            continue
        statuses = {s for c in listed for s in c.statuses}
        if statuses and statuses != {STATUS.get(kind, 422)}:
            wrong.append((kind.__name__, f"{statuses}"))
        if kind in STATUS and not statuses:
            wrong.append((kind.__name__, "no status"))
        expected = NOT_FOUND if issubclass(kind, _NOT_FOUND_ERRORS) else BUSY if kind.code in busy else REFUSED
        if {c.exit_code for c in listed if c.place is Place.COMMAND} - {expected}:
            wrong.append((kind.__name__, f"exit code {expected}"))
    assert wrong == []


def test_the_reference_page_says_what_the_table_says() -> None:
    page = (ROOT / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
    assert page == reference_page(), "run `make errors-reference`"


def test_the_table_is_in_the_wheel() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["nlp_service"]
    assert any(fnmatch("error_codes.toml", pattern) for pattern in patterns)


class Outline(HTMLParser):
    """The elements of a page, each closed in its turn."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: dict[str, dict[str, str | None]] = {}
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes[tag] = dict(attributes)
        if tag != "meta":
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


@pytest.fixture(scope="module")
def client(small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with serving(small_model, tmp_path_factory.mktemp("pages"), is_local=False) as (client, service):
        key_of(service, Scope.ADMIN)
        yield client


def test_every_page_is_read_without_a_key_and_says_what_the_table_says(client: TestClient) -> None:
    for code in {c.code for c in read_error_codes()}:
        answer = client.get(f"/errors/{code}")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        outline = Outline(answer.text)
        assert outline.attributes["html"] == {"lang": "en"}
        assert [e for e in outline.elements if e in ("title", "main", "h1")] == ["title", "main", "h1"]
        assert outline.elements.count("h2") == outline.elements.count("dl") == len(find_error_codes(code))
        assert not {"script", "style", "link", "img", "iframe"} & set(outline.elements)
        words = re.sub(r"<[^>]+>", "", answer.text).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        for c in find_error_codes(code):
            for said in (c.meaning, c.next_step):
                assert re.sub(r"\[(\w+)\]\(.*?\)", r"\1", said).replace("`", "") in words
            assert all(str(s) in words for s in c.statuses)


@pytest.mark.parametrize("code", ["nothing", "NO_KEY", "no_key%20", "..%2Fv1", "<script>", "error", "x" * 101])
def test_an_unknown_code_has_no_page_and_is_not_repeated(client: TestClient, code: str) -> None:
    answer = client.get(f"/errors/{code}")
    assert answer.status_code in (404, 422)
    assert answer.headers["content-type"] == "application/problem+json"
    assert "script" not in answer.text


def test_the_type_of_a_problem_leads_to_its_page(client: TestClient) -> None:
    refused = client.get("/v1/batches")
    assert refused.json()["type"] == "/errors/no_key"
    page = client.get(refused.url.join(refused.json()["type"]))
    assert page.status_code == 200
    assert "Authorization: Bearer KEY" in page.text


def test_a_type_is_an_address_whatever_the_code_holds() -> None:
    assert b'"type": "/errors/a%20b%2Fc"' in problem(422, "a b/c", "x").body
