"""The check of an identifier's digits as arithmetic: a regular expression took more than a microsecond a row.

It accepts what it did before: a number of twelve digits that leaves 1 when divided by 97.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

NAME = "social_id_has_check_digits"
ARITHMETIC = (
    "lpad(social_id::bigint::text, 12, '0') = social_id and social_id::bigint between 0 and 999999999999"
    " and social_id::bigint % 97 = 1"
)
PATTERN = "social_id ~ '^[0-9]{12}$' and social_id::bigint % 97 = 1"


def _replace(condition: str) -> None:
    op.drop_constraint(NAME, "social_id", schema="identity")
    op.create_check_constraint(NAME, "social_id", condition, schema="identity")


def upgrade() -> None:
    """Check by arithmetic; the identifiers there are checked again."""
    _replace(ARITHMETIC)


def downgrade() -> None:
    """Check by a regular expression."""
    _replace(PATTERN)
