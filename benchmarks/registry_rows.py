"""A registry of any size, made by SQL: for measuring what reads the registry, not what makes it.

Every column of the public tables' contracts is filled, so that any pack can be measured. Values are drawn from a fixed
seed; categories are the canonical ones where a pack's weights depend on them.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from warehouse import Warehouse

_CONTRACT = Path(__file__).resolve().parents[1] / "dbt_project" / "models" / "registry" / "_registry.yml"
_TABLES = ("household", "household_evidence", "member", "member_evidence")
_EMPTY = ("household_set_aside", "member_set_aside")

# Words by column; any other text column draws from a few codes.
_WORDS = {
    "region": ["Kasserine", "Kairouan", "Beja", "Gafsa", "Tozeur", "Mahdia", "Tunis", "Sfax", "Sousse", "Ariana"],
    "stratum": ["urban", "rural"],
    "dwelling_type": ["house", "apartment", "hut", "room"],
    "tenure": ["owned", "rented", "free", "squatted"],
    "wall_material": ["brick", "stone", "mud", "metal", "wood"],
    "roof_material": ["concrete", "tile", "metal", "wood", "plastic"],
    "floor_material": ["tile", "cement", "earth", "wood"],
    "water_source": ["piped", "public_tap", "well", "tanker", "surface"],
    "toilet_type": ["flush", "latrine", "none"],
    "electricity_source": ["grid", "shared", "solar", "none"],
    "cooking_fuel": ["gas", "electricity", "wood", "charcoal"],
    "waste_disposal": ["collected", "burned", "dumped"],
    "food_shortage": ["never", "sometimes", "often"],
    "sex": ["female", "male"],
    "head_sex": ["female", "male"],
    "education_level": ["none", "primary", "secondary", "higher"],
    "head_education_level": ["none", "primary", "secondary", "higher"],
    "link_band": ["spine", "link"],
}  # fmt: skip
# Shares of what few have: rules that look for it find few, as in a real registry.
_RARE = {
    "n_second_homes": 0.02, "declares_second_home": 0.01, "n_cars": 0.05, "has_car": 0.1, "declares_enrolled": 0.02,
    "has_disability_card": 0.05, "has_severe_disability_card": 0.02, "has_severe_disability": 0.03,
}  # fmt: skip
# A declared income is seldom far below the registered one.
_AMOUNTS = {"monthly_net_income_amount": 900, "declared_income_amount": 9000, "largest_sale_amount": 17000}
_INTEGERS = {"age_years": 90, "head_age_years": 70, "n_rooms": 6, "n_members": 8}


def fill(warehouse: Warehouse, households: int) -> int:
    """Make the registry's four tables with `households` households; returns the members (about 4.5 each).

    The tables are unlogged: they are made for one measurement.
    """
    models = {m["name"]: m for m in yaml.safe_load(_CONTRACT.read_text(encoding="utf-8"))["models"]}
    columns = {
        name: {c["name"]: c["data_type"] for c in models[name]["columns"]} for name in (*_TABLES, *_EMPTY)
    }
    warehouse.execute("create schema if not exists registry")
    for name in columns:
        warehouse.execute(f"drop table if exists registry.{name} cascade")
    for name in _EMPTY:
        typed = ", ".join(f"{column} {kind}" for column, kind in columns[name].items())
        warehouse.execute(f"create table registry.{name} ({typed})")
    drawn = {name: _drawn(columns[name]) for name in (*_TABLES, *_EMPTY)}
    key = "lpad(to_hex(hashint8extended(i, 7) & 281474976710655), 12, '0') || lpad(to_hex(i), 6, '0')"
    warehouse.execute(
        f"create unlogged table registry.household as select {key} as household_id"
        f", {drawn['household']} from (select setseed(0.5)) as s, generate_series(1, {households}) as i"
    )
    warehouse.execute(
        f"create unlogged table registry.household_evidence as select household_id, {drawn['household_evidence']}"
        " from registry.household"
    )
    for name in ("member", "member_evidence"):
        warehouse.execute(
            f"create unlogged table registry.{name} as select household_id || '-' || j as social_id, household_id"
            f", {drawn[name]} from registry.household cross join lateral generate_series(1, n_members) as j"
        )
    for name in _TABLES:
        warehouse.execute(f"analyze registry.{name}")
    return int(warehouse.scalar("select count(*) from registry.member"))


def _drawn(columns: dict[str, str]) -> str:
    made = {
        name: f"{_value(name, kind)}::{kind}"
        for name, kind in columns.items()
        if name not in ("household_id", "social_id")
    }
    if "is_head" in made:
        made |= {
            "is_head": "j = 1",
            "is_spouse": "j = 2",
            "is_living": "true",
            "is_identity_confirmed": "true",
        }
        made = {name: value for name, value in made.items() if name in columns}
    return ", ".join(f"{value} as {name}" for name, value in made.items())


def _value(name: str, kind: str) -> str:
    if kind == "text":
        words = ", ".join(f"'{word}'" for word in _WORDS.get(name, ["a", "b", "c"]))
        return f"(array[{words}])[1 + floor(random() * {len(_WORDS.get(name, 'abc'))})::integer]"
    if kind == "boolean":
        return f"(random() < {_RARE.get(name, 0.4)})"
    if kind == "date":
        return "(date '1950-01-01' + floor(random() * 25000)::integer)"
    if kind == "integer":
        least = 1 if name in ("n_members", "n_rooms") else 0
        if name in _RARE:
            return f"(random() < {_RARE[name]})::integer"
        return f"({least} + floor(random() * {_INTEGERS.get(name, 3)})::integer)"
    return f"round((random() * {_AMOUNTS.get(name, 300)})::numeric, 3)"
