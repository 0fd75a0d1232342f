"""How right linkage is, against a truth that only evaluation reads.

A true pair is a source record whose person the spine holds. Precision is the share of links to the right
person; recall, the share of true pairs that are linked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from linkage.model import LinkageError, Profile
from linkage.people import People, connect
from linkage.predict import predict
from linkage.resolve import best_pairs
from sijill.country import Country
from warehouse import Warehouse

LINK_PRECISION = {"with_birth_date": 0.9995, "name_only": 0.999}
"""Precision that a link must reach where truth chooses the threshold."""
_REVIEW_PRECISION = 0.25  # of the pairs just above the threshold of review


@dataclass(frozen=True)
class Accuracy:
    """Accuracy of one source's links.

    Attributes:
        records: of the source.
        true_pairs: records whose person is in the spine.
        links: records linked.
        right: records linked to the right person.
        in_review: true pairs that a clerk will see.
    """

    source: str
    records: int
    true_pairs: int
    links: int
    right: int
    in_review: int

    @property
    def precision(self) -> float:
        """Share of links that are right; 1 without links."""
        return self.right / self.links if self.links else 1.0

    @property
    def recall(self) -> float:
        """Share of true pairs linked; 1 without true pairs."""
        return self.right / self.true_pairs if self.true_pairs else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        total = self.links + self.true_pairs
        return 2 * self.right / total if total else 1.0


@dataclass(frozen=True)
class Truth:
    """Who is who: `table` with `source`, `source_key` and `person`, by our names of sources."""

    table: pa.Table

    @classmethod
    def read(
        cls,
        file: Path,
        *,
        source_column: str = "source",
        key_column: str = "source_key",
        person_column: str = "person_id",
        sources: Mapping[str, str] | None = None,
    ) -> Truth:
        """Read a CSV or Parquet file.

        Args:
            file: one row a record.
            source_column: column with the source's name.
            key_column: column with the record's key.
            person_column: column that is the same for records of one person.
            sources: our source's name -> its name in the file, where they differ.

        Raises:
            LinkageError: no such file, or columns missing (all are listed).
        """
        if not file.is_file():
            raise LinkageError(
                f"There is no truth file {file}.",
                expected="the file that country.yaml names under `truth`",
                action="simulate the country again, or give the folder of the truth",
            )
        connection = connect()
        connection.execute("set variable file = ?", [str(file)])
        reader = (
            "read_parquet(getvariable('file'))"
            if file.suffix == ".parquet"
            else "read_csv(getvariable('file'), all_varchar = true)"
        )
        present = {row[0] for row in connection.execute(f"describe select * from {reader}").fetchall()}
        missing = sorted({source_column, key_column, person_column} - present)
        if missing:
            raise LinkageError(
                f"The truth file {file.name} lacks the columns {', '.join(missing)}.",
                expected="the columns that country.yaml names under `truth`",
                action="correct country.yaml",
            )
        names = pa.table(
            {"ours": list((sources or {}).keys()), "theirs": list((sources or {}).values())},
            schema=pa.schema([("ours", pa.string()), ("theirs", pa.string())]),
        )
        connection.register("names", names)
        table = connection.sql(
            f"""select coalesce(n.ours, t."{source_column}") as source, t."{key_column}"::text as source_key,
                t."{person_column}"::text as person
            from {reader} as t left join names as n on n.theirs = t."{source_column}"
            where t."{person_column}" is not null"""
        ).to_arrow_table()
        return cls(table)

    @classmethod
    def of(cls, country: Country, folder: Path) -> Truth:
        """The truth that `country.yaml` describes, in `folder`.

        Raises:
            LinkageError: the country has no truth.
        """
        described = country.settings.truth
        if described is None:
            raise LinkageError(
                f"{country.name} has no truth to evaluate against.",
                expected="`truth` in country.yaml",
                action="evaluate on a simulated country",
            )
        return cls.read(
            folder / described.file,
            source_column=described.source_column,
            key_column=described.key_column,
            person_column=described.person_column,
            sources=described.sources,
        )

    def choose_thresholds(self, people: People, name: str, profile: Profile) -> tuple[float, float]:
        """Link and review probability of a profile: the lowest that reach the stated precision.

        The link threshold is where precision, cumulated from the surest pair down, last meets
        `LINK_PRECISION`; never below one half, where a rival could be as likely.
        """
        connection = people.connection
        predict(people, name, profile, "chosen_pair")
        best_pairs(connection, "chosen_pair", "chosen_best")
        connection.register("truth_table", self.table)
        connection.execute(
            """create or replace temp table chosen as
            select b.match_probability as p, t.person = s.person as is_right
            from record as r
            join chosen_best as b using (record_id)
            join spine_key as k on k.record_id = b.spine_id
            join truth_table as t on t.source = r.source and t.source_key = r.source_key
            left join truth_table as s on s.source = getvariable('spine') and s.source_key = k.source_key"""
        )
        connection.unregister("truth_table")
        row = connection.execute(
            f"""with cumulated as (
                select p, sum(sum(coalesce(is_right, false)::int)) over (order by p desc)
                    / sum(count(*)) over (order by p desc) as precision
                from chosen group by p
            )
            select min(p) filter (where precision >= {LINK_PRECISION[name]}) from cumulated where p >= 0.5"""
        ).fetchall()[0]
        link = float(row[0]) if row[0] is not None else 0.999
        # one step inside, so that the choice does not hang on a single pair
        link = min(0.999, round(max(0.5, link) + 0.02 * (1 - link), 4))
        return link, min(link, _REVIEW_PRECISION)


def accuracy(crosswalk: pa.Table, truth: Truth, spine: str) -> list[Accuracy]:
    """Accuracy by source of `crosswalk` (source, source_key, spine_key, band), sources by name."""
    connection = connect()
    connection.register("crosswalk", crosswalk)
    connection.register("truth", truth.table)
    connection.execute("set variable spine = ?", [spine])
    rows = connection.execute(
        """with held as (
            select c.source_key, t.person from crosswalk as c
            join truth as t on t.source = c.source and t.source_key = c.source_key
            where c.source = getvariable('spine')
        ),
        judged as (
            select c.source, c.band, t.person in (select person from held) as is_true_pair,
                coalesce(h.person = t.person, false) as is_right
            from crosswalk as c
            join truth as t on t.source = c.source and t.source_key = c.source_key
            left join held as h on h.source_key = c.spine_key
            where c.source <> getvariable('spine')
        )
        select source, count(*), count(*) filter (where is_true_pair), count(*) filter (where band = 'link'),
            count(*) filter (where band = 'link' and is_right),
            count(*) filter (where band = 'review' and is_true_pair)
        from judged group by source order by source"""
    ).fetchall()
    return [Accuracy(*row) for row in rows]


def evaluate(warehouse: Warehouse, truth: Truth, spine: str) -> list[Accuracy]:
    """Accuracy by source of the crosswalk in the warehouse."""
    crosswalk = warehouse.read("select source, source_key, spine_key, band from identity.person_crosswalk")
    return accuracy(crosswalk, truth, spine)
