"""Scorecards on flat files: each method against numbers worked out by hand, and what must hold of any pack."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sijill.errors import SijillError
from sijill.policy.files import Scored, score_files
from warehouse import Warehouse

pytestmark = pytest.mark.postgres

Row = dict[str, Any]
Score = Callable[..., Scored]

HEADERS = {
    "indicators": "indicator,of,expression,type,default",
    "scorecard": "scorecard,dimension,indicator,condition,points",
    "coefficients": "scorecard,stratum,dimension,indicator,condition,transform,coefficient",
    "deprivations": "scorecard,dimension,indicator,condition,weight",
    "cutoffs": "scorecard,cutoff,operator,value",
    "parameters": "parameter,value",
}
DEFAULTS = "defaults: {valid_from: 2020-01-01, standing: illustrative, source: a test}\n"


@pytest.fixture
def score(tmp_path: Path, warehouse: Warehouse) -> Score:
    """Write a pack and its files, and score them."""

    def run(
        settings: str, households: list[Row], members: list[Row] | None = None, **tables: list[str]
    ) -> Scored:
        pack = tmp_path / f"pack{random.random()}"
        pack.mkdir()
        (pack / "programme.yaml").write_text(DEFAULTS + settings, encoding="utf-8")
        for name, lines in tables.items():
            (pack / f"{name}.csv").write_text("\n".join([HEADERS[name], *lines]) + "\n", encoding="utf-8")
        paths = []
        for name, rows in (("households", households), ("members", members)):
            if rows is not None:
                paths.append(pack / f"{name}.csv")
                with paths[-1].open("w", encoding="utf-8", newline="") as file:
                    writer = csv.DictWriter(file, list(rows[0]))
                    writer.writeheader()
                    writer.writerows(rows)
        return score_files(
            pack, paths[0], paths[1] if members else None, database=warehouse.url, on=date(2026, 1, 1)
        )

    return run


def scores(scored: Scored) -> dict[str, Decimal | None]:
    rows = scored.scores.to_pylist()
    return {r["household_id"]: None if r["score"] is None else Decimal(r["score"]) for r in rows}


def column(scored: Scored, name: str) -> dict[str, Any]:
    return {row["household_id"]: row[name] for row in scored.scores.to_pylist()}


def figure(
    scored: Scored, name: str, group: tuple[str, str] = ("", ""), item: str = "", dimension: str = ""
) -> Decimal:
    found = [
        row["value"]
        for row in scored.figures.to_pylist()
        if (row["figure"], row["group_name"], row["group_value"], row["item"], row["dimension"])
        == (name, *group, item, dimension)
    ]
    assert len(found) == 1, f"{name} {group} {item}: {len(found)} rows"
    return Decimal(found[0])


# Alkire and Foster


def measure(missing: str = "drop", more: str = "") -> str:
    return (
        "scorecards:\n  m:\n    method: alkire_foster\n    direction: higher_is_poorer\n"
        f"    missing: {missing}\n    dimensions: [first, second]\n{more}"
    )


def deprived(names: str, weight: str) -> dict[str, list[str]]:
    return {
        "indicators": [f"{name},household,{name},boolean," for name in names],
        "deprivations": [
            f"m,{'first' if i < len(names) / 2 else 'second'},{name},{name},{weight}"
            for i, name in enumerate(names)
        ],
    }


def households(names: str, counts: list[int], **more: list[Any]) -> list[Row]:
    return [
        {"household_id": f"h{i}"}
        | {name: int(j < count) for j, name in enumerate(names)}
        | {key: values[i] for key, values in more.items()}
        for i, count in enumerate(counts)
    ]


def test_the_golden_case_of_alkire_and_foster(score: Score) -> None:
    """Deprivation counts (0, 2, 4, 1) of four equal dimensions, k = 2/4: H = 1/2, A = 3/4, M0 = 3/8."""
    scored = score(
        measure(), households("abcd", [0, 2, 4, 1]), cutoffs=["m,poor,>=,2/4"], **deprived("abcd", "1/4")
    )
    assert figure(scored, "headcount_ratio") == Decimal("0.5")
    assert figure(scored, "intensity") == Decimal("0.75")
    assert figure(scored, "adjusted_headcount_ratio") == Decimal("0.375")
    # b: deprived are h1 and h2, both poor; a: h3 too, who is not poor
    assert figure(scored, "uncensored_headcount_ratio", item="a", dimension="first") == Decimal("0.75")
    assert figure(scored, "censored_headcount_ratio", item="a", dimension="first") == Decimal("0.5")
    assert figure(scored, "contribution", dimension="first") == Decimal("0.666666666667")


def test_two_sixths_reach_a_third(score: Score) -> None:
    scored = score(
        measure(), households("abcdef", [1, 2, 3]), cutoffs=["m,poor,>=,1/3"], **deprived("abcdef", "1/6")
    )
    assert column(scored, "cutoffs_met") == {"h0": "", "h1": "poor", "h2": "poor"}
    assert figure(scored, "headcount_ratio") == Decimal("0.666666666667")


def test_a_missing_indicator_drops_the_household_or_reweights_the_known_ones_as_declared(
    score: Score,
) -> None:
    rows = households("abcd", [4, 2, 0])
    rows[0]["d"] = ""
    rows[1]["d"] = ""
    pack = {"cutoffs": ["m,poor,>=,2/3"], **deprived("abcd", "1/4")}
    dropped = score(measure("drop"), rows, **pack)
    assert scores(dropped) == {"h0": None, "h1": None, "h2": 0}
    assert figure(dropped, "households_without_score") == 2
    assert figure(dropped, "headcount_ratio") == 0
    reweighted = score(measure("reweight"), rows, **pack)
    # two of three known deprivations are 2/3 exactly, which is the line
    assert scores(reweighted) == {"h0": 1, "h1": Decimal("0.666666666667"), "h2": 0}
    assert column(reweighted, "cutoffs_met")["h1"] == "poor"
    assert figure(reweighted, "uncensored_headcount_ratio", item="d", dimension="second") == 0
    assert figure(reweighted, "contribution") == 1
    counted = score(measure("zero"), rows, **pack)
    assert scores(counted) == {"h0": Decimal("0.75"), "h1": Decimal("0.5"), "h2": 0}
    # an unknown is no deprivation, so all three are asked about d
    assert figure(counted, "uncensored_headcount_ratio", item="a", dimension="first") == Decimal(
        "0.666666666667"
    )
    assert figure(counted, "contribution", dimension="first") == Decimal("0.666666666667")


def test_figures_count_people_by_survey_weight_and_groups_make_up_the_whole(score: Score) -> None:
    rows = households(
        "abcd", [0, 2, 4, 1], size=[4, 3, 5, 2], w=["1.5", "1", "2", "1"], region=["n", "n", "s", "s"]
    )
    pack = deprived("abcd", "0.25")
    pack["indicators"] += [
        "size,household,size,integer,",
        "w,household,w,numeric,",
        "region,household,region,text,",
    ]
    more = "    people: size\n    weight: w\n    groups: [region]\n"
    scored = score(measure("drop", more), rows, cutoffs=["m,poor,>=,0.5"], **pack)
    # people: 6, 3, 10, 2
    assert figure(scored, "people") == 21
    assert figure(scored, "headcount_ratio") == Decimal("0.619047619048")  # 13 / 21
    assert figure(scored, "adjusted_headcount_ratio") == Decimal("0.547619047619")  # (3 / 2 + 10) / 21
    regions = [("region", "n"), ("region", "s")]
    whole = sum(
        figure(scored, "people_share", group) * figure(scored, "adjusted_headcount_ratio", group)
        for group in regions
    )
    assert abs(whole - figure(scored, "adjusted_headcount_ratio")) < Decimal("1e-10")
    assert abs(sum(figure(scored, "contribution", group) for group in regions) - 1) < Decimal("1e-10")
    items = [("first", "a"), ("first", "b"), ("second", "c"), ("second", "d")]
    for group in [("", ""), ("region", "s")]:
        parts = sum(figure(scored, "contribution", group, item, dimension) for dimension, item in items)
        assert abs(parts - 1) < Decimal("1e-10")


def test_weights_that_do_not_add_up_to_one_are_refused(score: Score) -> None:
    with pytest.raises(SijillError, match="add up to 4/5 on 2020-01-01, not to 1"):
        score(measure(), households("abcd", [1]), cutoffs=["m,poor,>=,0.5"], **deprived("abcd", "0.2"))


def test_a_measure_without_k_is_refused(score: Score) -> None:
    with pytest.raises(SijillError, match="no cut-off `poor`"):
        score(measure(), households("abcd", [1]), **deprived("abcd", "0.25"))


# Proxy means test

PMT = """scorecards:
  pmt:
    method: proxy_means
    direction: lower_is_poorer
    stratum: area
    dimensions: [place, people, home]
"""
TERMS = {
    "indicators": [
        "area,household,area,text,",
        "region,household,region,text,",
        "head_age,household,head_age,integer,",
        "size,household,size,integer,",
        "children_share,members,count(*) filter (where age < 15) / count(*),numeric,",
        "fridge,household,fridge,boolean,",
        "bill,household,(bill_1 + bill_2 + bill_3) / 3 * 12 / size,numeric,0",
    ],
    "coefficients": [
        "pmt,urban,place,constant,,,9.825",
        "pmt,rural,place,constant,,,8.695",
        "pmt,,place,region,region = 'east',,-0.12",
        "pmt,urban,people,head_age,,,0.01",
        "pmt,urban,people,head_age,,square,-0.0001",
        "pmt,rural,people,head_age,,,0.02",
        "pmt,,people,size,,square,-0.005",
        "pmt,,people,children_share,,,-0.4",
        "pmt,,home,fridge,,,0.25",
        "pmt,,home,bill,,,0.0002",
    ],
}
FAMILIES = [
    {"household_id": "u", "area": "urban", "region": "east", "head_age": 40, "size": 4, "fridge": "yes",
     "bill_1": "100", "bill_2": "110.5", "bill_3": "89.5"},
    {"household_id": "r", "area": "rural", "region": "west", "head_age": 50, "size": 2, "fridge": "no",
     "bill_1": "", "bill_2": "", "bill_3": ""},
]  # fmt: skip
PEOPLE = [
    {"household_id": "u", "age": 40}, {"household_id": "u", "age": 38},
    {"household_id": "u", "age": 3}, {"household_id": "u", "age": 15},
    {"household_id": "r", "age": 50}, {"household_id": "r", "age": 14},
]  # fmt: skip


def test_a_proxy_means_test_adds_constant_dummies_counts_squares_shares_and_bills_of_the_stratum(
    score: Score,
) -> None:
    scored = score(PMT, FAMILIES, PEOPLE, **TERMS)
    urban = (
        Decimal("9.825")
        - Decimal("0.12")
        + Decimal("0.4")
        - Decimal("0.16")
        - Decimal("0.08")
        - Decimal("0.1")
    )
    urban += Decimal("0.25") + 300 * Decimal("0.0002")
    rural = Decimal("8.695") + Decimal("1.0") - Decimal("0.02") - Decimal("0.2")
    assert scores(scored) == {"u": urban, "r": rural}
    assert float(column(scored, "predicted_amount")["r"]) == pytest.approx(float(rural.exp()), abs=0.01)
    # the lowest is the poorest
    assert column(scored, "score_rank") == {"u": 2, "r": 1}
    items = {(r["household_id"], r["indicator"]): Decimal(r["points"]) for r in scored.items.to_pylist()}
    assert items["u", "head_age"] == Decimal("0.24")
    assert items["r", "fridge"] == 0


def test_a_household_whose_stratum_has_no_equation_gets_no_score(score: Score) -> None:
    camp = FAMILIES[0] | {"household_id": "camp", "area": "camp"}
    people = [*PEOPLE, {"household_id": "camp", "age": 5}]
    scored = score(PMT, [*FAMILIES, camp], people, **TERMS)
    assert scores(scored)["camp"] is None
    assert column(scored, "population")["u"] == 2


def test_a_missing_fact_leaves_a_proxy_means_test_without_a_score_unless_zero_is_declared(
    score: Score,
) -> None:
    unknown = FAMILIES[0] | {"head_age": ""}
    assert scores(score(PMT, [unknown, FAMILIES[1]], PEOPLE, **TERMS))["u"] is None
    zero = score(
        PMT.replace("stratum:", "missing: zero\n    stratum:"), [unknown, FAMILIES[1]], PEOPLE, **TERMS
    )
    assert scores(zero)["u"] == Decimal("9.835")  # 10.075 without the 0.24 of the head's age


def test_the_line_itself_is_decided_by_the_operator_without_a_float_surprise(score: Score) -> None:
    """100 / 3 * 0.003 is 0.1, and so is 0.1."""
    settings = (
        "scorecards:\n  s:\n    method: proxy_means\n    direction: lower_is_poorer\n    dimensions: [d]\n"
    )
    scored = score(
        settings,
        [{"household_id": "a", "x": 100, "n": 3}, {"household_id": "b", "x": 100, "n": 1}],
        indicators=["share,household,x / n,numeric,"],
        coefficients=["s,,d,share,,,0.003"],
        cutoffs=["s,below,<,0.1", "s,up_to,<=,0.1"],
    )
    assert column(scored, "cutoffs_met") == {"a": "up_to", "b": ""}


# Ranks

POINTS = "scorecards:\n  s:\n    direction: higher_is_poorer\n    ties: {ties}\n    dimensions: [d]\n{more}"


def ranked(score: Score, ties: str, points: list[int], sizes: list[int], more: str = "") -> Scored:
    rows = [
        {"household_id": f"h{i}", "p": p, "size": n}
        for i, (p, n) in enumerate(zip(points, sizes, strict=True))
    ]
    return score(
        POINTS.format(ties=ties, more=more),
        rows,
        indicators=["p,household,p,integer,", "size,household,size,integer,"],
        scorecard=[f"s,d,p,p = {p},{p}" for p in sorted({*points} - {0})],
    )


def test_equal_scores_share_a_rank_or_are_told_apart_by_identifier_as_declared(score: Score) -> None:
    points, sizes = [3, 1, 3, 2], [1, 1, 1, 1]
    assert list(column(ranked(score, "share", points, sizes), "score_rank").values()) == [1, 4, 1, 3]
    assert list(column(ranked(score, "household_id", points, sizes), "score_rank").values()) == [1, 4, 2, 3]


def test_deciles_count_people_where_the_scorecard_says_so(score: Score) -> None:
    """Ten households, 20 people: the poorest has ten of them, and the next stands in the sixth tenth."""
    points = list(range(10, 0, -1))
    scored = ranked(score, "share", points, [11, *[1] * 9], "    people: size\n")
    assert list(column(scored, "decile").values()) == list(range(1, 11))
    assert list(column(scored, "people_decile").values()) == [1, 6, 7, 7, 8, 8, 9, 9, 10, 10]
    assert column(scored, "people_rank")["h1"] == "12"


# What must hold of any pack


def world(seed: int, n: int = 120) -> list[Row]:
    draw = random.Random(seed)
    return [{"household_id": f"h{i}", **{c: draw.randint(0, 1) for c in "abcdefgh"}} for i in range(n)]


@pytest.mark.parametrize("method", ["additive", "alkire_foster", "proxy_means"])
def test_adding_a_poor_trait_never_makes_a_household_less_poor(score: Score, method: str) -> None:
    draw = random.Random(7)
    before = world(7)
    after = []
    for row in before:
        lacking = [c for c in "abcdefgh" if not row[c]]
        after.append(
            row
            | {"household_id": row["household_id"] + "+", **({draw.choice(lacking): 1} if lacking else {})}
        )
    indicators = [f"{c},household,{c},boolean," for c in "abcdefgh"]
    if method == "additive":
        weights = [f"s,d,{c},{c},{draw.randint(0, 9)}.{draw.randint(0, 99):02}" for c in "abcdefgh"]
        settings, rows = POINTS.format(ties="share", more=""), {"scorecard": weights}
    elif method == "proxy_means":
        settings = POINTS.replace("higher", "lower").format(ties="share", more="    method: proxy_means\n")
        rows = {
            "coefficients": ["s,,d,constant,,,9", *(f"s,,d,{c},,,-0.{k}7" for k, c in enumerate("abcdefgh"))]
        }
    else:
        settings, rows = measure().replace("  m:", "  s:"), {
            "deprivations": [f"s,first,{c},{c},{k}/36" for k, c in enumerate("abcdefgh", 1)],
            "cutoffs": ["s,poor,>=,1/3"],
        }  # fmt: skip
    found = score(settings, before + after, indicators=indicators, **rows)
    value, rank = scores(found), column(found, "score_rank")
    for row in before:
        name = row["household_id"]
        poorer, was = value[name + "+"], value[name]
        assert poorer is not None
        assert was is not None
        assert poorer <= was if method == "proxy_means" else poorer >= was
        assert rank[name + "+"] <= rank[name]


@pytest.mark.parametrize("method", ["additive", "proxy_means"])
def test_scaling_all_weights_changes_no_rank(score: Score, method: str) -> None:
    draw = random.Random(3)
    weights = {c: draw.randint(1, 500) for c in "abcdefgh"}
    indicators = [f"{c},household,{c},boolean," for c in "abcdefgh"]

    def rows(scale: Decimal) -> dict[str, list[str]]:
        if method == "additive":
            return {"scorecard": [f"s,d,{c},{c},{Decimal(w) * scale}" for c, w in weights.items()]}
        return {"coefficients": [f"s,,d,{c},,,{Decimal(w) * scale}" for c, w in weights.items()]}

    more = "    method: proxy_means\n" if method == "proxy_means" else ""
    ranks = [
        column(
            score(POINTS.format(ties="share", more=more), world(3), indicators=indicators, **rows(scale)),
            "score_rank",
        )
        for scale in (Decimal(1), Decimal("0.001"), Decimal("37.5"))
    ]
    assert ranks[0] == ranks[1] == ranks[2]
    assert len(set(ranks[0].values())) > 50


def test_the_order_of_rows_in_the_files_changes_nothing(score: Score) -> None:
    rows = FAMILIES + [FAMILIES[0] | {"household_id": f"x{i}", "head_age": 20 + i % 5} for i in range(30)]
    people = PEOPLE + [{"household_id": f"x{i}", "age": 30} for i in range(30)]
    one, other = score(PMT, rows, people, **TERMS), score(PMT, rows[::-1], people[::-1], **TERMS)
    assert one.scores.drop(["policy_version"]).equals(other.scores.drop(["policy_version"]))
    assert one.figures.equals(other.figures)


# Errors that say what to do


def test_a_column_that_the_file_lacks_is_named_with_its_line_and_the_nearest_one(score: Score) -> None:
    pack = TERMS | {
        "indicators": [line.replace("fridge,boolean", "frigde,boolean") for line in TERMS["indicators"]]
    }
    with pytest.raises(SijillError, match=r"indicators.csv line 7: .*'frigde'; did you mean 'fridge'\?"):
        score(PMT, FAMILIES, PEOPLE, **pack)


def test_an_expression_that_does_not_fit_its_column_is_named_with_its_line(score: Score) -> None:
    pack = TERMS | {
        "indicators": [line.replace("area,text", "area * 2,text") for line in TERMS["indicators"]]
    }
    with pytest.raises(SijillError, match=r"indicators.csv line 2: the indicator area: .*\(area is text\)"):
        score(PMT, FAMILIES, PEOPLE, **pack)


def test_an_indicator_named_with_a_word_of_sql_is_refused(score: Score) -> None:
    with pytest.raises(SijillError, match="indicator 'order': that is a word of SQL"):
        score(
            PMT,
            FAMILIES,
            PEOPLE,
            **TERMS | {"indicators": [*TERMS["indicators"], "order,household,size,integer,"]},
        )


def test_an_indicator_of_members_needs_a_file_of_members(score: Score) -> None:
    with pytest.raises(SijillError, match="children_share is made of members"):
        score(PMT, FAMILIES, **TERMS)


def test_a_household_that_is_there_twice_and_a_member_of_nobody_are_refused(score: Score) -> None:
    with pytest.raises(SijillError, match="1 rows of households that are there already"):
        score(PMT, [*FAMILIES, FAMILIES[0]], PEOPLE, **TERMS)
    with pytest.raises(SijillError, match="names 1 households that"):
        score(PMT, FAMILIES, [*PEOPLE, {"household_id": "nobody", "age": 1}], **TERMS)


def test_a_value_that_is_not_of_its_declared_type_is_counted_and_not_shown(score: Score) -> None:
    kinds = {"area": "text", "region": "text", "head_age": "integer", "size": "integer", "fridge": "boolean"}
    kinds |= {f"bill_{month}": "numeric" for month in (1, 2, 3)}
    listed = ", ".join(f"{name}: {kind}" for name, kind in kinds.items())
    inputs = f"inputs:\n  households: {{{listed}}}\n  members: {{age: integer}}\n"
    with pytest.raises(SijillError, match="head_age: 1 are not integer") as caught:
        score(inputs + PMT, [FAMILIES[0] | {"head_age": "forty"}, FAMILIES[1]], PEOPLE, **TERMS)
    assert "forty" not in str(caught.value)


def test_a_cut_off_that_points_at_the_least_poor_is_refused(score: Score) -> None:
    with pytest.raises(SijillError, match="operator '>' would take the least poor"):
        score(PMT, FAMILIES, PEOPLE, cutoffs=["pmt,asd,>,9.743001"], **TERMS)
