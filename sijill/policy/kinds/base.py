"""What a kind of row is: its file, its columns, its key, its checks and its form for dbt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sijill.policy.checking import Checks
from sijill.policy.rows import Row, as_variables


@dataclass(frozen=True)
class Kind:
    """One kind of dated row.

    Attributes:
        name: key in `Policy.tables` and, for dbt, in the variable `policy`.
        file: glob of its files in the folder.
        columns: its columns beside valid_from, valid_to, standing and source.
        key: columns that make a series: its rows follow each other in time without gap or overlap.
        optional: columns whose cell may be empty.
        defaults: columns that the header may leave out, with the text they then have.
        expressions: columns that hold SQL: they are kept as sqlglot prints them.
        required: whether a pack with programmes must have such a file.
        cites_by: columns that stand for `source` (joined by commas) when the file has no such column.
        check: examines one row.
        check_all: examines the kind as a whole, once.
        not_for_dbt: columns that the models never read.
        variables: form for dbt; without it, the rows as plain JSON.
    """

    name: str
    file: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    optional: tuple[str, ...] = ()
    defaults: tuple[tuple[str, str], ...] = ()
    expressions: tuple[str, ...] = ()
    required: bool = True
    cites_by: tuple[str, ...] = ()
    check: Callable[[Checks, Row], None] | None = None
    check_all: Callable[[Checks], None] | None = None
    not_for_dbt: tuple[str, ...] = ("source", "standing")
    variables: Callable[[Sequence[Row]], Any] | None = None

    def for_dbt(self, rows: Sequence[Row]) -> Any:
        """The rows as dbt's macros read them."""
        return self.variables(rows) if self.variables else as_variables(rows, self.not_for_dbt)
