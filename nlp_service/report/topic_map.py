"""Comments as points on a plane: one HTML file that needs no network."""

import html
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_HOVER_CHARS: Final = 400
_LINE_CHARS: Final = 70


@dataclass(frozen=True, slots=True)
class Point:
    """A comment on the map: `shown` is its text as it may be shown."""

    x: float
    y: float
    theme: str
    topic: str
    shown: str


def write_topic_map(path: Path, points: Sequence[Point], *, title: str) -> None:
    """Write the map: a colour for each theme, the text under the pointer. The same points give the same bytes."""
    import plotly.graph_objects as go  # noqa: PLC0415 -- a heavy library, in this module only
    import plotly.io  # noqa: PLC0415

    figure: Any = go.Figure()
    themes = sorted({p.theme for p in points}, key=lambda t: (-sum(p.theme == t for p in points), t))
    for theme in themes:
        own = [p for p in points if p.theme == theme]
        figure.add_trace(
            go.Scattergl(
                x=[round(p.x, 3) for p in own],
                y=[round(p.y, 3) for p in own],
                mode="markers",
                name=html.escape(theme),
                marker={"size": 6, "opacity": 0.75},
                text=[_hover(p) for p in own],
                hoverinfo="text",
            )
        )
    axis = {"visible": False}
    figure.update_layout(
        title=html.escape(title),
        xaxis=axis,
        yaxis=axis,
        template="plotly_white",
        height=800,
        legend={"itemsizing": "constant"},
    )
    page = plotly.io.to_html(figure, include_plotlyjs=True, full_html=True, div_id="map", config={"displaylogo": False})
    path.write_text(page, encoding="utf-8")


def _hover(point: Point) -> str:
    text = point.shown if len(point.shown) <= _HOVER_CHARS else f"{point.shown[:_HOVER_CHARS]} …"
    lines = textwrap.wrap(" ".join(text.split()), _LINE_CHARS)
    return "<br>".join([*map(html.escape, lines), f"<i>{html.escape(point.topic)}</i>"])
