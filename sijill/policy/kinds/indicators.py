"""`indicators.csv`: facts that a scorecard reads, as SQL.

`of` says whose columns the expression reads: `household` (the default), or `members`, whose expression makes one value
of a household's people, such as `count(*) filter (where age_years < 5)`. A null takes `default`, or stays unknown.
"""

from __future__ import annotations

from sijill.policy.checking import Checks
from sijill.policy.expressions import SAFE_TYPES
from sijill.policy.kinds.base import Kind
from sijill.policy.rows import Row

# `constant` is the intercept of a proxy means test.
RESERVED = ("constant", "household_id", "members", "indicator_row")
# A column cannot have these names without quotes (PostgreSQL 18, appendix C, the reserved ones).
_KEYWORDS = frozenset(
    """all analyse analyze and any array as asc asymmetric authorization between binary both case cast check collate
    collation column concurrently constraint create cross current_catalog current_date current_role current_schema
    current_time current_timestamp current_user default deferrable desc distinct do else end except false fetch for
    foreign freeze from full grant group having ilike in initially inner intersect into is isnull join lateral leading
    left like limit localtime localtimestamp natural not notnull null offset on only or order outer overlaps placing
    primary references returning right select session_user similar some symmetric system_user table tablesample then to
    trailing true union unique user using variadic verbose when where window with""".split()  # noqa: SIM905
)


def _check(checks: Checks, row: Row) -> None:
    checks.name(row, "indicator")
    name = row.values["indicator"]
    if name in RESERVED or name in _KEYWORDS or "." in name:
        checks.problem(
            row,
            f"indicator '{name}': that is a word of SQL or of the engine, or holds a dot; name it otherwise",
        )
    checks.one_of(row, "type", SAFE_TYPES)
    checks.one_of(row, "of", ("household", "members"))
    if row.values["of"] == "members" and checks.files is not None and not checks.files.members:
        checks.problem(
            row, f"{row.values['indicator']} is made of members, and no members' file is given (--members)"
        )
    elif row.values["of"] == "members":
        checks.sql(row, "expression", checks.member_columns, checks.whole_parameters, of_members=True)
    else:
        checks.sql(row, "expression", checks.household_columns, checks.whole_parameters)
    if row.values["default"]:
        checks.sql(row, "default", set(), set())


def _check_all(checks: Checks) -> None:
    known = {row.values["indicator"] for row in checks.tables["indicators"]}
    for name, card in checks.settings.scorecards.items():
        for indicator in card.context:
            if indicator not in known:
                checks.problems.append(
                    f"programme.yaml: the scorecard {name} reads an unknown indicator {indicator}"
                )


KIND = Kind(
    name="indicators",
    file="indicators.csv",
    columns=("indicator", "of", "expression", "type", "default", "description"),
    key=("indicator",),
    optional=("default", "description"),
    defaults=(("of", "household"), ("default", ""), ("description", "")),
    expressions=("expression", "default"),
    check=_check,
    check_all=_check_all,
    not_for_dbt=("source", "standing", "description"),
)
