"""Which charts a report has, and the figures in each."""

from collections.abc import Mapping

from nlp_service.report.charts import Bar, Stack, draw_bars, draw_stacks
from nlp_service.report.closed import Kind
from nlp_service.report.content import Report, ThemeFigure

MAX_BARS = 15
"""More bars than this would not be read; the table has the rest."""


def make_bars(report: Report) -> dict[str, list[Bar]]:
    """Return the bars of each bar chart by its name: `priorities`, `theme:ID`, `closed:QUESTION`, `workshops`."""
    found = {"priorities": _bars(report.priorities)}
    found |= {f"theme:{t.theme}": _bars(t.parts) for t in report.priorities if t.parts}
    for result in report.closed:
        if result.kind is not Kind.LIKERT and not result.about_person:
            found[f"closed:{result.question}"] = [Bar(o.option, o.share) for o in result.options if o.share is not None]
    if report.workshops is not None:
        raised = [(t.label, t.raised) for t in report.workshops.themes]
        found["workshops"] = [
            Bar(label, r.n_speakers / r.of_speakers, text=f"{r.n_speakers} of {r.of_speakers}") for label, r in raised
        ]
    return {name: bars[:MAX_BARS] for name, bars in found.items()}


def make_stacks(report: Report) -> list[Stack]:
    """Return the bars of the questions on a scale that hide no answer."""
    whole = [r for r in report.closed if r.kind is Kind.LIKERT and not r.n_hidden and r.n_answered]
    return [Stack(r.question, tuple((o.option, o.share or 0.0, o.side) for o in r.options)) for r in whole]


def make_pictures(report: Report, axes: Mapping[str, str]) -> dict[str, bytes]:
    """Return the charts as PNG by name; `axes` holds the words on them."""
    pictures: dict[str, bytes] = {}
    for name, bars in make_bars(report).items():
        if not bars:
            continue
        if name.startswith("closed:"):
            axis = axes["axis_answers"]
        elif name == "workshops":
            axis = axes["axis_speakers"]
        else:
            axis = axes["axis_shares_interval" if any(b.low is not None for b in bars) else "axis_shares"]
        pictures[name] = draw_bars(bars, axis=axis, quiet=name == "workshops")
    if stacks := make_stacks(report):
        pictures["scales"] = draw_stacks(stacks, axis=axes["axis_answers"])
    return pictures


def _bars(themes: tuple[ThemeFigure, ...]) -> list[Bar]:
    return [
        Bar(t.label, t.figure.share, t.figure.low, t.figure.high)
        for t in themes
        if t.figure.share is not None and t.n_coded
    ]
