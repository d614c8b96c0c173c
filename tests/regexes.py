"""Every regular expression of the product: those that its modules hold, and literals given to functions of `re`."""

import ast
import dataclasses
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import regex

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("models", "training", "annotation", "nlp_service")
_FUNCTIONS = ("compile", "search", "match", "fullmatch", "sub", "subn", "split", "findall", "finditer")


def collect() -> dict[str, Any]:
    """Return every expression, compiled, under the place where it stands."""
    found: dict[tuple[Any, int], tuple[str, Any]] = {}
    for package in PACKAGES:
        for info in pkgutil.walk_packages([str(ROOT / package)], f"{package}."):
            if info.name.endswith("__main__") or ".migrations" in info.name:
                continue
            module = importlib.import_module(info.name)
            for name, value in vars(module).items():
                for compiled in _patterns(value, 3):
                    found.setdefault((compiled.pattern, compiled.flags), (f"{info.name}.{name}", compiled))
    for place, pattern in _literals():
        compiled = re.compile(pattern)
        found.setdefault((compiled.pattern, compiled.flags), (place, compiled))
    return {f"{place} #{i}": compiled for i, (place, compiled) in enumerate(found.values())}


def _patterns(value: Any, depth: int) -> Iterator[Any]:
    """Yield expressions in a module's value, in tuples and the like that hold them, and in frozen values of classes."""
    if isinstance(value, re.Pattern | regex.Pattern):
        yield value
    elif depth and isinstance(value, tuple | list | set | frozenset):
        for part in value:
            yield from _patterns(part, depth - 1)
    elif depth and isinstance(value, dict):
        for part in value.values():
            yield from _patterns(part, depth - 1)
    elif depth and dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from _patterns(getattr(value, field.name), depth - 1)


def _literals() -> Iterator[tuple[str, str | bytes]]:
    """Yield the literal patterns given to functions of `re` and where they stand."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and isinstance(node.func.value, ast.Name)
                    and node.func.value.id == "re"
                    and node.func.attr in _FUNCTIONS
                    and node.args
                    and isinstance(node.args[0], ast.Constant)
                    and isinstance(node.args[0].value, str | bytes)
                ):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node.args[0].value
