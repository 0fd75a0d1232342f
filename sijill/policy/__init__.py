"""Policy as dated data: a country's policy folder, read, checked and handed to dbt.

What belongs here: reading and validating the folder, its version, and the form in which dbt's macros receive it.
What does not: arithmetic. Scores, decisions and amounts are SQL that `dbt_project/macros` generates from this data.

Every row is in force from `valid_from` to `valid_to`, both days included. Rows with the same key are a series: an empty
`valid_to` ends the day before the next row of the series begins, or never. `docs/policy.md` describes the folder;
`kinds` has one module for each kind of row, and a new kind is a new module named there.
"""

from sijill.policy.columns import household_columns, member_columns
from sijill.policy.errors import PolicyError
from sijill.policy.kinds import KINDS, Kind
from sijill.policy.loader import load_policy
from sijill.policy.pack import Policy
from sijill.policy.rows import STANDINGS, Row
from sijill.policy.settings import Programme, ProgrammeFile, Scorecard, Statuses

__all__ = [
    "KINDS",
    "STANDINGS",
    "Kind",
    "Policy",
    "PolicyError",
    "Programme",
    "ProgrammeFile",
    "Row",
    "Scorecard",
    "Statuses",
    "household_columns",
    "load_policy",
    "member_columns",
]
