"""Scored pairs, from Splink on DuckDB and a trained profile."""

from __future__ import annotations

import copy
import importlib
import logging
import threading
import warnings
from typing import Any

import pyarrow as pa

from linkage.model import Profile, settings
from linkage.people import People
from linkage.standardise import NAME_PARTS

# Least weight of a pair that is kept: below it, a pair adds less than a thousandth to a record's odds
_LEAST_WEIGHT = -10.0


def prepare() -> None:
    """Import Splink in the background: it takes most of a second, while DuckDB works outside Python."""
    threading.Thread(target=lambda: importlib.import_module("splink"), daemon=True).start()


def linker(people: People, left: str, configuration: dict[str, Any], right: str = "spine") -> Any:
    """A Splink linker of `left` against the spine, or rows of it, with our term frequencies registered."""
    # Splink takes half a second to import, which reading a country or a report need not pay
    from splink import DuckDBAPI, Linker

    logging.getLogger("splink").setLevel(logging.ERROR)
    api = DuckDBAPI(people.connection)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tables = [api.register(left, dataset_display_name="a_source")]
        if not people.dedupe:
            tables.append(api.register(right, dataset_display_name="b_spine"))
        made = Linker(
            tables,
            configuration,
            log_level="ERROR",
            validate_settings=False,
        )
    used = {comparison["output_column_name"] for comparison in configuration["comparisons"]}
    for part in NAME_PARTS:
        if part in used:
            made.table_management.register_term_frequency_lookup(api.register(f"tf_{part}"), f"{part}_tf")
    return made


def predict(
    people: People,
    name: str,
    profile: Profile,
    table: str,
    *,
    with_levels: bool = False,
) -> int:
    """Score the pairs of a profile's people and the spine that blocking brings together; the number compared.

    Creates `table` (record_id, spine_id, match_weight); the weight holds the prior for a register of
    this size. `with_levels` adds `gamma_<comparison>`: the level of agreement, 0 for none, -1 for no
    evidence.
    """
    connection = people.connection
    left = f"people_{name}"
    rules = people.rules(name)
    if not rules:
        connection.execute(
            f"create or replace temp table {table} (record_id bigint, spine_id bigint, match_weight double)"
        )
        return 0
    configuration = settings(copy.deepcopy(profile.comparisons), rules, dedupe=people.dedupe)
    configuration["probability_two_random_records_match"] = profile.prior(people.n_spine)
    configuration["retain_intermediate_calculation_columns"] = with_levels
    configuration["retain_matching_columns"] = with_levels
    columns = ["record_id_l as record_id", "record_id_r as spine_id", "match_weight"]
    columns += [f"gamma_{c['output_column_name']}" for c in profile.comparisons] if with_levels else []
    if people.engine == "spark":
        from linkage import spark

        spark.predict(people, left, configuration, table, columns, least_weight=_LEAST_WEIGHT)
    else:
        edges = linker(people, left, configuration).inference.predict(threshold_match_weight=_LEAST_WEIGHT)
        connection.execute(
            f"create or replace temp table {table} as select {', '.join(columns)} from {edges.physical_name}"
        )
        edges.drop_table_from_database_and_remove_from_cache()
    blocked = pa.table(
        {"place": range(len(rules)), "rule": [rule.sql for rule in rules], "pairs": list(rules.values())}
    )
    connection.register("blocked", blocked)
    connection.execute(f"create or replace temp table blocking_{name} as select * from blocked")
    connection.unregister("blocked")
    return sum(rules.values())
