"""Closed questions made from cells, as the readers of files make them."""

from collections.abc import Sequence

from nlp_service.ingest.scales import find_scale, is_outside
from nlp_service.report.closed import ClosedQuestion, Kind, make_question


def asked(name: str, people: Sequence[str], cells: Sequence[str], *, about_person: bool = False) -> ClosedQuestion:
    """Return the question in one column: answers joined by ";" are several."""
    is_multi = any(";" in c for c in cells)
    answers = {
        p: tuple(dict.fromkeys(o.strip() for o in c.split(";") if o.strip()))
        for p, c in zip(people, cells, strict=True)
    }
    counts: dict[str, int] = {}
    for option in (o for of in answers.values() for o in of):
        counts[option] = counts.get(option, 0) + 1
    scale = None if is_multi else find_scale(counts)
    options = scale.order if scale is not None else sorted(counts, key=lambda o: (-counts[o], o))
    kind = Kind.MULTI if is_multi else Kind.SINGLE if scale is None else Kind.ORDERED
    outside = [o for o in options if is_outside(o)] if scale is not None else ()
    return make_question(name, kind, options, answers, outside=outside, about_person=about_person)
