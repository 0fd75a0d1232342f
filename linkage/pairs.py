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
    from splink import DuckDBAPI, Linker

    connection = people.connection
    rules = list(rules)
    empty = f"create or replace temp table {table} (left_id bigint, right_id bigint, match_weight double)"
    if not rules or any(not people.rows(side) for side in (left, right or left)):
        connection.execute(empty)
        return
    if right is not None:
        # Splink copies its inputs whole: only rows that a rule brings together are given to it
        meet = {
            side: " union ".join(_meeting(rule, left, right, side) for rule in rules) for side in ("l", "r")
        }
        for name, side, source in (("near_left", "l", left), ("near_right", "r", right)):
            connection.execute(
                f"create or replace temp table {name} as select s.* from {source} as s"
                f" semi join ({meet[side]}) as m using (record_id)"
            )
        left, right = "near_left", "near_right"
        if not people.rows(left):
            connection.execute(empty)
            return
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


def _meeting(rule: BlockingRule, left: str, right: str, side: str) -> str:
    """Query of the rows of one side that the rule brings together with a row of the other."""
    this, that, other = (left, right, "r") if side == "l" else (right, left, "l")
    return f"select {side}.record_id from {this} as {side} semi join {that} as {other} on {rule.sql}"
