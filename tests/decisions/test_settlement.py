"""Months are settled: whatever was published or learnt late, what was committed for a month ends as what it owes."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from disbursement import ledger
from sijill.policy.sql import Renderer
from warehouse import Warehouse

CYCLES = [f"2026-{month:02d}" for month in range(1, 9)]
ALWAYS = {"valid_from": "2020-01-01", "valid_to": "9999-12-31", "standing": "law", "source": "a decree"}

TABLES = """
create table decision.household_decision (
    household_id text, programme text, cycle text, status text, is_eligible boolean, household_facts jsonb,
    policy_version text
);
create table decision.member_fact (
    cycle text, for_month text, household_id text, social_id text, late_fact text, is_living boolean,
    relationship text, is_head boolean, is_spouse boolean, birth_date date, sex text, age_years integer,
    marital_status text, is_literate boolean, education_level text, declares_enrolled boolean,
    employment_status text, has_chronic_disease boolean, declared_disability text, is_pregnant boolean,
    is_pupil boolean, is_student boolean, has_disability_card boolean, has_severe_disability_card boolean,
    has_health_card boolean, n_legacy_benefits integer, is_mother_of_young boolean, attendance_percent numeric,
    n_clinic_visits integer, requests_prosthesis boolean
);
create table registry.household_set_aside (source text, source_key text, reason text, later_household_id text);
create table decision.entitlement_component (
    entitlement_id text, cycle text, programme text, household_id text, for_household_id text, for_month text,
    kind text, is_payable boolean, benefit text, social_id text, amount numeric(14, 3), currency text,
    policy_version text
);
"""
EMPTY = """
set session_replication_role = replica;
truncate decision.household_decision, decision.member_fact, registry.household_set_aside,
    decision.entitlement_component, finance.commitment, decision.aid_grant;
set session_replication_role = origin;
"""


@dataclass
class History:
    """A country of a few households, lived through cycle by cycle."""

    warehouse: Warehouse
    rates: list[tuple[str, str, int]]
    takes_back: str = "all"
    window: int = 12
    deaths: dict[str, tuple[str, str]] = field(default_factory=dict)
    children: dict[str, list[str]] = field(default_factory=dict)

    @property
    def policy(self) -> dict[str, Any]:
        """`base` by the month it is in force from and the day it was published; 10 for each living child."""
        later = [[f"{month}-01", published] for month, published, _ in self.rates]
        base = [
            {
                "numerator": str(amount),
                "denominator": "1",
                "valid_from": f"{month}-01",
                "valid_to": _day_before(self.rates[n + 1][0]) if n + 1 < len(self.rates) else "9999-12-31",
                "published_on": published,
                "own_end": "9999-12-31",
                "later": later[n + 1 :],
            }
            for n, (month, published, amount) in enumerate(self.rates)
        ]
        benefit = {"programme": "aid", "statuses": ["served"], "frequency": "monthly", "occasion": ""}
        return {
            "version": "one",
            "programmes": [{"code": "aid", "scorecard": None, "payee": ["head"]}],
            "parameters": {
                "base": base,
                "calendar.decision_day": [{"numerator": "25", "denominator": "1", **ALWAYS}],
            },
            "settlement": [
                {
                    "programme": "aid",
                    "arrears_months": str(self.window),
                    "instalment": "1/3",
                    "takes_back": self.takes_back,
                    **ALWAYS,
                }
            ],
            "benefits": [
                {
                    **benefit,
                    "benefit": "base",
                    "per": "household",
                    "condition": "",
                    "amount": "base",
                    **ALWAYS,
                },
                {
                    **benefit,
                    "benefit": "child",
                    "per": "member",
                    "condition": "age_years <= 18",
                    "amount": "10",
                    **ALWAYS,
                },
            ],
        }

    def live(self, cycle: str, households: list[str]) -> None:
        """Decide, compute and commit one cycle: `households` are served, and deaths known by now are corrected."""
        with self.warehouse.engine.begin() as connection:
            for table in ("household_decision", "member_fact", "entitlement_component"):
                connection.execute(sa.text(f"delete from decision.{table} where cycle = :c"), {"c": cycle})
            for household in households:
                connection.execute(
                    sa.text(
                        "insert into decision.household_decision values"
                        " (:h, 'aid', :c, 'served', true, null, 'one')"
                    ),
                    {"h": household, "c": cycle},
                )
                for child in self.children.get(household, []):
                    self._fact(connection, cycle, cycle, household, child)
            for child, (died_in, known_in) in self.deaths.items():
                if known_in == cycle:
                    for month in CYCLES:
                        if died_in <= month < cycle:
                            self._late_death(connection, cycle, month, child)
            variables = {"cycle": cycle, "currency": "TND", "currency_decimals": 3, "policy": self.policy}
            tables = {
                "aid_grant": "decision.aid_grant",
                "household_set_aside": "registry.household_set_aside",
            }
            query = Renderer(variables, tables).model("entitlement_component")
            connection.exec_driver_sql(
                f"insert into decision.entitlement_component {query}".replace("%", "%%")
            )
            self.commit(connection, cycle)

    @staticmethod
    def commit(connection: sa.Connection, cycle: str) -> None:
        """What disbursement does with the cycle's components, nothing being instructed yet."""
        connection.exec_driver_sql(
            "create temporary table entitled on commit drop as select distinct entitlement_id,"
            " null::text as instruction_id from decision.entitlement_component where is_payable"
        )
        ledger.record_commitments(connection, {"cycle": cycle})

    def _known_dead(self, child: str, month: str, cycle: str) -> bool:
        died_in, known_in = self.deaths.get(child, ("9999-12", "9999-12"))
        return died_in <= month and known_in <= cycle

    def _fact(self, connection: sa.Connection, cycle: str, month: str, household: str, child: str) -> None:
        if not self._known_dead(child, month, cycle):
            connection.execute(
                sa.text(
                    "insert into decision.member_fact (cycle, for_month, household_id, social_id, is_living,"
                    " age_years) values (:c, :m, :h, :s, true, 9)"
                ),
                {"c": cycle, "m": month, "h": household, "s": child},
            )

    @staticmethod
    def _late_death(connection: sa.Connection, cycle: str, month: str, child: str) -> None:
        connection.execute(
            sa.text(
                "insert into decision.member_fact (cycle, for_month, household_id, social_id, late_fact,"
                " is_living, age_years) select :c, for_month, household_id, social_id, 'death', false, age_years"
                " from decision.member_fact where for_month = :m and social_id = :s and cycle = for_month"
            ),
            {"c": cycle, "m": month, "s": child},
        )

    def rate(self, month: str, cycle: str) -> int:
        """The base of a month by what was published when the cycle was decided."""
        known = [a for begins, published, a in self.rates if begins <= month and published <= f"{cycle}-25"]
        return known[-1]

    def owed(self, household: str, month: str, cycle: str) -> Decimal:
        """What a month owes a household by the rules and facts that the cycle knows."""
        living = [c for c in self.children.get(household, []) if not self._known_dead(c, month, cycle)]
        return Decimal(self.rate(month, cycle) + 10 * len(living))

    def months(self) -> dict[tuple[str, str], sa.RowMapping]:
        """The ledger by household and month."""
        return {
            (row["household_id"], row["for_month"]): row
            for row in self.warehouse.rows("select * from finance.committed_month")
        }

    def open_debts(self) -> dict[tuple[str, str], Decimal]:
        """What is still to be kept back, by household and month."""
        return {
            (row["household_id"], row["for_month"]): row["open_amount"]
            for row in self.warehouse.rows("select * from finance.debt")
        }


def _day_before(month: str) -> str:
    return (date.fromisoformat(f"{month}-01") - timedelta(days=1)).isoformat()


@pytest.fixture(scope="module")
def tables(warehouse: Warehouse) -> Warehouse:
    with warehouse.engine.begin() as connection:
        connection.exec_driver_sql(TABLES)
    return warehouse


@pytest.fixture
def empty(tables: Warehouse) -> Warehouse:
    with tables.engine.begin() as connection:
        connection.exec_driver_sql(EMPTY)
    return tables


RISE = [("2025-01", "2025-01-30", 260), ("2026-01", "2026-04-21", 280)]


def test_the_cycle_after_publication_pays_the_months_before_it_and_the_same_run_again_commits_nothing(
    empty: Warehouse,
) -> None:
    history = History(empty, RISE)
    for cycle in CYCLES[:4]:
        history.live(cycle, ["a", "b"] if cycle != "2026-02" else ["a"])
    arrears = empty.rows(
        "select household_id, for_month, amount from finance.commitment where kind = 'arrears' order by 1, 2"
    )
    assert [(row["household_id"], row["for_month"], row["amount"]) for row in arrears] == [
        ("a", "2026-01", 20),
        ("a", "2026-02", 20),
        ("a", "2026-03", 20),
        ("b", "2026-01", 20),
        ("b", "2026-03", 20),
    ]
    before = empty.scalar("select count(*) from finance.commitment")
    history.live("2026-04", ["a", "b"])
    assert empty.scalar("select count(*) from finance.commitment") == before
    history.live("2026-05", ["a", "b"])
    assert empty.scalar("select count(*) from finance.commitment where cycle = '2026-05'") == 2


def test_a_death_learnt_late_is_kept_back_by_instalments_until_nothing_is_open(empty: Warehouse) -> None:
    history = History(empty, [("2025-01", "2025-01-01", 30)])
    history.children = {"a": ["a1", "a2"]}
    history.deaths = {"a1": ("2026-02", "2026-05")}
    for cycle in CYCLES[:5]:
        history.live(cycle, ["a"])
    assert history.open_debts() == {("a", m): 10 for m in ("2026-02", "2026-03", "2026-04")}
    history.live("2026-06", ["a"])
    # A third of 40 is 13.333, rounded down: the oldest month first.
    assert history.open_debts() == {
        ("a", "2026-02"): 0,
        ("a", "2026-03"): Decimal("6.667"),
        ("a", "2026-04"): 10,
    }
    for cycle in CYCLES[6:]:
        history.live(cycle, ["a"])
    assert set(history.open_debts().values()) == {0}


def test_a_rule_published_late_takes_nothing_back_where_only_facts_do(empty: Warehouse) -> None:
    history = History(
        empty, [("2025-01", "2025-01-01", 50), ("2026-01", "2026-03-10", 40)], takes_back="facts"
    )
    for cycle in CYCLES[:4]:
        history.live(cycle, ["a"])
    assert history.open_debts() == {}
    assert history.months()["a", "2026-03"]["owed_amount"] == 40


@pytest.mark.parametrize("seed", range(4))
def test_what_was_committed_for_each_month_ends_as_what_the_last_known_rules_owe(
    empty: Warehouse, seed: int
) -> None:
    draw = random.Random(seed)
    rates = [("2025-01", "2025-01-01", draw.randrange(100, 200))]
    for month in draw.sample(CYCLES[:6], 3):
        published = f"{draw.choice([c for c in CYCLES if c >= month])}-{draw.randrange(1, 28):02d}"
        rates.append((month, published, draw.randrange(100, 200)))
    history = History(empty, sorted(rates))
    households = [f"h{n}" for n in range(12)]
    for household in households:
        history.children[household] = [f"{household}c{n}" for n in range(draw.randrange(4))]
        for child in history.children[household]:
            if draw.random() < 0.3:
                died = draw.randrange(8)
                history.deaths[child] = (CYCLES[died], CYCLES[draw.randrange(died, 8)])
    served = {cycle: [h for h in households if draw.random() < 0.8] for cycle in CYCLES}
    for cycle in CYCLES:
        history.live(cycle, served[cycle])
        if draw.random() < 0.3:
            history.live(cycle, served[cycle])
    months, debts = history.months(), history.open_debts()
    assert set(months) == {(h, c) for c in CYCLES for h in served[c]}
    for (household, month), row in months.items():
        owner_is_present = household in served[CYCLES[-1]]
        owed = history.owed(household, month, CYCLES[-1])
        assert row["committed_amount"] - debts.get((household, month), 0) == row["owed_amount"]
        if owner_is_present or row["owed_amount"] > owed:
            assert row["owed_amount"] == owed, (household, month)
