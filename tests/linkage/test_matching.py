"""Files linked from a spec alone: FEBRL 4, and small registers made here, of known truth."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from linkage.clusters import cluster
from linkage.files import read_files
from linkage.matching import Matching, match_files
from linkage.model import LinkageError
from linkage.people import connect
from linkage.spec import Spec
from linkage.truth import reliability

FEBRL = Path(__file__).parent / "data" / "febrl4.csv"
SPEC = {
    "key": "rec_id", "given_name": "given_name", "family_name": "surname", "birth_date": "date_of_birth",
    "house_number": "street_number", "street": "address_1", "locality": "suburb", "postal_code": "postcode",
    "region": "state",
}  # fmt: skip


@dataclass(frozen=True)
class Febrl:
    a: Path
    b: Path
    both: Path
    truth: pa.Table


@pytest.fixture(scope="module")
def febrl(tmp_path_factory: pytest.TempPathFactory) -> Febrl:
    folder = tmp_path_factory.mktemp("febrl")
    rows = f"read_csv('{FEBRL}', all_varchar = true)"
    for side in "ab":
        duckdb.execute(
            f"copy (select * exclude (side) from {rows} where side = '{side}') to '{folder}/{side}.csv'"
        )
    duckdb.execute(f"copy (select * exclude (side) from {rows}) to '{folder}/both.parquet'")
    truth = duckdb.sql(
        f"""select case side when 'a' then 'left' else 'right' end as side, rec_id as key,
        regexp_extract(rec_id, '[0-9]+') as person from {rows}"""
    ).to_arrow_table()
    return Febrl(folder / "a.csv", folder / "b.csv", folder / "both.parquet", truth)


@pytest.fixture(scope="module")
def linked(febrl: Febrl) -> Matching:
    return match_files(Spec.parse(SPEC), febrl.a, febrl.b)


def test_two_files_link_with_the_precision_that_is_stated(febrl: Febrl, linked: Matching) -> None:
    measured = reliability(linked, febrl.truth)
    assert measured.precision >= 0.999
    assert measured.recall >= 0.98
    assert measured.gap <= 0.02


def test_what_is_expected_of_links_is_near_what_is_so(febrl: Febrl, linked: Matching) -> None:
    measured = reliability(linked, febrl.truth)
    assert abs(linked.expected_wrong - (measured.links - measured.right)) <= 0.005 * measured.links
    missed = measured.true_pairs - measured.right
    assert abs(linked.expected_missed - missed) <= 0.01 * measured.true_pairs


def test_the_order_of_rows_changes_nothing(febrl: Febrl, linked: Matching, tmp_path: Path) -> None:
    duckdb.execute(f"copy (from '{febrl.a}' order by hash(rec_id)) to '{tmp_path}/a.csv'")
    again = match_files(Spec.parse(SPEC), tmp_path / "a.csv", febrl.b)
    assert again.links.equals(linked.links)


def test_duplicates_are_found_and_clustered(febrl: Febrl) -> None:
    found = match_files(Spec.parse(SPEC), febrl.both)
    measured = reliability(found, febrl.truth.set_column(0, "side", pa.array(["left"] * len(febrl.truth))))
    assert found.clusters is not None
    assert len(found.clusters) == found.records[0] == len(febrl.truth)
    assert 0.985 <= measured.cluster_f1 <= 1
    assert measured.precision >= 0.999


def test_a_file_without_a_key_of_its_own_is_refused(febrl: Febrl) -> None:
    with pytest.raises(LinkageError, match="the key state"):
        match_files(Spec.parse(SPEC | {"key": "state"}), febrl.a, febrl.b)


def test_columns_that_no_file_has_are_all_named(febrl: Febrl) -> None:
    with pytest.raises(LinkageError, match=r"mobile \(phone\).*shoe_size \(attribute\)|shoe_size.*mobile"):
        match_files(Spec.parse(SPEC | {"phone": "mobile", "attribute": "shoe_size"}), febrl.a, febrl.b)


def test_a_column_that_one_file_lacks_is_a_note(febrl: Febrl, tmp_path: Path) -> None:
    duckdb.execute(f"copy (select * exclude (state) from '{febrl.b}') to '{tmp_path}/b.csv'")
    read = read_files(connect(), Spec.parse(SPEC), febrl.a, tmp_path / "b.csv")
    assert any("no column state" in note for note in read.notes)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (["1990-12-31", "1980-02-03"], ["19901231", "19800203"]),
        (["31/12/1990", "03/02/1980"], ["19901231", "19800203"]),
        (["12/31/1990", "02/03/1980"], ["19901231", "19800203"]),
        (["19901231", "19800203"], ["19901231", "19800203"]),
        (["31121990", "03021980"], ["19901231", "19800203"]),
        (["12311990", "02031980"], ["19901231", "19800203"]),
        (["31 décembre 1990", "3 février 1980"], ["19901231", "19800203"]),
        (["٣١/١٢/١٩٩٠", "٠٣/٠٢/١٩٨٠"], ["19901231", "19800203"]),
        (["1990-12-31 00:00:00", "1980-02-03T10:00:00Z"], ["19901231", "19800203"]),
        (["1990", "1980"], ["19900000", "19800000"]),
        (["31-Dec-1990", "3-Feb-1980"], ["19901231", "19800203"]),
    ],
)
def test_dates_are_read_in_every_style(written: list[str], read: list[str], tmp_path: Path) -> None:
    pq.write_table(pa.table({"k": ["1", "2"], "d": written}), tmp_path / "dates.parquet")
    connection = connect()
    read_files(connection, Spec.parse({"key": "k", "dob": "d"}), tmp_path / "dates.parquet")
    rows = connection.execute(
        "select birth_text from canonical_left join key_left using (record_id) order by key"
    )
    assert [row[0] for row in rows.fetchall()] == read


def test_an_impossible_date_keeps_its_digits(tmp_path: Path) -> None:
    pq.write_table(pa.table({"k": ["1", "2"], "d": ["1990-02-31", "1990-02-11"]}), tmp_path / "d.parquet")
    connection = connect()
    read_files(connection, Spec.parse({"key": "k", "dob": "d"}), tmp_path / "d.parquet")
    rows = connection.execute(
        "select birth_date is null, birth_digits from people_left order by birth_digits"
    )
    assert rows.fetchall() == [(False, "19900211"), (True, "19900231")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1256"])
def test_csv_is_read_in_the_encodings_that_offices_write(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_bytes("k,n\n1,محمد الطرابلسي\n2,فاطمة بن علي\n".encode(encoding))
    connection = connect()
    read_files(connection, Spec.parse({"key": "k", "full_name": "n"}), tmp_path / "r.csv")
    rows = connection.execute("select given_skeleton from people_left where given_ar is not null").fetchall()
    assert sorted(row[0] for row in rows) == ["ftm", "mhmd"]


def _families(n: int, seed: int) -> tuple[pa.Table, pa.Table]:
    """A register of families at addresses, and a file of some of their members, without birth dates."""
    rng = random.Random(seed)
    letters = "bdfghklmnrst"
    names = ["".join(rng.choice(letters) + rng.choice("aeiou") for _ in range(3)) for _ in range(400)]
    register, sent = [], []
    for home in range(n):
        family, street, house = rng.choice(names), rng.choice(names), str(rng.randrange(1, 200))
        for member in rng.sample(names, 4):
            key = f"{home}-{member}"
            register.append((f"r{key}", member, family, f"{house} {street} road"))
            if rng.random() < 0.4:
                given = member if rng.random() > 0.1 else member[:-1] + rng.choice("aeiou")
                sent.append((f"s{key}", given, family, f"{house} {street} road"))
        if rng.random() < 0.5:  # a member whom the register does not know
            sent.append((f"x{home}", rng.choice(names), family, f"{house} {street} road"))
    columns = ["k", "first", "last", "addr"]
    return tuple(
        pa.table(dict(zip(columns, zip(*rows, strict=True), strict=True))) for rows in (sent, register)
    )  # type: ignore[return-value]


def test_a_family_is_not_taken_for_one_person(tmp_path: Path) -> None:
    sent, register = _families(600, 5)
    pq.write_table(sent, tmp_path / "sent.parquet")
    pq.write_table(register, tmp_path / "register.parquet")
    spec = Spec.parse({"key": "k", "first_name": "first", "last_name": "last", "address": "addr"})
    found = match_files(spec, tmp_path / "sent.parquet", tmp_path / "register.parquet")
    keys = [
        (row["left_key"][1:], row["right_key"][1:])
        for row in found.links.to_pylist()
        if row["band"] == "link"
    ]
    present = sum(key.startswith("s") for key in sent["k"].to_pylist())
    right = sum(a == b for a, b in keys)
    assert right / len(keys) >= 0.99
    assert right / present >= 0.85


def test_a_file_that_never_names_children_is_not_linked_to_a_namesake_child(tmp_path: Path) -> None:
    draw = random.Random(4)
    names = [
        "".join(draw.choice("bdfgklmnprstvz") + draw.choice("aeiou") for _ in range(4)) for _ in range(400)
    ]
    register, meters = [], []
    for house in range(400):
        given, family, street = draw.choice(names), draw.choice(names), draw.choice(names)
        address = f"{draw.randint(1, 200)} {street} street"
        has_namesake = house % 10 == 0
        for kind, born in (("child", draw.randint(2008, 2020)), ("adult", draw.randint(1950, 1990))):
            own = given if kind == "adult" or has_namesake else draw.choice(names)
            register.append(
                (f"{house:03} {kind}", own, family, address, f"{born}-03-{draw.randint(1, 28):02}")
            )
        meters.append((f"m{house:03}", given, family, address))
    columns = ["key", "given_name", "family_name", "address", "birth_date"]
    for file, rows in (("register", register), ("meters", meters)):
        values = [pa.array(column) for column in zip(*rows, strict=True)]
        pq.write_table(pa.table(values, names=columns[: len(values)]), tmp_path / f"{file}.parquet")
    spec = Spec.parse(
        {"left": {c: c for c in columns[:4]}, "right": {c: c for c in columns}, "unique": "right"}
    )
    found = match_files(spec, tmp_path / "meters.parquet", tmp_path / "register.parquet")
    links = [row for row in found.links.to_pylist() if row["band"] == "link"]
    assert len(links) >= 390
    assert all(row["right_key"] == f"{row['left_key'][1:]} adult" for row in links)


def test_clusters_join_by_likely_pairs_only_and_are_numbered_in_order() -> None:
    ids = np.array([10, 11, 12, 13], dtype=np.int64)
    labels = cluster(ids, np.array([12, 10]), np.array([13, 11]), np.array([0.9, 0.1]))
    assert labels.tolist() == [0, 1, 2, 2]
