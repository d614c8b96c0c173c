"""Every regular expression of the product on 10,000 hostile characters, in CPU time: `python -m benchmarks.regexes`.

Expressions are collected from the product's modules (whatever a module holds, however its pattern is put together), and from the source where a function of
`re` is called with a literal. Hostile texts: one character again and again, pairs of characters, words and the characters that
the expression itself names, each with an end that spoils a match.
"""

import re
import sys
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.report import publish
from tests.regexes import collect

N_CHARS = 10_000
MAX_MS = 50.0
_UNITS = (
    "a", "A", "1", " ", "\n", "-", ".", ":", ",", "<", "[", "(", "@", "'", "/", "_", "\u00e9", "a ", "A ", "Aa ", "1:", "0:0", "a.", "a@", "1-", "1 ", "[(", "<v ", "ab1 ", "A1 1A ", "07", "+44 ",
    "one - ", "Ann: ", "january 1 ", "http://a", "www.", "12 high street ", "not ", "age ", "name ", "\u00c3\u00a9",
)  # fmt: skip


def hostile_texts(pattern: str) -> Iterator[str]:
    """Yield texts of N_CHARS characters that an expression may try in many ways before it gives up."""
    words = [w for w in re.findall(r"[A-Za-z]{2,12}", pattern) if len(w) > 1][:12]
    marks = sorted({c for c in pattern if not c.isalnum() and c.isprintable() and c not in "\\^$"})[:16]
    units = [*_UNITS, *marks, *(f"a{m}" for m in marks), *(f"1{m}" for m in marks), *(f"{w} " for w in words)]
    for unit in dict.fromkeys(units):
        body = (unit * (N_CHARS // len(unit) + 1))[: N_CHARS - 1]
        yield body + "\x01"
    for word in words:
        yield word + ("a" * (N_CHARS - len(word) - 1)) + "\x01"
        yield word + (" " * (N_CHARS - len(word) - 1)) + "\x01"


def worst_ms(compiled: Any) -> tuple[float, str]:
    """Return the longest CPU time over all hostile texts, the best of two runs each, and how that text begins."""
    is_bytes = isinstance(compiled.pattern, bytes)
    worst = (0.0, "")
    for text in hostile_texts(compiled.pattern.decode("latin-1") if is_bytes else compiled.pattern):
        subject: Any = text.encode("latin-1", errors="replace") if is_bytes else text
        times = []
        for _ in range(2):
            began = time.process_time()
            for _found in compiled.finditer(subject):
                pass
            compiled.fullmatch(subject)
            times.append(1_000 * (time.process_time() - began))
        worst = max(worst, (min(times), text[:12]))
    return worst


def main() -> None:
    expressions = collect()
    slow = {}
    longest = 0.0
    for place, compiled in expressions.items():
        ms, text = worst_ms(compiled)
        longest = max(longest, ms)
        if ms > MAX_MS:
            slow[place] = (round(ms, 1), text)
    for place, (ms, text) in sorted(slow.items(), key=lambda pair: -pair[1][0]):
        print(f"slow {place}: {ms} ms on {text!r}")
    figures = {"expressions": len(expressions), "slow": len(slow), "worst_ms": round(longest, 2)}
    publish("regexes", figures, {"slow": ("<=", 0), "worst_ms": ("<=", MAX_MS)})
    sys.exit(1 if slow else 0)


if __name__ == "__main__":
    main()
