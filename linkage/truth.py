"""Links measured against a truth: precision, recall and whether a probability means what it says.

What belongs here: figures for one set of links. What does not: linking; nothing here is read by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from linkage import tables
from linkage.matching import Matching
from linkage.model import LinkageError

EDGES = (0.0, 0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.99, 0.995, 0.999, 1.0)
"""Edges of the classes of stated probability in a reliability table."""


@dataclass(frozen=True)
class Reliability:
    """Links against a truth.

    Attributes:
        true_pairs: pairs of records that are one person.
        links, right: pairs in the link band, and those of them that are right.
        recall_at_995: share of the true pairs above the lowest probability at which precision is 0.995.
        cluster_precision, cluster_recall: of the pairs within clusters, for deduplication; else nan.
        classes: of stated probability: from, to, pairs, mean stated, share observed.
    """

    true_pairs: int
    links: int
    right: int
    recall_at_995: float
    cluster_precision: float
    cluster_recall: float
    classes: tuple[tuple[float, float, int, float, float], ...]

    @property
    def precision(self) -> float:
        """Of the link band; 1 without links."""
        return self.right / self.links if self.links else 1.0

    @property
    def recall(self) -> float:
        """Of the link band; 1 without true pairs."""
        return self.right / self.true_pairs if self.true_pairs else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        total = self.links + self.true_pairs
        return 2 * self.right / total if total else 1.0

    @property
    def cluster_f1(self) -> float:
        """The same of pairs within clusters."""
        total = self.cluster_precision + self.cluster_recall
        return 2 * self.cluster_precision * self.cluster_recall / total if total else 0.0

    @property
    def gap(self) -> float:
        """Mean distance of the stated from the observed probability, classes weighted by their pairs."""
        n = sum(c[2] for c in self.classes)
        return sum(c[2] * abs(c[3] - c[4]) for c in self.classes) / n if n else 0.0


def read_truth(path: Path) -> pa.Table:
    """The truth of a file with `key`, `person` and, where two files were linked, `side` (left or right).

    Raises:
        LinkageError: no such file, or columns missing.
    """
    connection = duckdb.connect()
    loaded = tables.load(connection, path, "truth_file", ("key", "person", "side"))
    names = {tables.spelled(name): f'"{name}"' for name in loaded.types}
    if missing := sorted({"key", "person"} - names.keys()):
        raise LinkageError(
            f"{path.name} lacks the columns {', '.join(missing)}.",
            expected="key (as in the linked file), person (the same for records of one person) and, for two files,"
            " side (left or right)",
            action="name its columns so",
        )
    side = f"lower({names['side']}::text)" if "side" in names else "'left'"
    return connection.sql(
        f"""select {side} as side, {names["key"]}::text as key, {names["person"]}::text as person
        from truth_file where {names["person"]} is not null"""
    ).to_arrow_table()


def reliability(found: Matching, truth: pa.Table) -> Reliability:
    """Measure `found` by `truth` (side, key, person); a truth without right side serves both."""
    connection = duckdb.connect()
    connection.register("links", found.all_pairs)
    connection.register("truth", truth)
    dedupe = found.clusters is not None
    right = "left" if dedupe or "right" not in set(truth["side"].to_pylist()) else "right"
    connection.execute(
        f"""create temp table judged as
        select match_probability as p, band = 'link' as is_link, coalesce(a.person = b.person, false) as is_right
        from links as k left join truth as a on a.key = k.left_key::text and a.side = 'left'
        left join truth as b on b.key = k.right_key::text and b.side = '{right}'"""
    )
    if dedupe:
        total = (
            "select coalesce(sum(n * (n - 1) / 2), 0) from (select count(*) as n from truth group by person)"
        )
    else:
        total = f"""select count(*) from truth as a join truth as b using (person)
            where a.side = 'left' and b.side = '{right}'"""
    true_pairs = int(connection.execute(total).fetchall()[0][0])
    links, correct = connection.execute(
        "select count(*) filter (where is_link), count(*) filter (where is_link and is_right) from judged"
    ).fetchall()[0]
    data = connection.execute("select p, is_right from judged order by p desc").fetchnumpy()
    p, y = np.asarray(data["p"], dtype=np.float64), np.asarray(data["is_right"], dtype=np.float64)
    cluster_precision = cluster_recall = float("nan")
    if found.clusters is not None:
        connection.register("clusters", found.clusters)
        together, within = connection.execute(
            """with c as (select cluster_id, person from clusters as c join truth as t on t.key = c.key::text)
            select
                (select coalesce(sum(n * (n - 1) / 2), 0) from (
                    select count(*) as n from c group by cluster_id, person)),
                (select coalesce(sum(n * (n - 1) / 2), 0) from (select count(*) as n from c group by cluster_id))"""
        ).fetchall()[0]
        cluster_precision = float(together) / float(within) if within else 1.0
        cluster_recall = float(together) / true_pairs if true_pairs else 1.0
    return Reliability(
        true_pairs, int(links), int(correct), _recall_at(p, y, true_pairs, 0.995), cluster_precision,
        cluster_recall, _classes(p, y),
    )  # fmt: skip


def _recall_at(p: NDArray[np.float64], y: NDArray[np.float64], true_pairs: int, precision: float) -> float:
    if not len(p) or not true_pairs:
        return 0.0
    right = np.cumsum(y)
    is_last = np.append(p[1:] != p[:-1], True)
    reached = np.flatnonzero((right / np.arange(1, len(p) + 1) >= precision) & is_last)
    return float(right[reached[-1]] / true_pairs) if len(reached) else 0.0


def _classes(
    p: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[tuple[float, float, int, float, float], ...]:
    place = np.clip(np.searchsorted(EDGES, p, side="right") - 1, 0, len(EDGES) - 2)
    found = []
    for k in range(len(EDGES) - 1):
        inside = place == k
        if inside.any():
            n = int(inside.sum())
            found.append((EDGES[k], EDGES[k + 1], n, float(p[inside].mean()), float(y[inside].mean())))
    return tuple(found)


def show_truth(console: Console, found: Matching, truth: pa.Table) -> None:
    """Print the figures by `truth` (from `read_truth`) and the reliability table."""
    measured = reliability(found, truth)
    table = Table(title="Against the truth", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("true pairs", f"{measured.true_pairs:,}")
    table.add_row("precision of the links", f"{measured.precision:.4f}")
    table.add_row("recall of the links", f"{measured.recall:.4f}")
    table.add_row("F1 of the links", f"{measured.f1:.4f}")
    table.add_row("recall at precision 0.995", f"{measured.recall_at_995:.4f}")
    if found.clusters is not None:
        table.add_row("F1 of the clusters", f"{measured.cluster_f1:.4f}")
    table.add_row("mean gap, stated to observed", f"{measured.gap:.4f}")
    console.print(table)
    classes = Table("stated", "pairs", "mean stated", "observed", title="Reliability", title_justify="left")
    for low, high, n, stated, observed in measured.classes:
        classes.add_row(f"{low:g} to {high:g}", f"{n:,}", f"{stated:.4f}", f"{observed:.4f}")
    console.print(classes)
