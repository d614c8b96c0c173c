"""No expression of the product can be made to try a text in exponentially many ways (`benchmarks.regexes` measures their time)."""

import re
import re._constants as constants
import re._parser as parser
from collections.abc import Iterator
from typing import Any

import pytest

from tests.regexes import collect


def nested_repeats(parsed: Any, *, is_inside: bool = False) -> Iterator[str]:
    """Yield each repeat without an end inside another."""
    for operator, argument in parsed:
        is_repeat = operator in (constants.MAX_REPEAT, constants.MIN_REPEAT)
        endless = is_repeat and argument[1] is constants.MAXREPEAT
        if endless and is_inside:
            yield str(operator)
        for part in argument if isinstance(argument, tuple | list) else (argument,):
            for inner in part if isinstance(part, list) else (part,):
                if isinstance(inner, parser.SubPattern):
                    yield from nested_repeats(inner, is_inside=is_inside or endless)


def test_the_check_knows_a_bad_expression_from_a_good_one() -> None:
    assert list(nested_repeats(parser.parse(r"(?:a+)+b")))
    assert list(nested_repeats(parser.parse(r"(?:x|(y*z))*")))
    assert not list(nested_repeats(parser.parse(r"a+b+(?:c{1,4})+|d*")))


@pytest.mark.slow
def test_no_expression_repeats_without_end_inside_another() -> None:
    found = collect()
    assert len(found) >= 100
    bad = [
        place
        for place, compiled in found.items()
        if isinstance(compiled, re.Pattern)
        and list(nested_repeats(parser.parse(compiled.pattern, compiled.flags & ~re.DEBUG)))
    ]
    assert bad == []
