"""Charts as SVG text, for pages that open without a network.

No library: the few kinds of chart that reports need are lines and bars over two axes, and a page that carries a
plotting library weighs a megabyte. Colours are told apart by the colour-blind (Okabe and Ito, 2008), and every chart
has a title that a screen reader says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
_WIDTH, _HEIGHT = 640, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 72, 16, 28, 48


@dataclass(frozen=True)
class Line:
    """A line: its name in the legend and its points, from left to right."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


def lines(
    title: str,
    series: Sequence[Line],
    x_label: str,
    y_label: str,
    *,
    diagonal: bool = False,
    marks: Sequence[tuple[float, str]] = (),
    x_text: Callable[[float], str] | None = None,
    y_text: Callable[[float], str] | None = None,
) -> str:
    """Lines over two axes that begin at 0 or below.

    Args:
        diagonal: whether to draw the line from corner to corner, as beneath a ROC curve.
        marks: values of x to mark, each with its words.
        x_text, y_text: how a value of an axis is written.
    """
    xs = [v for s in series for v in s.x] + [v for v, _ in marks]
    ys = [v for s in series for v in s.y]
    x_ticks, y_ticks = (
        _ticks(min([0.0, *xs]), max(xs, default=1.0)),
        _ticks(min([0.0, *ys]), max(ys, default=1.0)),
    )
    to_x, to_y = _scale(x_ticks, _LEFT, _WIDTH - _RIGHT), _scale(y_ticks, _HEIGHT - _BOTTOM, _TOP)
    parts = _axes(x_ticks, y_ticks, to_x, to_y, x_label, y_label, x_text, y_text)
    if diagonal:
        parts.append(
            f'<line x1="{to_x(x_ticks[0]):.1f}" y1="{to_y(y_ticks[0]):.1f}" x2="{to_x(x_ticks[-1]):.1f}" '
            f'y2="{to_y(y_ticks[-1]):.1f}" stroke="#999" stroke-dasharray="4 4"/>'
        )
    for i, line in enumerate(series):
        path = " ".join(f"{to_x(a):.1f},{to_y(b):.1f}" for a, b in zip(line.x, line.y, strict=True))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{COLOURS[i % 6]}" stroke-width="2"/>')
    for value, words in marks:
        parts.append(
            f'<line x1="{to_x(value):.1f}" y1="{_TOP}" x2="{to_x(value):.1f}" y2="{_HEIGHT - _BOTTOM}" '
            f'stroke="#444" stroke-dasharray="2 3"/>'
            f'<text x="{to_x(value) + 4:.1f}" y="{_TOP + 12}">{escape(words)}</text>'
        )
    return _svg(title, parts, [s.name for s in series])


def bars(
    title: str,
    categories: Sequence[str],
    series: Sequence[tuple[str, Sequence[float]]],
    y_label: str,
    *,
    intervals: Sequence[Sequence[tuple[float, float]]] | None = None,
    y_text: Callable[[float], str] | None = None,
) -> str:
    """Groups of bars, a group a category; `intervals` has the low and high end of each bar of each series."""
    values = [v for _, of in series for v in of]
    ends = [e for of in intervals or () for pair in of for e in pair]
    y_ticks = _ticks(min([0.0, *values, *ends]), max([*values, *ends], default=1.0))
    to_y = _scale(y_ticks, _HEIGHT - _BOTTOM, _TOP)
    width = (_WIDTH - _LEFT - _RIGHT) / max(len(categories), 1)
    each = width * 0.8 / max(len(series), 1)
    parts = _axes([], y_ticks, lambda _: 0.0, to_y, "", y_label, None, y_text)
    for c, category in enumerate(categories):
        centre = _LEFT + width * (c + 0.5)
        parts.append(
            f'<text x="{centre:.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">'
            f"{escape(_short(category, width))}</text>"
        )
        for s, (_, of) in enumerate(series):
            left = centre - width * 0.4 + each * s
            top, bottom = to_y(max(of[c], 0.0)), to_y(min(of[c], 0.0))
            parts.append(
                f'<rect x="{left:.1f}" y="{top:.1f}" width="{each * 0.92:.1f}" height="{max(bottom - top, 0.5):.1f}" '
                f'fill="{COLOURS[s % 6]}"><title>{escape(category)}: {of[c]:,.4g}</title></rect>'
            )
            if intervals is not None:
                low, high = intervals[s][c]
                middle = left + each * 0.46
                parts.append(
                    f'<line x1="{middle:.1f}" x2="{middle:.1f}" y1="{to_y(low):.1f}" '
                    f'y2="{to_y(high):.1f}" stroke="#222"/>'
                )
    return _svg(title, parts, [name for name, _ in series])


def _short(text: str, width: float) -> str:
    room = max(int(width / 6.5), 3)
    return text if len(text) <= room else text[: room - 1] + "…"


def _ticks(low: float, high: float) -> list[float]:
    """Some five round values that cover a range."""
    span = high - low
    if not span > 0:
        span = abs(high) or 1.0
        high = low + span
    power = 10.0 ** _floor_log10(span / 5)
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if span / (m * power) <= 6)
    first, last = int(low // step), -int(-high // step)
    return [i * step for i in range(first, last + 1)]


def _floor_log10(value: float) -> int:
    from math import floor, log10

    return floor(log10(value))


def _scale(ticks: Sequence[float], start: float, end: float) -> Callable[[float], float]:
    low, high = ticks[0], ticks[-1]

    def position(value: float) -> float:
        return start + (value - low) / (high - low) * (end - start)

    return position


def _axes(
    x_ticks: Sequence[float],
    y_ticks: Sequence[float],
    to_x: Callable[[float], float],
    to_y: Callable[[float], float],
    x_label: str,
    y_label: str,
    x_text: Callable[[float], str] | None,
    y_text: Callable[[float], str] | None,
) -> list[str]:
    parts = []
    for tick in y_ticks:
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{to_y(tick):.1f}" y2="{to_y(tick):.1f}" '
            f'stroke="{"#888" if tick == 0 else "#e3e3e3"}"/>'
            f'<text x="{_LEFT - 6}" y="{to_y(tick) + 4:.1f}" text-anchor="end">'
            f"{escape((y_text or _plain)(tick))}</text>"
        )
    for tick in x_ticks:
        parts.append(
            f'<text x="{to_x(tick):.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">'
            f"{escape((x_text or _plain)(tick))}</text>"
        )
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    parts.append(
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 10}" text-anchor="middle">{escape(x_label)}</text>'
        f'<text x="14" y="{middle}" text-anchor="middle" transform="rotate(-90 14 {middle})">{escape(y_label)}</text>'
    )
    return parts


def _plain(value: float) -> str:
    size = abs(value)
    for limit, sign in ((1e9, "bn"), (1e6, "m"), (1e3, "k")):
        if size >= limit:
            return f"{value / limit:,.4g}{sign}"
    return f"{value:,.4g}"


def percent(value: float) -> str:
    """A share as a whole number of hundredths."""
    return f"{value * 100:.0f}%"


def _svg(title: str, parts: Sequence[str], names: Sequence[str]) -> str:
    legend, left = [], float(_LEFT)
    for i, name in enumerate(names if len(names) > 1 else ()):
        legend.append(
            f'<rect x="{left:.0f}" y="8" width="10" height="10" fill="{COLOURS[i % 6]}"/>'
            f'<text x="{left + 14:.0f}" y="17">{escape(name)}</text>'
        )
        left += 30 + 6.6 * len(name)
    return (
        f'<svg viewBox="0 -22 {_WIDTH} {_HEIGHT + 22}" role="img" aria-label="{escape(title)}" '
        f'xmlns="http://www.w3.org/2000/svg"><title>{escape(title)}</title>'
        f'<text x="0" y="-6" style="font-weight:600;font-size:13px">{escape(title)}</text>'
        f"{''.join(legend)}{''.join(parts)}</svg>"
    )
