"""Pictures of linkage, as Vega-Lite specifications: Splink's own, and those that it has not.

What belongs here: from aggregates to a chart. What does not: the aggregates (`linkage.report`). A chart holds
counts, weights and names of fields; nothing in it describes a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Chart = dict[str, Any]

BAND_COLOURS = {"link": "#2a7f62", "review": "#d99a2b", "none": "#a9b4be"}
BAND_WORDS = {"link": "linked", "review": "for a clerk", "none": "not linked"}
_BLUE = "#2f6f9f"
_RED = "#b3261e"

_CONFIG = {
    "font": "system-ui, 'Segoe UI', 'Noto Sans', sans-serif",
    "view": {"stroke": None},
    "axis": {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": 500, "gridColor": "#e6eaee"},
    "legend": {"labelFontSize": 12, "titleFontSize": 12},
}
WIDTH = 760


def _chart(values: Sequence[Mapping[str, Any]], height: int | dict[str, int], **spec: Any) -> Chart:
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "config": _CONFIG,
        "width": WIDTH,
        "height": height,
        "data": {"values": list(values)},
        **spec,
    }


def _counts(field: str, title: str) -> dict[str, Any]:
    """A logarithmic axis of counts that begins at zero."""
    return {
        "field": field,
        "type": "quantitative",
        "stack": None,
        "scale": {"type": "symlog"},
        "axis": {
            "format": ",",
            "title": f"{title} (logarithmic)",
            "values": [0, *(10**k for k in range(10))],
        },
    }


def _band_colour() -> dict[str, Any]:
    return {
        "field": "band",
        "type": "nominal",
        "title": None,
        "scale": {
            "domain": [BAND_WORDS[band] for band in BAND_COLOURS],
            "range": list(BAND_COLOURS.values()),
        },
        "legend": {"orient": "top"},
    }


def bands(rows: Iterable[dict[str, Any]]) -> Chart:
    """Shares of each source's records by band.

    Args:
        rows: `source`, `linked`, `review`, `none`.
    """
    values = [
        {"source": row["source"], "band": BAND_WORDS[band], "records": row[key], "order": order}
        for row in rows
        for order, (band, key) in enumerate((("link", "linked"), ("review", "review"), ("none", "none")))
    ]
    return _chart(
        values,
        {"step": 26},
        mark={"type": "bar", "height": 18},
        encoding={
            "y": {"field": "source", "type": "nominal", "title": None, "axis": {"labelLimit": 260}},
            "x": {
                "field": "records",
                "type": "quantitative",
                "stack": "normalize",
                "axis": {"format": "%", "title": "share of the source's records"},
            },
            "color": _band_colour(),
            "order": {"field": "order", "type": "quantitative"},
            "tooltip": [
                {"field": "source"},
                {"field": "band"},
                {"field": "records", "type": "quantitative", "format": ",", "title": "records"},
            ],
        },
    )


def best_weights(rows: Iterable[dict[str, Any]], thresholds: Iterable[tuple[str, float]]) -> Chart:
    """Records by the weight of their best pair, stacked by band, with the thresholds as lines.

    Args:
        rows: `weight` (lower edge of a bin of one bit), `band`, `records`.
        thresholds: name and weight of each line.
    """
    values = [{**row, "band": BAND_WORDS[row["band"]], "to": row["weight"] + 1} for row in rows]
    lines = [{"threshold": name, "weight": weight} for name, weight in thresholds]
    bars = {
        "mark": {"type": "bar", "binSpacing": 0.5},
        "encoding": {
            "x": {
                "field": "weight",
                "type": "quantitative",
                "bin": "binned",
                "title": "match weight of the best pair, bits",
            },
            "x2": {"field": "to"},
            "y": {
                "field": "records",
                "type": "quantitative",
                "aggregate": "sum",
                "title": "records",
                "axis": {"format": ","},
            },
            "color": _band_colour(),
            "tooltip": [
                {"field": "weight", "type": "quantitative", "title": "weight from"},
                {"field": "band", "type": "nominal"},
                {"field": "records", "type": "quantitative", "format": ","},
            ],
        },
    }
    return {**_chart(values, 240), "layer": [bars, *_lines(lines)]}


def _lines(lines: list[dict[str, Any]]) -> list[Chart]:
    place = {"field": "weight", "type": "quantitative"}
    return [
        {
            "data": {"values": lines},
            "mark": {"type": "rule", "strokeDash": [4, 3], "color": _RED},
            "encoding": {"x": place},
        },
        {
            "data": {"values": lines},
            "mark": {"type": "text", "align": "right", "angle": 270, "dx": -2, "dy": -8, "color": _RED},
            "encoding": {"x": place, "y": {"value": 0}, "text": {"field": "threshold"}},
        },
    ]


def pair_weights(rows: Iterable[dict[str, Any]]) -> Chart:
    """All compared pairs by weight, on a logarithmic scale.

    Args:
        rows: `weight` (lower edge of a bin of one bit) and `pairs`.
    """
    values = [{**row, "to": row["weight"] + 1} for row in rows]
    return _chart(
        values,
        180,
        mark={"type": "bar", "binSpacing": 0.5, "color": _BLUE},
        encoding={
            "x": {"field": "weight", "type": "quantitative", "bin": "binned", "title": "match weight, bits"},
            "x2": {"field": "to"},
            "y": _counts("pairs", "pairs"),
            "tooltip": [
                {"field": "weight", "type": "quantitative", "title": "weight from"},
                {"field": "pairs", "type": "quantitative", "format": ","},
            ],
        },
    )


def cluster_sizes(rows: Iterable[dict[str, Any]]) -> Chart:
    """People by the number of records linked to them.

    Args:
        rows: `records` as text, in order, and `people`.
    """
    return _chart(
        list(rows),
        200,
        mark={"type": "bar", "color": _BLUE},
        encoding={
            "x": {
                "field": "records",
                "type": "ordinal",
                "sort": None,
                "title": "records linked to one person of the register",
                "axis": {"labelAngle": 0},
            },
            "y": _counts("people", "people"),
            "tooltip": [{"field": "records"}, {"field": "people", "type": "quantitative", "format": ","}],
        },
    )


def blocking(rows: Iterable[dict[str, Any]]) -> Chart:
    """Pairs that each blocking rule brings together.

    Args:
        rows: `rule` and `pairs`, in the order in which the rules apply.
    """
    return _chart(
        list(rows),
        {"step": 22},
        mark={"type": "bar", "color": _BLUE, "height": 14},
        encoding={
            "y": {
                "field": "rule",
                "type": "nominal",
                "sort": None,
                "title": None,
                "axis": {"labelLimit": 380},
            },
            "x": {
                "field": "pairs",
                "type": "quantitative",
                "axis": {"format": ",", "title": "pairs that agree on all keys of the rule"},
            },
            "tooltip": [{"field": "rule"}, {"field": "pairs", "type": "quantitative", "format": ","}],
        },
    )


def unlinkable(rows: Iterable[dict[str, Any]]) -> Chart:
    """Share of records that would not reach a weight even against themselves.

    Args:
        rows: `weight` and `share` of records below it, weights ascending.
    """
    return _chart(
        list(rows),
        200,
        mark={"type": "line", "interpolate": "step-after", "color": _BLUE, "point": {"size": 25}},
        encoding={
            "x": {"field": "weight", "type": "quantitative", "title": "match weight, bits"},
            "y": {
                "field": "share",
                "type": "quantitative",
                "axis": {"format": "~%", "title": "records that cannot reach it"},
            },
            "tooltip": [
                {"field": "weight", "type": "quantitative"},
                {"field": "share", "type": "quantitative", "format": ".2%"},
            ],
        },
    )


def calibration(rows: Iterable[Mapping[str, Any]]) -> Chart:
    """Stated probability against the observed share of right pairs, with the line on which they are equal.

    Args:
        rows: `stated`, `observed`, `pairs`, one a bin of stated probability.
    """
    axis = {"format": "%", "grid": True}
    square = {"domain": [0, 1]}
    points = {
        "mark": {"type": "point", "filled": True, "color": _BLUE, "opacity": 0.9},
        "encoding": {
            "x": {
                "field": "stated",
                "type": "quantitative",
                "scale": square,
                "axis": axis,
                "title": "stated probability",
            },
            "y": {
                "field": "observed",
                "type": "quantitative",
                "scale": square,
                "axis": axis,
                "title": "share that is right",
            },
            "size": {
                "field": "pairs",
                "type": "quantitative",
                "title": "best pairs",
                "scale": {"type": "log", "range": [30, 500]},
            },
            "tooltip": [
                {"field": "stated", "type": "quantitative", "format": ".2%"},
                {"field": "observed", "type": "quantitative", "format": ".2%"},
                {"field": "pairs", "type": "quantitative", "format": ","},
            ],
        },
    }
    diagonal = {
        "data": {"values": [{"stated": 0, "observed": 0}, {"stated": 1, "observed": 1}]},
        "mark": {"type": "line", "strokeDash": [4, 3], "color": "#7b8794"},
        "encoding": {
            "x": {"field": "stated", "type": "quantitative"},
            "y": {"field": "observed", "type": "quantitative"},
        },
    }
    return {**_chart(list(rows), 360), "width": 420, "layer": [diagonal, points]}


def from_splink(spec: Chart) -> Chart:
    """One of Splink's charts, its title left to the page."""
    spec.pop("title", None)
    return spec
