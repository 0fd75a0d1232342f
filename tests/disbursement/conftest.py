"""A small world of entitlements on a real database, set up by columns that disbursement reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from disbursement import GATES
from sijill.installation import Installation
from warehouse import Warehouse

CYCLE = "2026-11"

TABLES = """
drop table if exists decision.entitlement cascade;
create table decision.entitlement (
    entitlement_id text, cycle text, programme text, household_id text, payee_social_id text,
    amount numeric, currency text, policy_version text, hold_reason text
);
drop table if exists decision.entitlement_component cascade;
create table decision.entitlement_component (
    entitlement_id text, cycle text, programme text, household_id text, for_household_id text, for_month text,
    kind text, is_payable boolean, benefit text, social_id text, amount numeric, currency text, policy_version text
);
drop table if exists identity.person_crosswalk cascade;
create table identity.person_crosswalk (
    source text, source_key text, social_id text, band text, primary key (source, source_key)
);
drop table if exists identity.social_id cascade;
create table identity.social_id (social_id text primary key, is_provisional boolean not null);
drop view if exists landing.canonical_person, landing.canonical_account;
drop table if exists landing.persons, landing.accounts;
create table landing.persons (
    source text, source_key text, full_name text, given_name text, middle_name text, father_name text,
    grandfather_name text, family_name text, national_number text, died_on date
);
create view landing.canonical_person as select * from landing.persons;
create table landing.accounts (
    source text, source_key text, channel text, institution text, account_number text, opened_on date,
    closed_on date
);
create view landing.canonical_account as select * from landing.accounts;
"""

# The ledger is append-only even for its owner; a test database is emptied past the trigger.
EMPTY = """
set session_replication_role = replica;
truncate finance.payment_instruction, finance.payment_payee, finance.payment_batch,
    finance.payment_account, finance.payment_hold, finance.commitment, audit.gate_result,
    decision.entitlement, decision.entitlement_component,
    identity.person_crosswalk, identity.social_id, landing.persons, landing.accounts;
set session_replication_role = origin;
"""


@dataclass(frozen=True)
class Case:
    """An entitlement and the person it is for."""

    key: str
    amount: Decimal | None = Decimal("280.000")
    household: str | None = None
    payee: str | None = None
    has_payee: bool = True
    is_provisional: bool = False
    is_in_review: bool = False
    is_dead: bool = False
    is_known: bool = True
    name: str = "Person"
    currency: str = "TND"
    programme: str = "amen_social"
    hold: str | None = None
    accounts: Sequence[tuple[str, str, str, str | None, str | None]] = field(
        default_factory=lambda: (("bank", "BK01", "12345678", "2020-01-01", None),)
    )


class World:
    """Puts entitlements, people, accounts and gate results in the database."""

    def __init__(self, warehouse: Warehouse, installation: Installation) -> None:
        self.warehouse = warehouse
        self.installation = installation
        self.cycle = CYCLE

    @property
    def folder(self) -> Path:
        return self.installation.payments(self.cycle)

    def clear(self) -> None:
        """Empty tables, no payment files."""
        with self.warehouse.engine.begin() as connection:
            connection.execute(sa.text(EMPTY))
        for path in self.folder.iterdir():
            path.unlink()

    def add(self, *cases: Case) -> None:
        """Insert the cases' entitlements, people and accounts."""
        with self.warehouse.engine.begin() as connection:
            for case in cases:
                payee = (case.payee or f"S-{case.key}") if case.has_payee else None
                connection.execute(
                    sa.text(
                        "insert into decision.entitlement values"
                        " (:id, :cycle, :programme, :household, :payee, :amount, :currency, 'policy-1', :hold)"
                    ),
                    {
                        "id": f"E-{case.key}",
                        "cycle": self.cycle,
                        "programme": case.programme,
                        "household": case.household or f"H-{case.key}",
                        "payee": payee,
                        "amount": case.amount,
                        "currency": case.currency,
                        "hold": case.hold,
                    },
                )
                connection.execute(
                    sa.text(
                        "insert into decision.entitlement_component"
                        " select entitlement_id, cycle, programme, household_id, household_id, cycle, 'regular', true,"
                        " 'base_allowance', null, amount, currency, policy_version"
                        " from decision.entitlement where entitlement_id = :id and amount <> 0"
                    ),
                    {"id": f"E-{case.key}"},
                )
                if payee is None or not case.is_known:
                    continue
                connection.execute(
                    sa.text(
                        "insert into identity.social_id values (:payee, :provisional) on conflict do nothing"
                    ),
                    {"payee": payee, "provisional": case.is_provisional},
                )
                links = [("survey_member", "review" if case.is_in_review else "link")]
                if not case.is_provisional:
                    links.append(("population_register", "spine"))
                    connection.execute(
                        sa.text(
                            "insert into landing.persons (source, source_key, full_name, national_number, died_on)"
                            " values ('population_register', :key, :name, :number, :died)"
                        ),
                        {
                            "key": case.key,
                            "name": case.name,
                            "number": "0" + case.key,
                            "died": "2026-01-01" if case.is_dead else None,
                        },
                    )
                for number, account in enumerate(case.accounts):
                    links.append((f"accounts_{number}", "link"))
                    connection.execute(
                        sa.text(
                            "insert into landing.accounts values"
                            " (:source, :key, :channel, :institution, :number, :opened, :closed)"
                        ),
                        dict(
                            zip(
                                ("channel", "institution", "number", "opened", "closed"), account, strict=True
                            ),
                            source=f"accounts_{number}",
                            key=case.key,
                        ),
                    )
                for source, band in links:
                    connection.execute(
                        sa.text(
                            "insert into identity.person_crosswalk values (:source, :key, :payee, :band)"
                        ),
                        {"source": source, "key": case.key, "payee": payee, "band": band},
                    )

    def open_gates(self, stages: Sequence[str] = GATES, *, passed: bool = True) -> None:
        """Record an evaluation of each stage's gate, of the data as it is now."""
        with self.warehouse.engine.begin() as connection:
            for stage in stages:
                connection.execute(
                    sa.text(
                        "insert into audit.gate_result (cycle, stage, passed, n_evaluated, n_critical,"
                        " n_warning, failures, watched, fingerprint) select :cycle, :stage, :passed, 1,"
                        " :critical, 0, '[]', watched, audit.fingerprint(watched)"
                        " from (select array['decision.entitlement'] as watched) as t"
                    ),
                    {
                        "cycle": self.cycle,
                        "stage": stage,
                        "passed": passed,
                        "critical": 0 if passed else 2,
                    },
                )

    def ledger(self) -> list[tuple[object, ...]]:
        """Everything that the ledger says, except when it was said."""
        with self.warehouse.engine.connect() as connection:
            rows: list[tuple[object, ...]] = []
            for table, order in (
                ("payment_instruction", "sequence"),
                ("payment_batch", "sequence"),
                ("payment_account", "account_token"),
                ("payment_payee", "instruction_id"),
                ("payment_held", "entitlement_id"),
                ("commitment", "entitlement_id, for_month, benefit"),
            ):
                rows += [
                    (table, *row)
                    for row in connection.execute(
                        sa.text(
                            f"select (to_jsonb(t) - 'created_at' - 'hold_id' - 'commitment_id')::text"
                            f" from finance.{table} as t order by {order}"
                        )
                    )
                ]
            return rows

    def files(self) -> dict[str, bytes]:
        """The payment folder's files and their bytes."""
        return {path.name: path.read_bytes() for path in sorted(self.folder.iterdir())}


@pytest.fixture(scope="module")
def made(warehouse: Warehouse, installation: Installation) -> World:
    with warehouse.engine.begin() as connection:
        connection.execute(sa.text(TABLES))
    return World(warehouse, installation)


@pytest.fixture
def world(made: World) -> World:
    """An empty world."""
    made.clear()
    return made


@pytest.fixture
def case() -> type[Case]:
    return Case


def variants() -> list[Case]:
    """One entitlement for each way to be paid or held."""
    base = Case("1001")
    return [
        base,
        replace(base, key="1002", amount=Decimal("0.001"), accounts=()),
        replace(base, key="1003", accounts=(("post", "ONP", "7000001", None, None),)),
        replace(base, key="1004", has_payee=False),
        replace(base, key="1005", is_dead=True),
        replace(base, key="1006", is_provisional=True, is_in_review=True),
        replace(base, key="1007", is_provisional=True),
        replace(base, key="1008", is_known=False),
        replace(base, key="1009", amount=Decimal("12.3456")),
        replace(base, key="1010", payee="S-shared"),
        replace(base, key="1011", payee="S-shared"),
        replace(base, key="1012", currency="EUR"),
        replace(base, key="1013", hold="payee_unconfirmed"),
    ]


@pytest.fixture
def mixed() -> list[Case]:
    return variants()
