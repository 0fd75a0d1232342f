"""Two policies on one registry: whom each reaches, what it costs, who gains and who loses and why.

What belongs here: comparing what two packs, or two months of one pack, decide and owe. What does not: computing it; the
models of a cycle do, in `sijill.policy.scratch`, and nothing of theirs outlives the comparison.

Accuracy is measured against welfare that somebody else knows: the simulator's truth, or a survey of some households of
the registry. Nothing but this measurement reads it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sijill.country import COUNTRIES_FOLDER
from sijill.errors import SijillError
from sijill.policy import targeting
from sijill.policy.loader import load_policy
from sijill.policy.pack import Policy
from sijill.policy.scratch import Scratch, compute, frozen
from sijill.policy.targeting import Accuracy, Design, FrontierPoint

if TYPE_CHECKING:
    import sqlalchemy as sa

    from sijill.installation import Installation
    from warehouse import Warehouse

Progress = Callable[[str], None]
Floats = NDArray[np.float64]
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


@dataclass(frozen=True)
class Side:
    """One of the two policies.

    Attributes:
        name: as the user named it.
        policy: the pack.
        month: YYYY-MM: rules known and in force then.
        is_frozen: whether the month was named: its rules are then those of every month that is computed.
    """

    name: str
    policy: Policy
    month: str
    is_frozen: bool = False

    @property
    def rules_of(self) -> str | None:
        """The month whose rules hold throughout, or None: each month has its own."""
        return self.month if self.is_frozen else None


def parse_side(text: str, default_month: str) -> Side:
    """`PACK`, `PACK@YYYY-MM`, where PACK is a policy folder, a country's folder or a country's name.

    Raises:
        SijillError: no such pack, one with faults, or a month that is none.
    """
    folder, at, month = _folder_of(text)
    if at and not _MONTH.fullmatch(month):
        raise SijillError(
            f"'{month}' in '{text}' is no month.", expected="PACK@YYYY-MM", action="correct the month"
        )
    return Side(text, load_policy(folder), month or default_month, is_frozen=bool(month))


def country_of(*sides: str) -> str | None:
    """Folder of the country whose policies are compared; None when no side is a country's.

    Raises:
        SijillError: the sides are of two countries: whose registry is meant has to be said.
    """
    folders = {_folder_of(side)[0].resolve().parent for side in sides}
    found = sorted(str(folder) for folder in folders if (folder / "country.yaml").is_file())
    if len(found) > 1:
        raise SijillError(
            f"The two policies are of two countries: {', '.join(Path(folder).name for folder in found)}.",
            action="say with --country whose registry they are to be computed on",
        )
    return found[0] if found else None


def _folder_of(text: str) -> tuple[Path, str, str]:
    """A side's policy folder, the @ if any, and what follows it."""
    place, at, month = text.rpartition("@") if "@" in text else (text, "", "")
    folder = Path(place)
    if not folder.is_dir() and (COUNTRIES_FOLDER / folder).is_dir():
        folder = COUNTRIES_FOLDER / folder
    return folder / "policy" if (folder / "policy").is_dir() else folder, at, month


@dataclass(frozen=True)
class Welfare:
    """What is known of welfare, one row a household of the registry that it is known of.

    Attributes:
        household_id: the registry's key.
        welfare: by which households are ranked; poor: whether each is; gap: what its people lack to the line in a
            month together, None without money.
        weight: survey weight; 1 where all are known. cluster, stratum: of the sampling design, or None.
        is_sample: whether there are survey weights, and so intervals.
        source: what it is, in words.
        unregistered_poor: share of all poor people who are in no household of the registry; None where not known.
    """

    household_id: list[str]
    welfare: Floats
    poor: NDArray[np.bool_]
    gap: Floats | None
    weight: Floats
    cluster: NDArray[Any] | None
    stratum: NDArray[Any] | None
    is_sample: bool
    source: str
    unregistered_poor: float | None = None


@dataclass(frozen=True)
class ProgrammeSide:
    """A programme under one policy, in its month.

    Attributes:
        reached, people: households that get the transfer, and their people.
        eligible: households that meet every criterion.
        cost: what they are owed for the month.
        statuses: households by status.
        accuracy: against welfare, by people; None where none is known.
    """

    reached: int
    people: int
    eligible: int
    cost: float
    statuses: dict[str, int]
    accuracy: Accuracy | None


@dataclass(frozen=True)
class Transition:
    """Households that one status and its reasons lead to another.

    Attributes:
        kind: `gains`, `loses`, `more`, `less` (of the same transfer) or `other`.
        before, after: status and reason codes.
        households: how many; amount: change of the month's cost.
    """

    kind: str
    before: tuple[str, tuple[str, ...]]
    after: tuple[str, tuple[str, ...]]
    households: int
    amount: float


@dataclass(frozen=True)
class Frontier:
    """What cut-offs would cost and reach; exclusion errors where welfare is known, in the order of `points`."""

    points: list[FrontierPoint]
    exclusion_errors: list[float] | None
    current: FrontierPoint | None
    bought: FrontierPoint | None
    budget: float


@dataclass(frozen=True)
class Comparison:
    """All that a report shows.

    Attributes:
        a, b: the sides.
        country, currency, cycle: of the registry.
        month: YYYY-MM that both sides are compared in, the first of those whose cost is computed.
        households, people: in the registry.
        programmes: by code, then by side.
        transitions: by programme, the most frequent first.
        groups: by programme, then grouping, then group: households, gaining and losing.
        monthly: cost by (side, month, programme); by_region: by (side, region, programme), over all months.
        by_benefit: households and cost of the first month by (side, programme, benefit).
        frontiers: by (side, programme).
        welfare: what accuracy was measured against.
    """

    a: Side
    b: Side
    country: str
    currency: str
    cycle: str
    month: str
    households: int
    people: int
    programmes: dict[str, dict[str, ProgrammeSide]]
    transitions: dict[str, list[Transition]]
    groups: dict[str, dict[str, dict[str, tuple[int, int, int]]]]
    monthly: dict[tuple[str, str, str], float]
    by_region: dict[tuple[str, str, str], float]
    by_benefit: dict[tuple[str, str, str], tuple[int, float]]
    frontiers: dict[tuple[str, str], Frontier]
    welfare: Welfare | None = field(repr=False)

    @property
    def sides(self) -> dict[str, Side]:
        """The sides by letter."""
        return {"a": self.a, "b": self.b}


def compare(
    warehouse: Warehouse,
    installation: Installation,
    a: str,
    b: str,
    *,
    months: int = 12,
    welfare: Welfare | None = None,
    poorest_share: float = 0.2,
    budget: float | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Compare two policies on the registry of an installation.

    Args:
        a, b: sides, as `parse_side` reads them; without a month, that of the registry.
        months: months whose cost is computed on both sides, from the later of the sides' months on. The same months,
            so that what a feast or the return to school brings is no difference between policies.
        welfare: what accuracy is measured against.
        poorest_share: of people, whom CGH looks at.
        budget: a month's money; by default what side A costs.

    Raises:
        SijillError: no registry, no such pack, or rules that do not fit the registry.
    """
    say = progress or (lambda _: None)
    country = installation.country
    cycle = registry_cycle(warehouse)
    sides = {"a": parse_side(a, cycle), "b": parse_side(b, cycle)}
    start = max(side.month for side in sides.values())
    first: dict[str, Scratch] = {}
    monthly: dict[tuple[str, str, str], float] = {}
    by_region: dict[tuple[str, str, str], float] = {}
    by_benefit: dict[tuple[str, str, str], tuple[int, float]] = {}
    decimals = country.currency_decimals
    with warehouse.engine.connect() as connection:
        for letter, side in sides.items():
            before: Scratch | None = None
            for i in range(months):
                month = month_after(start, i)
                say(f"{side.name}: {month}, {i + 1} of {months}")
                made = compute(
                    connection,
                    side.policy,
                    month,
                    name=letter,
                    currency=country.currency,
                    currency_decimals=decimals,
                    same_as=before,
                    rules_of=side.rules_of,
                )
                for region, programme, amount in _costs(connection, made):
                    key = (letter, month, programme)
                    monthly[key] = monthly.get(key, 0.0) + amount
                    place = (letter, region, programme)
                    by_region[place] = by_region.get(place, 0.0) + amount
                if letter not in first:
                    first[letter] = made
                    by_benefit |= {
                        (letter, programme, benefit): (n, amount)
                        for programme, benefit, n, amount in _benefits(connection, made)
                    }
                if before is not None and before is not first[letter]:
                    _drop(connection, before)
                before = made
        say("who gains and who loses")
        table = _households(connection, first["a"], first["b"])
        programmes = {}
        frontiers = {}
        for programme in _programmes(table):
            rows = table.filter(pa.compute.equal(table["programme"], programme))
            programmes[programme] = {
                letter: _of_side(rows, letter, welfare, poorest_share) for letter in ("a", "b")
            }
            spent = programmes[programme]["a"].cost if budget is None else budget
            for letter, side in sides.items():
                say(f"{side.name}: what a budget buys")
                line = _frontier(
                    connection, side, start, letter, programme, country.currency, decimals, welfare, spent
                )
                if line is not None:
                    frontiers[letter, programme] = line
        counted = _read(
            connection,
            "select count(*)::float8 as households, coalesce(sum(n_members), 0)::float8 as people "
            "from registry.household",
        ).to_pylist()[0]
    return Comparison(
        a=sides["a"],
        b=sides["b"],
        country=country.name,
        currency=country.currency,
        cycle=cycle,
        month=start,
        households=int(counted["households"]),
        people=int(counted["people"]),
        programmes=programmes,
        transitions={p: _transitions(table, p) for p in programmes},
        groups={p: _groups(table, p) for p in programmes},
        monthly=monthly,
        by_region=by_region,
        by_benefit=by_benefit,
        frontiers=frontiers,
        welfare=welfare,
    )


def registry_cycle(warehouse: Warehouse) -> str:
    """The cycle whose facts the registry holds.

    Raises:
        SijillError: an installation that has run no cycle yet.
    """
    found = warehouse.scalar("select to_regclass('decision.household_decision') is not null")
    last = warehouse.scalar("select max(cycle) from decision.household_decision") if found else None
    if last is None:
        raise SijillError(
            "The registry is empty: no cycle has run here.",
            expected="an installation with households",
            action="run `sijill run` first, or name another --country",
        )
    return str(last)


def month_after(month: str, n: int) -> str:
    """The month `n` months later, YYYY-MM."""
    count = int(month[:4]) * 12 + int(month[5:]) - 1 + n
    return f"{count // 12:04d}-{count % 12 + 1:02d}"


# Reading what was computed


def _costs(connection: sa.Connection, made: Scratch) -> list[tuple[str, str, float]]:
    rows = _read(
        connection,
        f"""
        select coalesce(d.region, '?') as region, c.programme, sum(c.amount)::float8 as amount
        from {made["entitlement_component"]} as c
        inner join {made["household_decision"]} as d
            on c.household_id = d.household_id and c.programme = d.programme
        where c.kind = 'regular'
        group by 1, 2
        """,
    ).to_pylist()
    return [(row["region"], row["programme"], float(row["amount"])) for row in rows]


def _benefits(connection: sa.Connection, made: Scratch) -> list[tuple[str, str, int, float]]:
    rows = _read(
        connection,
        f"""
        select programme, benefit, count(distinct household_id) as n, sum(amount)::float8 as amount
        from {made["entitlement_component"]} where kind = 'regular'
        group by 1, 2 order by 1, 2
        """,
    ).to_pylist()
    return [(row["programme"], row["benefit"], int(row["n"]), float(row["amount"])) for row in rows]


def _drop(connection: sa.Connection, made: Scratch) -> None:
    for table in made.tables.values():
        connection.exec_driver_sql(f"drop table if exists pg_temp.{table} cascade")
    connection.commit()


def _read(connection: sa.Connection, sql: str) -> pa.Table:
    """A query over the connection's temporary tables; columns by name, decimals as floats."""
    result = connection.exec_driver_sql(sql)
    names = list(result.keys())
    columns: list[list[Any]] = [[] for _ in names]
    for rows in result.yield_per(50_000).partitions():
        for column, values in zip(columns, zip(*rows, strict=True), strict=True):
            column.extend(values)
    return pa.table(dict(zip(names, columns, strict=True)))


def _households(connection: sa.Connection, a: Scratch, b: Scratch) -> pa.Table:
    """One row a household and programme that either side decides."""

    def side(made: Scratch) -> str:
        return f"""
            select d.household_id, d.programme, d.status, d.is_eligible, d.is_selected, d.reasons
                , coalesce(c.amount, 0) as amount
            from {made["household_decision"]} as d
            left join (
                select household_id, programme, sum(amount) as amount
                from {made["entitlement_component"]} where kind = 'regular' group by 1, 2
            ) as c on d.household_id = c.household_id and d.programme = c.programme
        """

    chosen = ", ".join(
        f"coalesce({s}.status, 'closed') as status_{s}, coalesce({s}.is_eligible, false) as is_eligible_{s}"
        f", coalesce({s}.is_selected, false) as is_selected_{s}"
        f", array_to_string({s}.reasons, '|') as reasons_{s}, coalesce({s}.amount, 0)::float8 as amount_{s}"
        for s in ("a", "b")
    )
    return _read(
        connection,
        f"""
        with a as ({side(a)}), b as ({side(b)})
        select
            household_id, programme, coalesce(h.region, '?') as region, coalesce(h.stratum, '?') as stratum
            , h.n_members, coalesce(e.head_sex, '?') as head_sex, {chosen}
        from a full join b using (household_id, programme)
        inner join registry.household as h using (household_id)
        inner join registry.household_evidence as e using (household_id)
        order by programme, household_id
        """,
    )


def _programmes(table: pa.Table) -> list[str]:
    return sorted(set(table["programme"].to_pylist()))


def _floats(table: pa.Table, column: str) -> Floats:
    return np.asarray(table[column].to_numpy(zero_copy_only=False), dtype=float)


def _flags(table: pa.Table, column: str) -> NDArray[np.bool_]:
    return np.asarray(table[column].to_numpy(zero_copy_only=False), dtype=bool)


def _of_side(rows: pa.Table, letter: str, welfare: Welfare | None, poorest_share: float) -> ProgrammeSide:
    selected, people = _flags(rows, f"is_selected_{letter}"), _floats(rows, "n_members")
    amount = _floats(rows, f"amount_{letter}")
    # Entitled without the transfer itself (a family allowance, say) counts as cost, not as reached.
    measured = None
    if welfare is not None:
        at, of = _matched(rows["household_id"].to_pylist(), welfare.household_id)
        weight = welfare.weight[of] * people[at]
        poorest = targeting.poorest(welfare.welfare[of], poorest_share, weight)
        measured = targeting.accuracy(
            selected[at],
            welfare.poor[of],
            poorest_group=poorest,
            benefit=amount[at] / people[at],
            gap=None if welfare.gap is None else welfare.gap[of] / people[at],
            weight=weight,
            cluster=None if welfare.cluster is None else welfare.cluster[of],
            stratum=None if welfare.stratum is None else welfare.stratum[of],
        )
    return ProgrammeSide(
        reached=int(selected.sum()),
        people=int(people[selected].sum()),
        eligible=int(_flags(rows, f"is_eligible_{letter}").sum()),
        cost=float(amount.sum()),
        statuses=dict(Counter(rows[f"status_{letter}"].to_pylist()).most_common()),
        accuracy=measured,
    )


def _matched(ids: list[str], known: list[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions in `ids` of the households that are known, and theirs in `known`."""
    place = {key: i for i, key in enumerate(known)}
    pairs = [(i, place[key]) for i, key in enumerate(ids) if key in place]
    if not pairs:
        raise SijillError(
            "Welfare is known of no household of the registry.",
            expected="household_id as the registry has it",
            action="correct the welfare file, or leave it out",
        )
    array = np.array(pairs, dtype=np.int64)
    return array[:, 0], array[:, 1]


def _kind(before: bool, after: bool, change: float) -> str:
    if before != after:
        return "gains" if after else "loses"
    if abs(change) < 1e-9:
        return "other"
    return "more" if change > 0 else "less"


def _transitions(table: pa.Table, programme: str) -> list[Transition]:
    rows = table.filter(pa.compute.equal(table["programme"], programme))
    grouped = rows.append_column(
        "change", pa.compute.subtract(rows["amount_b"], rows["amount_a"])
    ).append_column(
        "rises", pa.compute.sign(pa.compute.round(pa.compute.subtract(rows["amount_b"], rows["amount_a"]), 6))
    )
    keys = ["status_a", "reasons_a", "is_selected_a", "status_b", "reasons_b", "is_selected_b", "rises"]
    counted = grouped.group_by(keys).aggregate([("change", "sum"), ([], "count_all")]).to_pylist()
    found = []
    for row in counted:
        before = (row["status_a"], tuple(filter(None, (row["reasons_a"] or "").split("|"))))
        after = (row["status_b"], tuple(filter(None, (row["reasons_b"] or "").split("|"))))
        kind = _kind(row["is_selected_a"], row["is_selected_b"], float(row["rises"]))
        if kind == "other" and before == after:
            continue
        found.append(Transition(kind, before, after, int(row["count_all"]), float(row["change_sum"])))
    return sorted(found, key=lambda t: (-t.households, t.before, t.after))


def _groups(table: pa.Table, programme: str) -> dict[str, dict[str, tuple[int, int, int]]]:
    """Households, those that gain the transfer and those that lose it, by who they are."""
    rows = table.filter(pa.compute.equal(table["programme"], programme))
    a, b = _flags(rows, "is_selected_a"), _flags(rows, "is_selected_b")
    size = _floats(rows, "n_members")
    labels = {
        "region": np.array(rows["region"].to_pylist()),
        "stratum": np.array(rows["stratum"].to_pylist()),
        "people": np.select([size <= 2, size <= 4, size <= 6], ["1–2", "3–4", "5–6"], default="7+"),
        "head": np.array(rows["head_sex"].to_pylist()),
    }
    out: dict[str, dict[str, tuple[int, int, int]]] = {}
    for grouping, of in labels.items():
        out[grouping] = {
            str(value): (int(mine.sum()), int((mine & b & ~a).sum()), int((mine & a & ~b).sum()))
            for value in np.unique(of)
            if (mine := of == value).any()
        }
    return out


# Budget frontier


def _frontier(
    connection: sa.Connection,
    side: Side,
    month: str,
    letter: str,
    programme: str,
    currency: str,
    decimals: int,
    welfare: Welfare | None,
    budget: float,
) -> Frontier | None:
    """What each cut-off would cost: the same rules, with everyone who is eligible let in, from the poorest score on."""
    wanted = next((p for p in side.policy.settings.programmes if p.code == programme), None)
    if wanted is None or wanted.scorecard is None:
        return None
    everyone = compute(
        connection,
        side.policy,
        month,
        name=f"{letter}f",
        currency=currency,
        currency_decimals=decimals,
        rules_of=side.rules_of,
        overrides=_open_to_all(frozen(side.policy, side.month) if side.is_frozen else side.policy, programme),
    )
    card = wanted.scorecard
    rows = _read(
        connection,
        f"""
        select d.household_id, s.score::float8 as score, s.score_rank::float8 as score_rank
            , h.n_members::float8 as n_members, d.is_selected
            , coalesce(sum(c.amount), 0)::float8 as amount
        from {everyone["household_decision"]} as d
        inner join {everyone["household_score"]} as s on d.household_id = s.household_id and s.scorecard = '{card}'
        inner join registry.household as h on d.household_id = h.household_id
        left join {everyone["entitlement_component"]} as c
            on d.household_id = c.household_id and c.programme = d.programme and c.kind = 'regular'
        where d.programme = '{programme}' and d.is_eligible and s.score is not null
        group by 1, 2, 3, 4, 5
        """,
    )
    _drop(connection, everyone)
    if not rows.num_rows:
        return None
    order, score, people = _floats(rows, "score_rank"), _floats(rows, "score"), _floats(rows, "n_members")
    amount = _floats(rows, "amount")
    points = targeting.frontier(order, score, amount, people=people, points=60)
    errors = None
    if welfare is not None:
        poor_people = float((welfare.weight * welfare.poor * _people(connection, welfare)).sum())
        place = {key: i for i, key in enumerate(welfare.household_id)}
        of = np.array([place.get(key, -1) for key in rows["household_id"].to_pylist()])
        poor = np.where(of >= 0, welfare.poor[of] * welfare.weight[of], 0.0) * people
        order_of_points = [p.cutoff for p in points]
        direction = 1.0 if side.policy.settings.scorecards[card].direction == "lower_is_poorer" else -1.0
        errors = [
            1 - float(poor[direction * score <= direction * cut + 1e-9].sum()) / poor_people
            if poor_people
            else 0.0
            for cut in order_of_points
        ]
    return Frontier(
        points=points,
        exclusion_errors=errors,
        current=None,
        bought=targeting.bought(order, score, amount, budget, people=people),
        budget=budget,
    )


def _people(connection: sa.Connection, welfare: Welfare) -> Floats:
    rows = _read(connection, "select household_id, n_members::float8 as n_members from registry.household")
    sizes = dict(zip(rows["household_id"].to_pylist(), rows["n_members"].to_pylist(), strict=True))
    return np.array([sizes.get(key, 0.0) for key in welfare.household_id])


def _open_to_all(policy: Policy, programme: str) -> dict[str, Any]:
    """The policy's rows with the programme's line and capacity lifted."""
    variables = policy.as_vars()
    selection = [
        row | {"rule": "quantile", "groups": "1", "take": "1"} if row["programme"] == programme else row
        for row in variables["selection"]
    ]
    capacity = [row for row in variables.get("capacity", []) if row["programme"] != programme]
    return {"selection": selection, "capacity": capacity}


# Welfare


def truth_of(installation: Installation, warehouse: Warehouse) -> Welfare | None:
    """The simulator's truth of the registry's households, or None where there is none.

    A registry household is the true household of most of the people whom its survey row lists.
    """
    folder = installation.truth
    files = [folder / f"{name}.parquet" for name in ("households", "persons", "records")]
    if not all(file.is_file() for file in files):
        return None
    import duckdb

    registered = warehouse.read("select household_id, source, n_members from registry.household")
    with duckdb.connect() as connection:
        connection.register("registered", registered)
        rows = connection.execute(f"""
            with home as (
                select r.household_id, t.household_id as true_id
                from registered as r
                inner join '{files[2]}' as t on
                    r.source = t.source and r.household_id = t.source_key and t.household_id is not null
                qualify row_number() over (partition by r.household_id order by t.household_id) = 1
            )
            select
                h.household_id, t.consumption_per_head_amount::double as welfare, t.is_poor
                , r.n_members::double as people
            from home as h
            inner join registered as r on h.household_id = r.household_id
            inner join '{files[0]}' as t on h.true_id = t.household_id
            order by h.household_id
        """).fetchnumpy()
        poor_people, unregistered = connection.execute(f"""
            select
                sum(n_members) filter (where is_poor)
                , sum(n_members) filter (where is_poor and not is_surveyed)
            from '{files[0]}'
        """).fetchall()[0]
    if not len(rows["household_id"]):
        return None
    welfare = np.asarray(rows["welfare"], dtype=float)
    poor = np.asarray(rows["is_poor"], dtype=bool)
    line = _line_between(welfare, poor)
    return Welfare(
        household_id=[str(v) for v in rows["household_id"]],
        welfare=welfare,
        poor=poor,
        gap=np.where(poor, np.maximum(line - welfare, 0), 0.0) * np.asarray(rows["people"], dtype=float),
        weight=np.ones(len(welfare)),
        cluster=None,
        stratum=None,
        is_sample=False,
        source="the simulated country's true consumption",
        unregistered_poor=float(unregistered or 0) / float(poor_people) if poor_people else None,
    )


def _line_between(welfare: Floats, poor: NDArray[np.bool_]) -> float:
    """The poverty line, from who is poor: half-way between the richest poor and the poorest other."""
    if not poor.any() or poor.all():
        return float(welfare.max())
    return float((welfare[poor].max() + welfare[~poor].min()) / 2)


def read_welfare(file: Path, poverty_line: float, warehouse: Warehouse) -> Welfare:
    """Welfare from a survey of households of the registry.

    Args:
        file: CSV or Parquet with `household_id` and `welfare` (a person and month, in the country's currency), and
            where there are any `weight`, `cluster` and `stratum`.
        poverty_line: in the same unit; poor is below it.

    Raises:
        SijillError: a file that cannot be read or lacks a column, or welfare that is missing.
    """
    import duckdb

    if not file.is_file():
        raise SijillError(
            f"There is no file {file}.", expected="a survey's welfare", action="correct --welfare"
        )
    registered = warehouse.read("select household_id, n_members from registry.household")
    with duckdb.connect() as connection:
        connection.register("registered", registered)
        target = str(file).replace("'", "''")
        try:
            seen = {row[0] for row in connection.execute(f"describe select * from '{target}'").fetchall()}
        except duckdb.Error as error:
            raise SijillError(
                f"{file.name} cannot be read: {str(error).splitlines()[0]}",
                expected="CSV or Parquet",
                action="correct --welfare",
            ) from error
        lacking = {"household_id", "welfare"} - seen
        if lacking:
            raise SijillError(
                f"{file.name} lacks {', '.join(sorted(lacking))}.",
                expected="columns household_id and welfare; weight, cluster and stratum where there are any",
            )
        optional = ", ".join(
            f"w.{c}::varchar as {c}" if c in seen else f"null::varchar as {c}" for c in ("cluster", "stratum")
        )
        weight = "w.weight::double" if "weight" in seen else "1.0::double"
        rows = connection.execute(f"""
            select w.household_id::varchar as household_id, w.welfare::double as welfare, {weight} as weight
                , r.n_members::double as people, {optional}
            from '{target}' as w
            inner join registered as r on w.household_id::varchar = r.household_id
            where w.welfare is not null
            order by 1
        """).fetchnumpy()
    welfare = np.asarray(rows["welfare"], dtype=float)
    if not len(welfare):
        raise SijillError(
            f"{file.name} has no household of the registry with welfare.",
            expected="household_id as the registry has it",
        )
    weight_array = np.asarray(rows["weight"], dtype=float)
    Design.of(len(welfare), weight_array)
    people = np.asarray(rows["people"], dtype=float)
    return Welfare(
        household_id=[str(v) for v in rows["household_id"]],
        welfare=welfare,
        poor=welfare < poverty_line,
        gap=np.maximum(poverty_line - welfare, 0) * people,
        weight=weight_array,
        cluster=np.asarray(rows["cluster"]) if "cluster" in seen else None,
        stratum=np.asarray(rows["stratum"]) if "stratum" in seen else None,
        is_sample=True,
        source=f"{len(welfare):,} households of a survey",
    )
