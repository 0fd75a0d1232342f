"""A small healthy world for every suite, on a real database; each test breaks one thing in it."""

from __future__ import annotations

from decimal import Decimal

import pytest
import sqlalchemy as sa

from expectations.suites import Scope, Source
from sijill.installation import Installation
from warehouse import Warehouse

CYCLE = "2026-11"
BEFORE = "2026-10"

SCOPE = Scope(
    cycle=CYCLE,
    country="tunisia",
    currency="TND",
    decimals=3,
    spine="population_register",
    surveys=("survey_member",),
    sources=(
        Source("survey_household", "survey_household", False, False),
        Source("survey_member", "survey_member", False, False),
        Source("population_register", "person", False, False),
        Source("wages", "income", True, True),
    ),
    programmes=("amen_social",),
    statuses=("poor", "limited_income", "not_eligible"),
    paying=("poor",),
    refusals=("income_above_ceiling", "second_home"),
    scores={"amen_score": (Decimal(0), Decimal(100))},
)

# 30 households of 3 members; every third is poor and entitled, every third is not eligible.
WORLD = """
drop schema if exists landing, registry, scoring, decision cascade;
create schema landing; create schema registry; create schema scoring; create schema decision;
drop table if exists identity.person_crosswalk cascade;
drop table if exists identity.social_id cascade;
set session_replication_role = replica;
delete from audit.cycle_delivery; delete from audit.landing_content; delete from audit.delivery;
truncate finance.payment_instruction, finance.payment_payee, finance.payment_batch, finance.payment_account,
    finance.payment_hold, audit.gate_result;
set session_replication_role = origin;

create function landing.sid(person integer) returns text language sql immutable
return ((1000000000 + person) * 100::bigint + 98 - (1000000000 + person) * 100::bigint % 97)::text;

create table landing.survey_household as
select 'survey_household' as source, 'H' || h as source_key, 'Region' || (h % 3) as region
from generate_series(1, 30) as h;
create table landing.survey_member as
select 'survey_member' as source, 'M' || h || '-' || m as source_key, 'H' || h as household_key,
    'P' || ((h - 1) * 3 + m) as person, m
from generate_series(1, 30) as h, generate_series(1, 3) as m;
create table landing.population_register as
select 'population_register' as source, 'P' || p as source_key, 'Region' || (p % 3) as region,
    null::date as died_on
from generate_series(1, 200) as p;
create table landing.wages as
select 'wages' as source, 'W' || p as source_key from generate_series(1, 40) as p;
create view landing.canonical_survey_household as select * from landing.survey_household;
create view landing.canonical_person as select * from landing.population_register;
create view landing.canonical_person_record as
select source, source_key from landing.survey_member
union all select source, source_key from landing.population_register
union all select source, source_key from landing.wages;

insert into audit.delivery (delivery_id, source, table_name, file_name, sha256, size_bytes, rows_read,
    rows_accepted, rows_rejected, rows_filtered, values_set_aside, contract_version, contract_sha256, status)
overriding system value
select row_number() over (), name, name, name || '.csv', name || age, 1, n, n, 0, 0, 0, '1.0.0', 'c', 'accepted'
from (values ('survey_household', 30), ('survey_member', 90), ('population_register', 200), ('wages', 40))
    as t (name, n),
    (values (0), (1)) as a (age);
insert into audit.cycle_delivery (cycle, table_name, delivery_id)
select case when right(sha256, 1) = '0' then '2026-10' else '2026-11' end, table_name, delivery_id
from audit.delivery;

create table identity.social_id (social_id text primary key, is_provisional boolean);
create table identity.person_crosswalk (
    source text, source_key text, social_id text, spine_key text, match_weight double precision,
    match_probability double precision, band text, primary key (source, source_key)
);
insert into identity.social_id select landing.sid(p), false from generate_series(1, 200) as p;
insert into identity.person_crosswalk
select source, source_key, landing.sid(substr(source_key, 2)::int), source_key, null, null, 'spine'
from landing.population_register
union all
select source, source_key, landing.sid(substr(person, 2)::int), person, 20, 0.999, 'link'
from landing.survey_member
union all
select source, source_key, landing.sid(substr(source_key, 2)::int), 'P' || substr(source_key, 2), 20, 0.999, 'link'
from landing.wages;

create table registry.household as
select 'H' || h as household_id, landing.sid((h - 1) * 3 + 1) as head_social_id, 3 as n_members,
    'Region' || (h % 3) as region
from generate_series(1, 30) as h;
create table registry.member as
select landing.sid((h - 1) * 3 + m) as social_id, 'H' || h as household_id, true as is_living,
    20 + m as age_years, case when (h + m) % 2 = 0 then 'female' else 'male' end as sex
from generate_series(1, 30) as h, generate_series(1, 3) as m;
create table registry.household_set_aside (source text, source_key text, reason text);

create table scoring.household_score as
select household_id, 'amen_score' as scorecard, '2026-11' as cycle, 50::numeric as score, 1 as decile
from registry.household;
create table decision.household_decision as
select household_id, 'amen_social' as programme, '2026-11' as cycle,
    case n % 3 when 0 then 'poor' when 1 then 'limited_income' else 'not_eligible' end as status,
    n % 3 <> 2 as is_eligible,
    case n % 3 when 0 then array['poorest_decile'] when 1 then array['above_poorest_decile']
        else array['second_home'] end as reasons,
    array[]::text[] as rules, 'policy-1' as policy_version, 'hash' as input_hash
from (select household_id, substr(household_id, 2)::int as n from registry.household) as t;
create table decision.entitlement as
select 'E-' || h.household_id as entitlement_id, '2026-11' as cycle, 'amen_social' as programme, h.household_id,
    h.head_social_id as payee_social_id, null::text as hold_reason, 280.000::numeric as amount,
    280.000::numeric as regular_amount, 'TND' as currency,
    'policy-1' as policy_version
from registry.household as h
inner join decision.household_decision as d on d.household_id = h.household_id and d.status = 'poor';

insert into finance.payment_batch values
    ('b-001', 1, '2026-11', 'amen_social', 'cash', 1, 'b-001.csv', 'x', 10, 2800, 'TND', 'x', 'x', 'x');
insert into finance.payment_instruction (instruction_id, sequence, entitlement_id, cycle, programme, household_id,
    payee_social_id, amount, currency, channel, account_token, batch_id, policy_version, previous_hash, row_hash)
select 'I-' || household_id, row_number() over (), entitlement_id, cycle, programme, household_id,
    payee_social_id, amount, currency, 'cash', null, 'b-001', policy_version, 'x', household_id
from decision.entitlement;
"""


class World:
    """The tables that suites read."""

    def __init__(self, warehouse: Warehouse, installation: Installation) -> None:
        self.warehouse = warehouse
        self.installation = installation
        self.cycle = CYCLE
        self.scope = SCOPE

    def rebuild(self) -> None:
        """The healthy world again."""
        with self.warehouse.engine.begin() as connection:
            connection.execute(sa.text(WORLD))

    def execute(self, statement: str) -> None:
        """Break something, past the ledger's triggers."""
        with self.warehouse.engine.begin() as connection:
            connection.execute(sa.text("set local session_replication_role = replica"))
            connection.execute(sa.text(statement))


@pytest.fixture(scope="module")
def made(warehouse: Warehouse, installation: Installation) -> World:
    return World(warehouse, installation)


@pytest.fixture
def world(made: World) -> World:
    made.rebuild()
    return made
