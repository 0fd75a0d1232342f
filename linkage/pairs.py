"""Scored pairs between two standardised tables, or within one, by given rules and a given prior.

`linkage.predict` compares a profile with the register as it stands. What is compared here is a part: what
changed since the last run, or the records that link to nothing among themselves.
"""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import re
import warnings
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

from linkage.model import BlockingRule, LinkageError, Profile, columns_of, settings
from linkage.people import People
from linkage.standardise import NAME_PARTS

LEAST_WEIGHT = -10.0
"""Least weight of a pair with the register that is kept, as in `linkage.predict`: below it, a pair adds less
than a thousandth to a record's odds."""


def score(
    people: People,
    profile: Profile,
    rules: Iterable[BlockingRule],
    table: str,
    *,
    left: str,
    right: str | None = None,
    prior: float,
    least_weight: float,
) -> None:
    """Create `table` (left_id, right_id, match_weight): the pairs of a weight that blocking brings together.

    Args:
        people: with `tf_<part>`, and the tables to compare.
        profile: what was learnt.
        rules: of blocking.
        table: to create.
        left: standardised table.
        right: another; without it, pairs within `left`, each once.
        prior: probability that two rows drawn at random are one person.
        least_weight: in bits, prior included; pairs below are left out.
    """
    connection = people.connection
    rules = list(rules)
    empty = _EMPTY.format(table=table)
    if not rules or any(not people.rows(side) for side in (left, right or left)):
        connection.execute(empty)
        return
    if right is not None:
        # Splink copies its inputs whole: only rows that a rule brings together are given to it
        for name, table_of, side in (("near_left", left, "l"), ("near_right", right, "r")):
            met = _meeting(rules, left, right, side)
            connection.execute(f"create or replace temp table {name} as {_rows(table_of, met)}")
        left, right = "near_left", "near_right"
        if not people.rows(left):
            connection.execute(empty)
            return
    _predict(people, profile, rules, table, left, right, prior, least_weight)


def score_changed(
    people: People,
    profile: Profile,
    rules: Iterable[BlockingRule],
    table: str,
    *,
    new: tuple[str, str],
    near: tuple[str, str],
    prior: float,
    least_weight: float,
) -> None:
    """Create `table` as `score` does: the pairs between two tables of which one row at least is new.

    Args:
        people: with `tf_<part>`, and the tables to compare.
        profile: what was learnt.
        rules: of blocking.
        table: to create.
        new: rows that are new, on the left and on the right.
        near: queries of these and of all that a rule may bring together with them, with the columns to compare.
        prior: probability that two rows drawn at random are one person.
        least_weight: in bits, prior included; pairs below are left out.
    """
    connection = people.connection
    rules = list(rules)
    # each call of Splink costs half a second: what meets what is new goes into one, and what was known is left out;
    # as Arrow, which is made in less time than a table
    names = ("near_left", "near_right")
    rows = [connection.sql(query).to_arrow_table() for query in near]
    if not rules or not all(side.num_rows for side in rows):
        connection.execute(_EMPTY.format(table=table))
        return
    for name, side in zip(names, rows, strict=True):
        connection.register(name, side)
    _predict(people, profile, rules, table, *names, prior, least_weight)
    for name in names:
        connection.unregister(name)
    connection.execute(
        f"delete from {table} where left_id not in (select record_id from {new[0]})"
        f" and right_id not in (select record_id from {new[1]})"
    )


def score_within(
    people: People,
    profile: Profile,
    rules: Iterable[BlockingRule],
    table: str,
    *,
    new: str,
    known: str,
    prior: float,
    least_weight: float,
) -> None:
    """Create `table` as `score` does: the pairs within two tables taken together of which one row at least is new.

    Args:
        people: with `tf_<part>`, and the tables to compare.
        profile: what was learnt.
        rules: of blocking.
        table: to create.
        new: rows that are new.
        known: the others.
        prior: probability that two rows drawn at random are one person.
        least_weight: in bits, prior included; pairs below are left out.
    """
    connection = people.connection
    rules = list(rules)
    if not rules or not people.rows(new):
        connection.execute(_EMPTY.format(table=table))
        return
    # the rule is not the same from left to right as from right to left
    met = f"{_meeting(rules, known, new, 'l')} union {_meeting(rules, new, known, 'r')}"
    connection.execute(
        f"create or replace temp table near_within as select * from {new} union all by name {_rows(known, met)}"
    )
    _predict(people, profile, rules, table, "near_within", None, prior, least_weight)
    connection.execute(
        f"delete from {table} where left_id not in (select record_id from {new})"
        f" and right_id not in (select record_id from {new})"
    )


def derive(
    people: People,
    profile: Profile,
    rules: Iterable[BlockingRule],
    twin_rules: Iterable[BlockingRule],
    *,
    columns: str,
    prior: float,
    twin_prior: float,
    least_weight: float,
    least_twin_weight: float,
) -> None:
    """Let Splink write its statements for `score_changed` and `score_within`, to be kept with the state.

    Writing them takes half a second for each of the two, as long as to compare a small delta.

    Args:
        people: its `statements` are added to.
        profile: what was learnt.
        rules: of blocking, for `score_changed`.
        twin_rules: the same for `score_within`.
        columns: query of no row with the columns that will be compared.
        prior: of `score_changed`.
        twin_prior: of `score_within`.
        least_weight: of `score_changed`.
        least_twin_weight: of `score_within`.
    """
    for table in ("near_left", "near_right", "near_within"):
        people.connection.execute(f"create or replace temp table {table} as {columns}")
    if rules := list(rules):
        _predict(people, profile, rules, "pair_none", "near_left", "near_right", prior, least_weight)
    if twin_rules := list(twin_rules):
        _predict(people, profile, twin_rules, "pair_none", "near_within", None, twin_prior, least_twin_weight)


def _predict(
    people: People,
    profile: Profile,
    rules: list[BlockingRule],
    table: str,
    left: str,
    right: str | None,
    prior: float,
    least_weight: float,
) -> None:
    connection = people.connection
    configuration = settings(copy.deepcopy(profile.comparisons), rules)
    configuration["probability_two_random_records_match"] = min(0.5, prior)
    configuration["link_type"] = "dedupe_only" if right is None else "link_only"
    columns = [sorted(columns_of(connection, side)) for side in (left, right or left)]
    parts = [configuration, left, right, columns, least_weight, version("splink")]
    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    if key in people.statements:
        for name, statement in people.statements[key]:
            connection.execute(f"drop table if exists {name}")
            connection.execute(statement)
    else:
        people.statements[key] = _splink(people, configuration, left, right, least_weight)
    made = [name for name, _ in people.statements[key]]
    connection.execute(
        f"create or replace temp table {table} as select record_id_l as left_id, record_id_r as right_id,"
        f" match_weight from {made[-1]}"
    )
    for name in made:
        connection.execute(f"drop table if exists {name}")


def _splink(
    people: People, configuration: dict[str, Any], left: str, right: str | None, least_weight: float
) -> list[tuple[str, str]]:
    """Let Splink weigh the pairs; the tables that it made, the pairs last, and the statements that made them."""
    from splink import DuckDBAPI, Linker

    made: list[tuple[str, str]] = []

    class Noting(DuckDBAPI):
        def _execute_sql_against_backend(self, final_sql: str) -> Any:
            if found := re.match(r"\s*create table (\S+) as\b", final_sql, re.IGNORECASE):
                made.append((found[1], final_sql))
            return super()._execute_sql_against_backend(final_sql)

    logging.getLogger("splink").setLevel(logging.ERROR)
    api = Noting(people.connection)
    inputs = [api.register(left, dataset_display_name="a_left")]
    if right is not None:
        inputs.append(api.register(right, dataset_display_name="b_right"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        linker = Linker(inputs, configuration, log_level="ERROR", validate_settings=False)
    used = {comparison["output_column_name"] for comparison in configuration["comparisons"]}
    for part in NAME_PARTS:
        if part in used:
            linker.table_management.register_term_frequency_lookup(api.register(f"tf_{part}"), f"{part}_tf")
    edges = linker.inference.predict(threshold_match_weight=least_weight)
    if not made or made[-1][0] != edges.physical_name:
        raise LinkageError("Splink wrote its pairs otherwise than expected.", action="report this as a fault")
    return made


_EMPTY = "create or replace temp table {table} (left_id bigint, right_id bigint, match_weight double)"


def _rows(table: str, places: str) -> str:
    """Query of the rows of a table in the places that a query tells."""
    # found in a few columns, then taken from their places: a row has many
    return f"select s.* from {table} as s join ({places}) as m on m.place = s.rowid"


def _meeting(rules: list[BlockingRule], left: str, right: str, side: str) -> str:
    """Query of the places of the rows of one side, each once, that a rule brings together with a row of the other."""
    this, that, other = (left, right, "r") if side == "l" else (right, left, "l")
    return " union ".join(
        f"select {side}.rowid as place from {this} as {side} semi join {that} as {other} on {rule.sql}"
        for rule in rules
    )
