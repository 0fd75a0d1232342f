"""Pages on a run of linkage and on a model, each one file that opens without a network.

What belongs here: the aggregates of a run, and the page made of them. What does not: how a chart looks
(`linkage.charts`), accuracy against truth (`linkage.evaluate`), and whether a model still fits its data
(`linkage.drift`).

DuckDB aggregates in place; what leaves it is counts and weights, a few hundred rows whatever the size of
the country. Splink draws its own charts from them, with the Vega libraries that it ships (BSD 3-clause),
written into the page once.
"""

from __future__ import annotations

import copy
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from linkage import charts
from linkage.charts import Chart
from linkage.model import Profile, settings
from linkage.people import People
from linkage.predict import linker

_TEMPLATES = Path(__file__).parent / "templates"
# Records compared with themselves for the chart of unlinkable records: its curve moves by less than 1% beyond
_UNLINKABLE_SAMPLE = 5_000
# Clusters above this size are shown as one
_LARGEST_CLUSTER = 15
# Records among which an example is looked for
_EXAMPLE_SAMPLE = 10_000
_BITS = 100  # weights beyond ± this share the last bin


@dataclass(frozen=True)
class ProfileFigures:
    """What a page shows of one profile: Splink's charts and aggregates of its pairs.

    Attributes:
        name: of the profile.
        best: `weight`, `band`, `records`, by bin of one bit, of each record's best pair.
        pairs: `weight`, `pairs`, of every pair that was kept.
        without_pair: records that no blocking rule brought together with anybody.
        rules: `rule`, `pairs`.
        charts: Splink's, by name.
        examples: Splink's waterfall of one pair a band, values masked.
    """

    name: str
    match_rate: float
    link_probability: float
    review_probability: float
    best: list[dict[str, Any]]
    pairs: list[dict[str, Any]]
    without_pair: int
    rules: list[dict[str, Any]]
    levels: list[dict[str, Any]]
    charts: dict[str, Chart]
    examples: dict[str, Chart]


@dataclass(frozen=True)
class Figures:
    """What a page shows of a run.

    Attributes:
        sources: `source`, `profile`, `records`, `linked`, `review`, `none`, `wrong` and `missed` (expected
            numbers, from the stated probabilities), by source.
        clusters: `records`, `people`: people of the register by the number of records linked to them.
        profiles: in the order of `people.profiles`.
    """

    spine_records: int
    sources: list[dict[str, Any]]
    clusters: list[dict[str, Any]]
    profiles: list[ProfileFigures]


@dataclass(frozen=True)
class Training:
    """What a model's page adds to a run's: how each profile was learnt.

    Attributes:
        pairs: profile -> blocking rule -> pairs that expectation-maximisation saw.
        untrained: profile -> levels that no pair could teach.
        calibration: profile -> `stated`, `observed`, `pairs` by bin of probability, where truth is known.
        accuracy: `source`, `true_pairs`, `links`, `precision`, `recall`, where truth is known.
    """

    pairs: Mapping[str, Mapping[str, int]]
    untrained: Mapping[str, Sequence[str]]
    calibration: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    accuracy: Sequence[Mapping[str, Any]] = ()


def gather(
    people: People,
    profiles: Mapping[str, Profile],
    *,
    pairs: str = "pair",
    best: str = "best",
    resolved: str = "resolved",
) -> Figures:
    """The aggregates of a run, from the tables that it leaves in DuckDB.

    Args:
        people: of the run, its connection still open.
        profiles: of the model that weighed the pairs.
        pairs: table (record_id, spine_id, match_weight).
        best: table of `linkage.resolve.best_pairs`.
        resolved: table of `linkage.resolve`.
    """
    connection = people.connection
    connection.execute(
        f"""create or replace temp table report_resolved as
        select r.source, p.profile, coalesce(r.band, 'none') as band, r.spine_key, r.match_probability,
            case when r.match_weight is not null
                then greatest(-{_BITS}, least({_BITS}, floor(r.match_weight)))::int end as weight
        from {resolved} as r join source_profile as p using (source) where p.profile <> 'spine'"""
    )
    sources = _rows(
        connection,
        """select source, any_value(profile) as profile, count(*) as records,
            count(*) filter (where band = 'link') as linked, count(*) filter (where band = 'review') as review,
            count(*) filter (where band = 'none') as "none",
            coalesce(sum(1 - match_probability) filter (where band = 'link'), 0) as wrong,
            coalesce(sum(match_probability) filter (where band <> 'link'), 0) as missed
        from report_resolved group by source order by source""",
    )
    figures = Figures(
        people.n_spine,
        sources,
        _clusters(connection, people.n_spine),
        [_profile_figures(people, name, profiles[name], pairs, best) for name in people.profiles],
    )
    connection.execute("drop table report_resolved")
    return figures


def _rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.sql(query).to_arrow_table().to_pylist()]


def _clusters(connection: duckdb.DuckDBPyConnection, n_spine: int) -> list[dict[str, Any]]:
    found = dict(
        connection.execute(
            f"""select least(n, {_LARGEST_CLUSTER}), count(*) from (
                select count(*) as n from report_resolved where band = 'link' group by spine_key
            ) group by 1 order by 1"""
        ).fetchall()
    )
    rows = [{"records": "0", "people": n_spine - sum(found.values())}]
    rows += [{"records": str(n), "people": found.get(n, 0)} for n in range(1, max(found, default=0) + 1)]
    if _LARGEST_CLUSTER in found:
        rows[-1]["records"] = f"{_LARGEST_CLUSTER} or more"
    return rows


def _profile_figures(
    people: People, name: str, profile: Profile, pairs: str, best_pairs: str
) -> ProfileFigures:
    connection = people.connection
    best = _rows(
        connection,
        f"""select weight, band, count(*) as records from report_resolved
        where profile = '{name}' and weight is not null group by all order by all""",
    )
    kept = _rows(
        connection,
        f"""select greatest(-{_BITS}, least({_BITS}, floor(q.match_weight)))::int as weight, count(*) as pairs
        from {pairs} as q semi join people_{name} as p on p.record_id = q.record_id group by 1 order by 1""",
    )
    without = connection.execute(
        f"select count(*) from report_resolved where profile = '{name}' and weight is null"
    ).fetchall()[0][0]
    drawn, examples = _splink_charts(people, name, profile, best_pairs)
    return ProfileFigures(
        name,
        profile.match_rate,
        profile.link_probability,
        profile.review_probability,
        best,
        kept,
        int(without),
        _rules(connection, name),
        _levels(profile),
        drawn,
        examples,
    )


def _rules(connection: duckdb.DuckDBPyConnection, name: str) -> list[dict[str, Any]]:
    table = f"blocking_{name}"
    known = connection.execute(
        "select count(*) from duckdb_tables() where table_name = ?", [table]
    ).fetchall()[0][0]
    return _rows(connection, f"select rule, pairs from {table} order by place") if known else []


def _levels(profile: Profile) -> list[dict[str, Any]]:
    return [
        {
            "field": comparison["output_column_name"].replace("_", " "),
            "level": level["label_for_charts"],
            "m": level["m_probability"],
            "u": level["u_probability"],
            "weight": math.log2(level["m_probability"] / level["u_probability"]),
        }
        for comparison in profile.comparisons
        for level in comparison["comparison_levels"]
        if not level.get("is_null_level")
    ]


def _splink_charts(
    people: People, name: str, profile: Profile, best: str
) -> tuple[dict[str, Chart], dict[str, Chart]]:
    """Splink's charts of a profile, and its waterfall of one pair a band, without the pair's values."""
    connection = people.connection
    examples = _examples(people, name, profile, best)
    connection.execute(
        f"""create or replace temp table report_left as
        (select * from people_{name} order by record_id limit {_UNLINKABLE_SAMPLE})
        union select * from people_{name} where record_id in (select record_id from report_example);
        create or replace temp table report_right as
        select * from report_left union select * from spine where record_id in (select spine_id from report_example)"""
    )
    itself = "l.record_id = r.record_id"
    pairs = [f"l.record_id = {record} and r.record_id = {spine}" for record, spine in examples.values()]
    configuration = settings(copy.deepcopy(profile.comparisons), [])
    configuration |= {
        "blocking_rules_to_generate_predictions": [{"blocking_rule": rule} for rule in (itself, *pairs)],
        "probability_two_random_records_match": profile.prior(people.n_spine),
        "retain_intermediate_calculation_columns": True,
        "retain_matching_columns": True,
    }
    drawing = linker(people, "report_left", configuration, right="report_right")
    scored = drawing.inference.predict()
    drawn = {
        "match_weights": charts.from_splink(drawing.visualisations.match_weights_chart().chart_dict),
        "m_u": charts.from_splink(drawing.visualisations.m_u_parameters_chart().chart_dict),
        "unlinkable": charts.unlinkable(
            _rows(
                connection,
                f"""select weight, sum(n) over (order by weight) / sum(n) over () as share
                from (select floor(match_weight)::int + 1 as weight, count(*) as n from {scored.physical_name}
                    where record_id_l = record_id_r group by 1)
                order by weight""",
            )
        ),
    }
    waterfalls = {}
    for band, (record, spine) in examples.items():
        rows = _rows(
            connection,
            f"select * from {scored.physical_name} where record_id_l = {record} and record_id_r = {spine}",
        )
        if rows:
            chart = drawing.visualisations.waterfall_chart(rows[:1], remove_sensitive_data=True)
            waterfalls[band] = charts.from_splink(_one_record(chart.chart_dict))
    scored.drop_table_from_database_and_remove_from_cache()
    connection.execute("drop table report_left; drop table report_right; drop table report_example")
    return drawn, waterfalls


def _examples(people: People, name: str, profile: Profile, best: str) -> dict[str, tuple[int, int]]:
    """By band, the record and the person of a pair of middling weight; also in `report_example`."""
    connection = people.connection
    stride = max(1, people.rows(f"people_{name}") // _EXAMPLE_SAMPLE)
    connection.execute(
        f"""create or replace temp table report_example as
        with banded as (
            select b.*, case when match_probability >= {profile.link_probability} then 'link' else 'review' end as band
            from {best} as b semi join people_{name} as p on p.record_id = b.record_id
            where b.record_id % {stride} = 0 and match_probability >= {profile.review_probability}
        ),
        middle as (select band, median(match_weight) as weight from banded group by band)
        select b.band, b.record_id, b.spine_id from banded as b join middle as m using (band)
        qualify row_number() over (partition by b.band order by abs(b.match_weight - m.weight), b.record_id) = 1"""
    )
    rows = connection.execute("select band, record_id, spine_id from report_example order by band").fetchall()
    return {band: (record, spine) for band, record, spine in rows}


def _one_record(spec: Chart) -> Chart:
    """The waterfall without the slider that chooses among records."""
    spec.pop("params")
    spec["transform"] = [step for step in spec["transform"] if "record_number" not in str(step.get("filter"))]
    return spec


# -- the page ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Page:
    """Heading of a page.

    Attributes:
        title: such as "Linkage of Tunisia, 2026-11".
        model: name of the model's file.
        model_sha256: of the file's bytes.
        notes: short lines under the heading: warnings first.
        run: of which run it is, and when that was.
    """

    title: str
    model: str
    model_sha256: str
    notes: Sequence[str] = ()
    run: str = ""


def write(path: Path, page: Page, figures: Figures, training: Training | None = None) -> Path:
    """Write a page whole or not at all; its path.

    Args:
        path: of the HTML file.
        page: its heading.
        figures: of a run, or of the training data.
        training: what a model's page adds.
    """
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = lambda value: f"{value:,.0f}"
    environment.filters["share"] = lambda value: f"{value:.1%}"
    drawn = _drawn(figures, training)
    text = environment.get_template("report.j2").render(
        page=page,
        figures=figures,
        training=training,
        charts=drawn,
        bands=charts.BAND_WORDS,
        total=_total(figures),
    )
    # outside the template: autoescaping a megabyte of script takes longer than everything else
    text = text.replace("<!--libraries-->", _libraries()).replace("<!--charts-->", _for_html(drawn))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
    return path


def _total(figures: Figures) -> dict[str, float]:
    keys = ("records", "linked", "review", "none", "wrong", "missed")
    return {key: sum(row[key] for row in figures.sources) for key in keys}


def _drawn(figures: Figures, training: Training | None) -> dict[str, Chart]:
    """Every chart of the page, by the id of its place."""
    drawn = {"bands": charts.bands(figures.sources), "clusters": charts.cluster_sizes(figures.clusters)}
    for profile in figures.profiles:
        thresholds = [
            ("link", _weight(profile.link_probability)),
            ("review", _weight(profile.review_probability)),
        ]
        own = {
            "best": charts.best_weights(profile.best, thresholds),
            "pairs": charts.pair_weights(profile.pairs),
            **profile.charts,
            **{f"example_{band}": chart for band, chart in profile.examples.items()},
        }
        if profile.rules:
            own["blocking"] = charts.blocking(profile.rules)
        if training and training.calibration.get(profile.name):
            own["calibration"] = charts.calibration(training.calibration[profile.name])
        drawn |= {f"{profile.name}_{chart}": spec for chart, spec in own.items()}
    return drawn


def _weight(probability: float) -> float:
    """The match weight, in bits, of a pair without a rival that has this probability."""
    bounded = min(max(probability, 1e-9), 1 - 1e-9)
    return round(math.log2(bounded / (1 - bounded)), 2)


def _libraries() -> str:
    """Vega, Vega-Lite and vega-embed as Splink ships them, as script elements."""
    from splink.internals.html_utils import load_chart_libraries

    libraries: dict[str, str] = load_chart_libraries()  # type: ignore[no-untyped-call]
    return "".join(f"<script>{source}</script>\n" for source in libraries.values())


def _for_html(value: object) -> str:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=float)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
