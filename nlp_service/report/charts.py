"""Charts of the report, drawn by Altair and rendered without a network or a browser.

As PNG: the page and the Word document show the same picture, whatever fonts the reader has.
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

BAR: Final = "#6fa8dc"
QUIET: Final = "#b1b4b6"
INK: Final = "#0b0c0c"
_WIDTH: Final = 460
_LABELS: Final = 290
"""Pixels for the names beside the bars: the same in each chart, so that they stand under each other."""
_STEP: Final = 30
_LABEL_CHARS: Final = 44
_SCALE: Final = 2
_FONT: Final = "Arial, Helvetica, Liberation Sans, sans-serif"
_GOOD: Final = ("#12436d", "#6b9bc3", "#2a7ab0")
_MIDDLE: Final = "#d2d4d6"
_BAD: Final = ("#f2b48a", "#b8541f", "#d9762b")
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_OFF: Final = "#ececec"
_MIN_WRITTEN: Final = 0.05
"""A part of a bar that is narrower has no room for its figure."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: a share with its interval, if it has one."""

    label: str
    share: float
    low: float | None = None
    high: float | None = None
    text: str = ""
    """What stands beside the bar; the share in per cent if not given."""


@dataclass(frozen=True, slots=True)
class Stack:
    """One bar of a scale: its question, and the share of each option in order, with the option's side."""

    label: str
    parts: tuple[tuple[str, float, int | None], ...]


def draw_bars(bars: Sequence[Bar], *, axis: str, quiet: bool = False) -> bytes:
    """Return a PNG of horizontal bars in the order given, with whiskers where there are intervals, each bar's figure beside it.

    `quiet`: in grey and without per cent on the axis, for counts that are no shares of a population.
    """
    import altair as alt  # noqa: PLC0415 -- a heavy library, in this module only

    rows: list[dict[str, Any]] = []
    for i, b in enumerate(bars):
        end = b.high or b.share
        rows.append(
            {
                "n": i,
                "label": _short(b.label),
                "share": b.share,
                "low": b.low,
                "high": b.high,
                "end": end,
                "text": b.text or f"{round(100 * b.share)}%",
            }
        )
    order = [str(r["label"]) for r in rows]
    top = max((r["end"] for r in rows), default=1.0)
    scale = alt.Scale(domain=[0, min(1.0, round(top * 1.12 + 0.02, 2))], nice=True)
    base = alt.Chart(alt.Data(values=rows))
    y = alt.Y(
        "label:N",
        sort=order,
        title=None,
        axis=alt.Axis(
            labelLimit=_LABELS, minExtent=_LABELS, maxExtent=_LABELS, ticks=False, domain=False, labelPadding=8
        ),
    )
    x = alt.X(
        "share:Q",
        title=axis,
        scale=scale,
        axis=alt.Axis(format=".0%", tickCount=6, gridColor="#e5e6e7", domain=False, labels=not quiet, ticks=not quiet),
    )
    layers = [base.mark_bar(color=QUIET if quiet else BAR, height=17).encode(x=x, y=y)]
    if any(b.low is not None for b in bars):
        with_interval = base.transform_filter("isValid(datum.low)")
        layers.append(with_interval.mark_rule(color=INK, strokeWidth=1.6).encode(x="low:Q", x2="high:Q", y=y))
        ticks = with_interval.mark_tick(color=INK, thickness=1.6, size=9)
        layers += [ticks.encode(x=f"{edge}:Q", y=y) for edge in ("low", "high")]
    layers.append(base.mark_text(align="left", dx=7, color=INK, fontSize=13).encode(x="end:Q", y=y, text="text:N"))
    return _render(alt.layer(*layers).properties(width=_WIDTH, height=alt.Step(_STEP)))


def draw_stacks(stacks: Sequence[Stack], *, axis: str) -> bytes:
    """Return a PNG with a bar of 100 % for each question of one scale, its options from one end to the other."""
    import altair as alt  # noqa: PLC0415

    rows: list[dict[str, Any]] = []
    colours: dict[str, str] = {}
    for stack in stacks:
        start = 0.0
        for option, share, side in stack.parts:
            colours.setdefault(option, _colour(side, sum(c in _palette(side) for c in colours.values())))
            rows.append(
                {
                    "question": _short(stack.label), "option": option, "x": start, "x2": start + share, "middle": start + share / 2,
                    "text": f"{round(100 * share)}%" if share >= _MIN_WRITTEN else "", "dark": colours[option] in (_GOOD[0], _GOOD[2], _BAD[1]),
                }
            )  # fmt: skip
            start += share
    options = list(colours)
    base = alt.Chart(alt.Data(values=rows))
    y = alt.Y(
        "question:N",
        sort=[_short(s.label) for s in stacks],
        title=None,
        axis=alt.Axis(
            labelLimit=_LABELS, minExtent=_LABELS, maxExtent=_LABELS, ticks=False, domain=False, labelPadding=8
        ),
    )
    x = alt.X(
        "x:Q",
        title=axis,
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format=".0%", tickCount=6, grid=False, domain=False),
    )
    legend = alt.Legend(title=None, orient="bottom", columns=3, labelLimit=260, symbolType="square")
    colour = alt.Color(
        "option:N", sort=options, scale=alt.Scale(domain=options, range=list(colours.values())), legend=legend
    )
    bars = base.mark_bar(height=24, stroke="white", strokeWidth=1).encode(x=x, x2="x2:Q", y=y, color=colour)
    text_colour = alt.condition("datum.dark", alt.value("white"), alt.value(INK))
    words = base.mark_text(fontSize=12).encode(x="middle:Q", y=y, text="text:N", color=text_colour)
    return _render(alt.layer(bars, words).properties(width=_WIDTH, height=alt.Step(40)))


def _palette(side: int | None) -> tuple[str, ...]:
    return {1: _GOOD, -1: _BAD, 0: (_MIDDLE,), None: (_OFF,)}[side]


def _colour(side: int | None, n_used: int) -> str:
    colours = _palette(side)
    return colours[n_used % len(colours)]


def _render(chart: Any) -> bytes:
    import vl_convert as vlc  # noqa: PLC0415 -- the renderer, in this module only

    styled = chart.configure_view(stroke=None).configure(font=_FONT, background="white", padding=8)
    styled = styled.configure_axis(
        labelFontSize=13, titleFontSize=12, labelColor=INK, titleColor="#505a5f", titleFontWeight="normal"
    )
    spec = styled.configure_legend(labelFontSize=12, labelColor=INK).to_dict()
    return packed(bytes(vlc.vegalite_to_png(spec, scale=_SCALE, allowed_base_urls=[])))


def packed(png: bytes) -> bytes:
    """Return the same picture in fewer bytes: the renderer compresses in haste, which makes a page several times larger."""
    chunks: list[tuple[bytes, bytes]] = []
    at = len(_PNG)
    while at < len(png):
        size, kind = struct.unpack_from(">I4s", png, at)
        chunks.append((kind, png[at + 8 : at + 8 + size]))
        at += 12 + size
    pixels = zlib.decompress(b"".join(data for kind, data in chunks if kind == b"IDAT"))
    head = [(kind, data) for kind, data in chunks if kind not in (b"IDAT", b"IEND")]
    chunks = [*head, (b"IDAT", zlib.compress(pixels, 9)), (b"IEND", b"")]
    parts = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return _PNG + b"".join(parts)


def _short(label: str) -> str:
    return label if len(label) <= _LABEL_CHARS else label[: _LABEL_CHARS - 1].rstrip() + "…"
