"""The Splink settings of person linkage: comparisons, their levels, blocking rules.

What belongs here: which fields are compared, in which grades, and which pairs are looked at. What does
not: the values learnt for a country (`linkage.train` writes them to a model file) and what becomes of a
pair (`linkage.resolve`).

Sources fall into profiles by what they can tell of a person; each profile has its own parameters,
because without a birth date the same agreement of names says less.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb

from linkage import fields
from linkage.standardise import NAME_PARTS
from sijill.errors import SijillError

FORMAT_VERSION = 1
PROFILES = ("with_birth_date", "name_only")

STATED_PRECISION = {"with_birth_date": 0.999, "name_only": 0.995}
"""Precision that links are to reach: training finds the probability from which they do."""
DEDUPE_PROBABILITY = 0.9
"""Probability from which two records of one file are the same person."""
REVIEW_PROBABILITY = 0.20
"""Posterior probability from which a best pair is worth a clerk's time."""

HOLDER = "holder_"
"""Prefix of comparisons that tell whom such a file names, not what two records agree on."""

# A number belongs to one person of the register, so a stranger agrees on it only when it was recorded
# wrongly: too rare to be estimated by sampling, in which true pairs would dominate
_NUMBER_U = {"exact": 1e-6, "other_person": 2e-4, "slip": 1e-5}

# A chain in no fixed order is cut as if the given name came first. The letters are compared where the
# consonants differ: names swapped are seldom spelled alike, too
_SWAPPED = (
    "(given_skeleton_l = family_skeleton_r or jaro_winkler_similarity(given_la_l, family_la_r) >= 0.88)"
    " and (family_skeleton_l = given_skeleton_r or jaro_winkler_similarity(family_la_l, given_la_r) >= 0.88)"
)

# People give a spouse's, parent's or child's number for their own: number and family name then agree and
# the person is another
_SAME_PERSON = (
    "given_skeleton_l is null or given_skeleton_r is null or given_skeleton_l = given_skeleton_r"
    " or given_la_l = given_la_r or jaro_winkler_similarity(given_sound_l, given_sound_r) >= 0.75"
    " or length(given_sound_l) = 1 or length(given_sound_r) = 1"
    f" or {_SWAPPED} or birth_digits_l = birth_digits_r"
)


class LinkageError(SijillError):
    """Linkage cannot go on."""


def _level(sql: str, label: str, **more: Any) -> dict[str, Any]:
    return {"sql_condition": sql, "label_for_charts": label, **more}


def _null(sql: str) -> dict[str, Any]:
    return _level(sql, "no evidence", is_null_level=True)


_ELSE = _level("ELSE", "different")


def _name_comparison(part: str) -> dict[str, Any]:
    """Grades of agreement of one name part, across scripts."""
    exact = f"{part}_ar_l = {part}_ar_r or {part}_la_l = {part}_la_r"
    close = " or ".join(
        f"(length({part}_{form}_l) > 3 and damerau_levenshtein({part}_{form}_l, {part}_{form}_r) <= 1)"
        for form in ("ar", "la")
    )
    near = " or ".join(
        f"jaro_winkler_similarity({part}_{form}_l, {part}_{form}_r) >= 0.88" for form in ("la", "ar", "sound")
    )
    null = f"{part}_skeleton_l is null or {part}_skeleton_r is null"
    levels = [
        # swapped names are counted once, in the given name's comparison
        _null(
            f"{null} or ({_SWAPPED} and family_skeleton_l <> family_skeleton_r)" if part == "family" else null
        ),
        _level(
            exact,
            "same spelling",
            tf_adjustment_column=f"{part}_tf",
            tf_adjustment_weight=1.0,
            tf_minimum_u_value=0.0001,
            disable_tf_exact_match_detection=True,
        ),
        _level(f"{part}_sound_l = {part}_sound_r or {close}", "same sound, or one letter off"),
        _level(f"{part}_skeleton_l = {part}_skeleton_r", "same consonants"),
        _level(near, "similar"),
    ]
    if part == "given":
        levels.append(_level(_SWAPPED, "given and family name swapped"))
        levels.append(
            _level(
                "length(given_la_l) <> length(given_la_r)"
                " and (starts_with(given_la_l, given_la_r) or starts_with(given_la_r, given_la_l))",
                "short form or initial",
            )
        )
    return {"output_column_name": part, "comparison_levels": [*levels, _ELSE]}


def _comparisons() -> dict[str, dict[str, Any]]:
    """Every comparison, by name."""
    found = {part: _name_comparison(part) for part in NAME_PARTS}
    found["middle"] = {
        "output_column_name": "middle",
        "comparison_levels": [
            _null("middle_l is null or middle_r is null"),
            _level("middle_l = middle_r", "same initial"),
            _ELSE,
        ],
    }
    found["birth_date"] = {
        "output_column_name": "birth_date",
        "comparison_levels": [
            _null("birth_digits_l is null or birth_digits_r is null"),
            _level("birth_date_l = birth_date_r and not has_weak_birth_date_l", "same day"),
            _level(
                "birth_year_l = birth_year_r and (has_weak_birth_date_l or has_weak_birth_date_r)",
                "same year, 1 January",
            ),
            _level(
                "birth_year_l = birth_year_r"
                " and birth_day_l[1:2] = birth_day_r[3:4] and birth_day_l[3:4] = birth_day_r[1:2]",
                "day and month swapped",
            ),
            _level("damerau_levenshtein(birth_digits_l, birth_digits_r) <= 1", "one digit off"),
            _level(
                "(birth_day_l = birth_day_r and not has_weak_birth_date_l)"
                " or (birth_year_l = birth_year_r"
                " and (birth_day_l[1:2] = birth_day_r[1:2] or birth_day_l[3:4] = birth_day_r[3:4]))",
                "one component off",
            ),
            _level("birth_year_l = birth_year_r", "same year"),
            _level("abs(birth_year_l - birth_year_r) <= 1", "a year apart"),
            _ELSE,
        ],
    }
    found["sex"] = {
        "output_column_name": "sex",
        "comparison_levels": [
            _null("sex_l is null or sex_r is null"),
            _level("sex_l = sex_r", "same"),
            _ELSE,
        ],
    }
    found["national_number"] = {
        "output_column_name": "national_number",
        "comparison_levels": [
            _null("national_number_l is null or national_number_r is null"),
            _level(
                f"national_number_l = national_number_r and ({_SAME_PERSON})",
                "same number",
                u_probability=_NUMBER_U["exact"],
                fix_u_probability=True,
            ),
            _level(
                "national_number_l = national_number_r",
                "same number, another given name",
                u_probability=_NUMBER_U["other_person"],
                fix_u_probability=True,
            ),
            _level(
                "damerau_levenshtein(national_number_l, national_number_r) <= 1",
                "one digit off",
                u_probability=_NUMBER_U["slip"],
                fix_u_probability=True,
            ),
            _ELSE | {"u_probability": 1 - sum(_NUMBER_U.values()), "fix_u_probability": True},
        ],
    }
    found["birth_place"] = {
        "output_column_name": "birth_place",
        "comparison_levels": [
            _null("birth_place_l is null or birth_place_r is null"),
            _level("birth_place_l = birth_place_r", "same place"),
            _ELSE,
        ],
    }
    found["place"] = {
        "output_column_name": "place",
        "comparison_levels": [
            _null(
                "coalesce(district_l, region_l) is null or coalesce(district_r, region_r) is null"
                " or (district_l is null) <> (district_r is null) and (region_l is null) <> (region_r is null)"
            ),
            _level("district_l = district_r", "same district"),
            _level("region_l = region_r or district_l = region_r or region_l = district_r", "same region"),
            _ELSE,
        ],
    }
    found["address"] = {
        "output_column_name": "address",
        "comparison_levels": [
            _null("address_l is null or address_r is null"),
            _level("address_l = address_r or (house_l = house_r and street_l = street_r)", "same address"),
            _level("jaro_winkler_similarity(address_l, address_r) >= 0.92", "similar address"),
            _level("street_l = street_r", "same street"),
            _level("house_l = house_r", "same house number"),
            _ELSE,
        ],
    }
    found["phone"] = {
        "output_column_name": "phone",
        "comparison_levels": [
            _null("phone_l is null or phone_r is null"),
            _level("phone_l = phone_r", "same phone"),
            _ELSE,
        ],
    }
    found["postal_code"] = {
        "output_column_name": "postal_code",
        "comparison_levels": [
            _null("postal_code_l is null or postal_code_r is null"),
            _level("postal_code_l = postal_code_r", "same code"),
            _level("damerau_levenshtein(postal_code_l, postal_code_r) <= 1", "one character off"),
            _level("postal_code_l[1:3] = postal_code_r[1:3]", "same beginning"),
            _ELSE,
        ],
    }
    for n in range(1, fields.MOST + 1):
        for meaning in ("locality", "attribute"):
            found[f"{meaning}_{n}"] = _spelled(f"{meaning}_{n}")
        found[f"other_number_{n}"] = _other_number(f"other_number_{n}")
    found["email"] = {
        "output_column_name": "email",
        "comparison_levels": [
            _null("email_l is null or email_r is null"),
            _level("email_l = email_r", "same"),
            _level("split_part(email_l, '@', 1) = split_part(email_r, '@', 1)", "same name before the @"),
            _level("damerau_levenshtein(email_l, email_r) <= 2", "a letter or two off"),
            _ELSE,
        ],
    }
    return found


def _spelled(column: str) -> dict[str, Any]:
    """Grades of agreement of a text in either script, such as a place or an occupation."""
    return {
        "output_column_name": column,
        "comparison_levels": [
            _null(f"{column}_l is null or {column}_r is null"),
            _level(f"{column}_l = {column}_r", "same"),
            _level(f"jaro_winkler_similarity({column}_l, {column}_r) >= 0.88", "similar"),
            _ELSE,
        ],
    }


def _other_number(column: str) -> dict[str, Any]:
    """Grades of agreement of a number that may belong to more than one person."""
    return {
        "output_column_name": column,
        "comparison_levels": [
            _null(f"{column}_l is null or {column}_r is null"),
            _level(f"{column}_l = {column}_r", "same"),
            _level(f"damerau_levenshtein({column}_l, {column}_r) <= 1", "one digit off"),
            _ELSE,
        ],
    }


def _holder_comparisons(born: dict[str, float], sex: dict[str, float], newest: int) -> list[dict[str, Any]]:
    """Whom a file without birth date, or without sex, is likely to name, by what the other file tells of a person.

    A meter is seldom a child's, a school place seldom a grandmother's: where a name and an address leave
    a father and a son, this decides.

    Args:
        born: for the sides `l` and `r`, the share of records with a birth date.
        sex: the same for sex.
        newest: year of birth of the youngest: ages are counted from it, so that data, not the clock, decide.
    """
    found = []
    for name, shares in (("age", born), ("sex", sex)):
        silent = [side for side in "lr" if shares[side] < _LEAST_SHARE]
        if len(silent) != 1 or max(shares.values()) < _HOLDER_SHARE:
            continue
        told = "r" if silent == ["l"] else "l"
        if name == "age":
            year = f"birth_year_{told}"
            levels = [_null(f"{year} is null")]
            levels += [
                _level(f"{year} > {newest - age}", f"aged {since} to {age - 1}")
                for since, age in pairwise(_HOLDER_AGES)
            ]
            levels.append(_level("ELSE", f"aged {_HOLDER_AGES[-1]} or more"))
        else:
            levels = [
                _null(f"sex_{told} is null"),
                _level(f"sex_{told} = 'male'", "a man"),
                _level("ELSE", "a woman"),
            ]
        found.append({"output_column_name": f"{HOLDER}{name}", "comparison_levels": levels})
    return found


_LEAST_SHARE = 0.01
_HOLDER_SHARE = 0.5
_HOLDER_AGES = (0, 6, 12, 16, 18, 20, 23, 26, 30, 35, 45, 55, 65, 75)

# What a comparison needs non-null on both sides to be of use
_EVIDENCE = {part: (f"{part}_skeleton",) for part in NAME_PARTS} | {
    "middle": ("middle",),
    "birth_date": ("birth_digits",),
    "sex": ("sex",),
    "national_number": ("national_number",),
    "birth_place": ("birth_place",),
    "place": ("district", "region"),
    "address": ("address",),
    "phone": ("phone",),
    "postal_code": ("postal_code",),
    "email": ("email",),
} | {
    f"{meaning}_{n}": (f"{meaning}_{n}",)
    for meaning in ("locality", "attribute", "other_number")
    for n in range(1, fields.MOST + 1)
}  # fmt: skip


def usable_comparisons(connection: duckdb.DuckDBPyConnection, left: str, right: str) -> list[dict[str, Any]]:
    """The comparisons for which both standardised tables hold evidence in at least 1% of their rows."""
    columns = sorted({column for needed in _EVIDENCE.values() for column in needed})

    def filled(table: str) -> dict[str, float]:
        present = columns_of(connection, table)
        shares = ", ".join(
            f"count({column}) / greatest(count(*), 1)" if column in present else "0.0" for column in columns
        )
        row = connection.execute(f"select {shares} from {table}").fetchall()[0]
        return dict(zip(columns, row, strict=True))

    shares = filled(left), filled(right)
    found = [
        comparison
        for name, comparison in _comparisons().items()
        if any(all(side[column] >= _LEAST_SHARE for side in shares) for column in _EVIDENCE[name])
    ]
    born, sex = ({"l": shares[0][column], "r": shares[1][column]} for column in ("birth_digits", "sex"))
    newest = connection.execute(
        f"""select max(year)::int from (select quantile_disc(birth_year, 0.999) as year from {left}
            union all select quantile_disc(birth_year, 0.999) from {right})"""
    ).fetchall()[0][0]
    return found + _holder_comparisons(born, sex, newest or 0)


def columns_of(connection: duckdb.DuckDBPyConnection, table: str) -> set[str]:
    """Names of a table's columns."""
    return {row[0] for row in connection.execute(f"describe {table}").fetchall()}


@dataclass(frozen=True)
class BlockingRule:
    """Pairs that agree on all of `keys` are compared: (left expression, right expression) each."""

    keys: tuple[tuple[str, str], ...]

    @classmethod
    def on(cls, *columns: str) -> BlockingRule:
        """Agreement on the same columns of both sides."""
        return cls(tuple((column, column) for column in columns))

    @property
    def columns(self) -> set[str]:
        """Columns that the rule needs."""
        return {side.partition("[")[0] for key in self.keys for side in key}

    @property
    def sql(self) -> str:
        """As Splink takes it."""
        return " and ".join(f"l.{left} = r.{right}" for left, right in self.keys)

    def count(self, connection: duckdb.DuckDBPyConnection, left: str, right: str) -> int:
        """Number of pairs between two tables that the rule brings together."""
        hashed = [", ".join(key[side] for key in self.keys) for side in (0, 1)]
        filled = [" and ".join(f"{key[side]} is not null" for key in self.keys) for side in (0, 1)]
        # by hash, as two keys of one hash are rarer than a count needs to know; only one side is grouped
        row = connection.execute(
            f"""with grouped as (
                select hash({hashed[0]}) as k, count(*)::hugeint as n from {left} where {filled[0]} group by k
            )
            select coalesce(sum(n), 0)::bigint from (select hash({hashed[1]}) as k from {right} where {filled[1]})
            join grouped using (k)"""
        ).fetchall()
        return int(row[0][0])


_SWAP_KEYS = (("given_skeleton", "family_skeleton"), ("family_skeleton", "given_skeleton"))

# From the most to the least selective; the budget drops from the end
BLOCKING_RULES = (
    BlockingRule.on("national_number"),
    BlockingRule.on("birth_date", "given_skeleton"),
    BlockingRule.on("birth_date", "family_skeleton"),
    BlockingRule.on("given_skeleton", "father_skeleton", "family_skeleton"),
    BlockingRule.on("given_skeleton", "family_skeleton", "birth_year"),
    BlockingRule.on("given_skeleton", "family_skeleton", "birth_day"),
    BlockingRule((*_SWAP_KEYS, ("birth_year", "birth_year"))),
    BlockingRule.on("given_skeleton", "family_skeleton", "district"),
    BlockingRule.on("phone"),
    BlockingRule.on("given_skeleton", "address"),
    BlockingRule.on("birth_date", "sex"),
    BlockingRule.on("birth_date"),
    BlockingRule.on("given_skeleton", "family_skeleton"),
    BlockingRule(_SWAP_KEYS),
    BlockingRule.on("given_skeleton", "mother_skeleton", "birth_year"),
    BlockingRule.on("family_skeleton", "father_skeleton", "birth_year"),
    BlockingRule.on("given_skeleton", "father_skeleton", "grandfather_skeleton"),
    BlockingRule.on("district", "street", "house"),
    BlockingRule.on("address"),
    BlockingRule.on("given_skeleton", "district"),
    BlockingRule.on("family_skeleton", "district"),
    BlockingRule.on("given_skeleton", "birth_year", "birth_day[1:2]"),
    BlockingRule.on("family_skeleton", "birth_year", "birth_day[1:2]"),
    BlockingRule.on("family_skeleton", "middle", "given_skeleton[1]"),
    BlockingRule.on("email"),
    *(BlockingRule.on(f"other_number_{n}") for n in range(1, fields.MOST + 1)),
    BlockingRule.on("given_skeleton", "postal_code"),
    BlockingRule.on("family_skeleton", "postal_code"),
    BlockingRule.on("postal_code", "birth_year"),
    BlockingRule.on("given_skeleton", "locality_1"),
    BlockingRule.on("family_skeleton", "locality_1"),
    BlockingRule.on("given_skeleton", "birth_place", "birth_year"),
    BlockingRule.on("family_skeleton", "birth_place", "birth_year"),
    BlockingRule.on("birth_digits[3:8]", "given_skeleton[1]"),
    BlockingRule.on("birth_digits[3:8]", "family_skeleton[1]"),
    BlockingRule.on("given_skeleton", "family_skeleton[1:2]", "sex"),
    BlockingRule.on("family_skeleton", "given_skeleton[1:2]"),
    BlockingRule.on("given_skeleton", "birth_year"),
    BlockingRule.on("family_skeleton", "birth_year"),
    BlockingRule.on("birth_digits[1:6]", "given_skeleton[1]"),
    BlockingRule.on("birth_digits[1:6]", "family_skeleton[1]"),
    BlockingRule.on("birth_day", "given_skeleton[1:2]"),
    BlockingRule.on("birth_day", "family_skeleton[1:2]"),
    BlockingRule.on("given_skeleton[1:2]", "family_skeleton[1:2]", "birth_year"),
    BlockingRule.on("given_skeleton", "attribute_1"),
    BlockingRule.on("family_skeleton", "attribute_1"),
    BlockingRule.on("postal_code", "birth_place"),
    BlockingRule.on("birth_place", "birth_year", "attribute_1"),
)

COMPARISONS_PER_RECORD = {"with_birth_date": 6, "name_only": 25}
"""Budget: pairs compared, on average, for an identity of a profile (and never less than 100,000 in all).

Names alone need more: at 8, a simulated register of 208,000 people lost a sixth of its electricity meters.
"""

# Most rules bring together many times what the budget affords: one pair in 64 tells, where there are many;
# one row in 8 of either side
_SAMPLED_FROM = 200_000
_PART = 8
_SEEN = 1_000


def affordable_rules(
    connection: duckdb.DuckDBPyConnection,
    left: str,
    right: str,
    profile: str,
    *,
    least_budget: int = 100_000,
    budget: int | None = None,
) -> dict[BlockingRule, int]:
    """The blocking rules whose pairs, counted before any is made, fit the budget together; their pairs."""
    row = connection.execute(f"select count(*) from {left}").fetchall()
    n_left = int(row[0][0])
    if budget is None:
        budget = max(least_budget, COMPARISONS_PER_RECORD[profile] * n_left)
    kept: dict[BlockingRule, int] = {}
    present = columns_of(connection, left) & columns_of(connection, right)
    possible = [rule for rule in BLOCKING_RULES if rule.columns <= present]
    is_sampled = n_left >= _SAMPLED_FROM
    if is_sampled:
        columns = ", ".join(sorted(set().union(*(rule.columns for rule in possible))))
        for name, table in (("sampled_left", left), ("sampled_right", right)):
            connection.execute(
                f"create or replace temp table {name} as select {columns} from {table} where record_id % {_PART} = 0"
            )
    for rule in possible:
        # a rule on fewer keys brings every pair of a rule on these and more
        narrower = [other for other in kept if set(rule.keys) < set(other.keys)]
        left_over = budget - sum(n for other, n in kept.items() if other not in narrower)
        if is_sampled:
            some = rule.count(connection, "sampled_left", "sampled_right")
            # far too many, and seen often enough to be sure of it
            if some * _PART**2 > 2 * left_over and some >= _SEEN:
                continue
        pairs = rule.count(connection, left, right)
        if 0 < pairs <= left_over:
            kept = {other: n for other, n in kept.items() if other not in narrower} | {rule: pairs}
    if is_sampled:
        connection.execute("drop table sampled_left; drop table sampled_right")
    return kept


def columns_used(profiles: Iterable[Profile], rules: Iterable[BlockingRule]) -> set[str]:
    """The standardised columns that comparisons and blocking rules speak of, `record_id` among them."""
    words = {
        word
        for profile in profiles
        for word in re.findall(r"\w+", json.dumps(profile.comparisons, ensure_ascii=False))
    }
    told = words | {word.removesuffix("_l").removesuffix("_r") for word in words}
    return told.union({"record_id"}, *(rule.columns for rule in rules))


def settings(
    comparisons: list[dict[str, Any]], rules: Iterable[BlockingRule], *, dedupe: bool = False
) -> dict[str, Any]:
    """Splink settings for linking two standardised tables, or one to itself."""
    return {
        "link_type": "dedupe_only" if dedupe else "link_only",
        "sql_dialect": "duckdb",
        "unique_id_column_name": "record_id",
        "comparisons": comparisons,
        "blocking_rules_to_generate_predictions": [
            {"blocking_rule": rule.sql, "sql_dialect": "duckdb"} for rule in rules
        ],
        "retain_matching_columns": False,
        "retain_intermediate_calculation_columns": False,
        "max_iterations": 50,
        "em_convergence": 0.0005,
    }


@dataclass(frozen=True)
class Profile:
    """What was learnt for the sources of one profile.

    Attributes:
        comparisons: Splink comparisons with their m and u probabilities.
        match_rate: share of source records whose person is in the spine.
        link_probability: posterior probability from which a best pair is a link.
        review_probability: the same for clerical review.
        intercept: bits added to every pair, where weights were learnt against rivals.
    """

    comparisons: list[dict[str, Any]]
    match_rate: float
    link_probability: float
    review_probability: float
    intercept: float = 0.0

    def prior(self, n_spine: int) -> float:
        """Probability that a pair at random is one person, for a register of `n_spine` people.

        As odds against the possibility that the record's person is not in the register, which counts 1 in
        `linkage.resolve.best_pairs`: training puts what that takes into the intercept.
        """
        odds = float(self.match_rate / n_spine * 2.0**self.intercept)
        return min(0.5, odds / (1 + odds))


@dataclass(frozen=True)
class Model:
    """A trained model file.

    Attributes:
        profiles: by name; a model may lack a profile that its training data did not have.
        sha256: of the file's bytes.
    """

    profiles: dict[str, Profile]
    sha256: str
    path: Path

    @classmethod
    def load(cls, path: Path) -> Model:
        """Read a model file.

        Raises:
            LinkageError: not a model file, or of another format version.
        """
        content = path.read_bytes()
        try:
            data = json.loads(content)
            if data["format_version"] != FORMAT_VERSION:
                raise LinkageError(
                    f"{path} has model format {data['format_version']}.",
                    expected=f"format {FORMAT_VERSION}",
                    action="train the model again: sijill train",
                )
            profiles = {name: Profile(**profile) for name, profile in data["profiles"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise LinkageError(
                f"{path} is not a linkage model.",
                expected="a file that `sijill train` wrote",
                action="restore the file, or train the model again",
            ) from error
        return cls(profiles, hashlib.sha256(content).hexdigest(), path)


def version(path: Path) -> int:
    """Version number of a model file, `person_v<n>.json`."""
    return int(path.stem.rpartition("_v")[2])


def latest(folder: Path) -> Path | None:
    """The model file of the highest version in a folder, if there is one."""
    return max((p for p in folder.glob("person_v*.json") if p.stem[8:].isdigit()), key=version, default=None)


def fill_untrained(comparisons: list[dict[str, Any]]) -> list[str]:
    """Give levels that training could not see a cautious weight; their names are returned.

    A level without m or u takes a Bayes factor interpolated by its place, between its neighbours' kinds:
    full agreement counts for, disagreement against, so that no level is silently certain.
    """
    untrained = []
    for comparison in comparisons:
        graded = [level for level in comparison["comparison_levels"] if not level.get("is_null_level")]
        last = len(graded) - 1
        for place, level in enumerate(graded):
            if level.get("m_probability") is not None and level.get("u_probability") is not None:
                continue
            untrained.append(f"{comparison['output_column_name']}: {level['label_for_charts']}")
            weight = 4.0 - 8.0 * place / last
            u = level.get("u_probability") or (1e-3 if place < last else 0.5)
            level["u_probability"] = u
            level["m_probability"] = min(0.95, u * 2.0**weight)
    return untrained
