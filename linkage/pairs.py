"""Scored pairs between two standardised tables, or within one, by given rules and a given prior.

`linkage.predict` compares a profile with the register as it stands. What is compared here is a part: what
changed since the last run, or the records that link to nothing among themselves.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterable

from linkage.model import BlockingRule, Profile, settings
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
        for name, query in (
            ("near_left", _near(rules, left, right, "l")),
            ("near_right", _near(rules, left, right, "r")),
        ):
            connection.execute(f"create or replace temp table {name} as {query}")
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
    known: tuple[str, str],
    prior: float,
    least_weight: float,
) -> None:
    """Create `table` as `score` does: the pairs between two tables of which one row at least is new.

    Args:
        people: with `tf_<part>`, and the tables to compare.
        profile: what was learnt.
        rules: of blocking.
        table: to create.
        new: rows that are new, on the left and on the right. Those on the right may be among the known.
        known: the others, on the left and on the right.
        prior: probability that two rows drawn at random are one person.
        least_weight: in bits, prior included; pairs below are left out.
    """
    connection = people.connection
    rules = list(rules)
    (new_left, new_right), (left, right) = new, known
    # each call of Splink costs a second: what meets what is new goes into one, and what was known is left out
    parts: dict[str, list[str]] = {"near_left": [], "near_right": []}
    if rules and people.rows(new_left):
        parts["near_left"].append(f"select * from {new_left}")
        parts["near_right"].append(_near(rules, new_left, right, "r"))
    if rules and people.rows(new_right):
        parts["near_left"].append(_near(rules, left, new_right, "l"))
        parts["near_right"].append(f"select * from {new_right}")
    for name, queries in parts.items():
        some = (
            " union all by name ".join(f"({query})" for query in queries) or f"select * from {left} limit 0"
        )
        connection.execute(
            f"create or replace temp table {name} as select distinct on (record_id) * from ({some})"
        )
    if not people.rows("near_left") or not people.rows("near_right"):
        connection.execute(_EMPTY.format(table=table))
        return
    _predict(people, profile, rules, table, "near_left", "near_right", prior, least_weight)
    connection.execute(
        f"delete from {table} where left_id not in (select record_id from {new_left})"
        f" and right_id not in (select record_id from {new_right})"
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
    near = f"({_near(rules, known, new, 'l')}) union all by name ({_near(rules, new, known, 'r')})"
    connection.execute(
        f"""create or replace temp table near_within as
        select distinct on (record_id) * from ({near} union all by name (select * from {new}))"""
    )
    _predict(people, profile, rules, table, "near_within", None, prior, least_weight)
    connection.execute(
        f"delete from {table} where left_id not in (select record_id from {new})"
        f" and right_id not in (select record_id from {new})"
    )


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
    from splink import DuckDBAPI, Linker

    connection = people.connection
    configuration = settings(copy.deepcopy(profile.comparisons), rules)
    configuration["probability_two_random_records_match"] = min(0.5, prior)
    configuration["link_type"] = "dedupe_only" if right is None else "link_only"
    logging.getLogger("splink").setLevel(logging.ERROR)
    api = DuckDBAPI(connection)
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
    connection.execute(
        f"create or replace temp table {table} as select record_id_l as left_id, record_id_r as right_id,"
        f" match_weight from {edges.physical_name}"
    )
    edges.drop_table_from_database_and_remove_from_cache()


_EMPTY = "create or replace temp table {table} (left_id bigint, right_id bigint, match_weight double)"


def _near(rules: list[BlockingRule], left: str, right: str, side: str) -> str:
    """Query of the rows of one side, a table, that a rule brings together with a row of the other."""
    # found in the few columns of the rules, then taken from their places: a row has many columns
    met = " union ".join(_meeting(rule, left, right, side) for rule in rules)
    return f"select s.* from {left if side == 'l' else right} as s join ({met}) as m on m.place = s.rowid"


def _meeting(rule: BlockingRule, left: str, right: str, side: str) -> str:
    """Query of the places of the rows of one side that the rule brings together with a row of the other."""
    this, that, other = (left, right, "r") if side == "l" else (right, left, "l")
    return f"select {side}.rowid as place from {this} as {side} semi join {that} as {other} on {rule.sql}"
