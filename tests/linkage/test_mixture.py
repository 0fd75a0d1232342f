"""Relatives, whole names and rare names: what a pair says beside how many fields agree."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from linkage.chains import cut_by_each_other, cut_by_vocabulary
from linkage.learning import Field, Sample, fit_classes, level_sql, mixture_score
from linkage.matching import match_files
from linkage.mixture import count_consonants
from linkage.model import usable_comparisons
from linkage.people import connect
from linkage.spec import Spec
from linkage.standardise import NAME_PARTS
from linkage.truth import reliability


def _names(rng: random.Random, n: int) -> list[str]:
    letters = "bdfghklmnrst"
    return ["".join(rng.choice(letters) + rng.choice("aeiou") for _ in range(3)) for _ in range(n)]


_ARABIC = str.maketrans("bdfghklmnrstaiou", "بدفقهكلمنرستايوو", "e")


def _surveyed(homes: int, seed: int, *, second_in_arabic: bool = False) -> tuple[pa.Table, pa.Table]:
    """Households of brothers and sisters, a fifth surveyed twice (half of these in two scripts), and who is who."""
    rng = random.Random(seed)
    names = _names(rng, 300)
    rows, truth = [], []
    for home in range(homes):
        family, father, mother, town = (rng.choice(names) for _ in range(4))
        for member, given in enumerate(rng.sample(names, 4)):
            born = f"{rng.randrange(1960, 2020)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"
            for visit in range(1 + (home % 5 == 0)):
                key = f"{home}-{member}-{visit}"
                said = given if rng.random() > 0.1 else given[:-1] + rng.choice("aeiou")
                told = [said, father, mother, family]
                if visit and second_in_arabic and home % 10:
                    told = [name.translate(_ARABIC) for name in told]
                rows.append((key, f"{home}-{visit}", *told, born if rng.random() > 0.05 else None, town))
                truth.append((key, f"{home}-{member}"))
    columns = ["k", "home", "given", "father", "mother", "family", "born", "town"]
    people = pa.table(dict(zip(columns, zip(*rows, strict=True), strict=True)))
    keys, persons = zip(*truth, strict=True)
    return people, pa.table({"side": ["left"] * len(keys), "key": keys, "person": persons})


def test_brothers_and_sisters_are_not_taken_for_one_person_where_no_household_is_told(tmp_path: Path) -> None:
    people, truth = _surveyed(300, 3)
    pq.write_table(people, tmp_path / "people.parquet")
    spec = {"key": "k", "given_name": "given", "father": "father", "mother": "mother", "family_name": "family",
            "birth_date": "born", "city": "town"}  # fmt: skip
    measured = reliability(match_files(Spec.parse(spec), tmp_path / "people.parquet"), truth)
    # taken for one person, brothers and sisters would be four of five links
    assert measured.precision >= 0.98
    assert measured.recall >= 0.9
    assert measured.gap <= 0.02
    assert measured.cluster_f1 >= 0.98


def test_a_household_visited_again_is_found_where_the_second_visit_is_in_the_other_script(
    tmp_path: Path,
) -> None:
    people, truth = _surveyed(600, 3, second_in_arabic=True)
    pq.write_table(people, tmp_path / "people.parquet")
    spec = {"key": "k", "given_name": "given", "father": "father", "mother": "mother", "family_name": "family",
            "birth_date": "born", "city": "town", "household_key": "home"}  # fmt: skip
    measured = reliability(match_files(Spec.parse(spec), tmp_path / "people.parquet"), truth)
    assert measured.precision >= 0.99
    assert measured.recall >= 0.95
    assert measured.gap <= 0.02


def _sample(levels: list[tuple[int, int, int]], fields: list[Field]) -> Sample:
    """Pairs of a deduplication, each record with one other."""
    array = np.array(levels, dtype=np.int8)
    n = len(array)
    nothing = np.zeros((n, len(fields)))
    ids = np.arange(n, dtype=np.int64)
    random_pairs = [np.array([9_900.0] + [100.0 / (f.n_levels - 1)] * (f.n_levels - 1)) for f in fields]
    return Sample(fields, ids, ids, array, nothing * np.nan, nothing, random_pairs, n, n, True, ids, ids)


def test_a_shared_family_counts_less_than_what_is_a_persons_own() -> None:
    fields = [Field("given", 3, None, {}), Field("family", 3, None, {}), Field("father", 3, None, {})]
    one_person, relatives = [(2, 2, 2)] * 300, [(0, 2, 2)] * 900
    sample = _sample(one_person + relatives, fields)
    mixture = fit_classes(sample).mixture
    assert mixture is not None
    odds = mixture_score(sample, mixture)
    assert odds[0] > 3
    assert odds[-1] < -2


def test_a_file_of_one_record_has_one_cluster_and_no_pair(tmp_path: Path) -> None:
    pq.write_table(pa.table({"k": ["1"], "g": ["Amna"], "f": ["Trabelsi"]}), tmp_path / "one.parquet")
    found = match_files(Spec.parse({"key": "k", "given_name": "g", "surname": "f"}), tmp_path / "one.parquet")
    assert found.all_pairs.num_rows == 0
    assert found.clusters is not None
    assert found.clusters.num_rows == 1


def _cut(written: str, parted: pa.Table) -> tuple[str | None, ...]:
    """Given, father's and family name of a whole name, in small letters, as the other file names people."""
    connection = connect()
    connection.register("seen_whole", pa.table({"record_id": [1], "full_name": [written]}))
    connection.register("seen_parted", parted)
    connection.execute(
        "create temp table whole as from seen_whole; create temp table parted as from seen_parted"
    )
    cut_by_vocabulary(connection, "whole", "parted")
    parts = ", ".join(f"lower({part}_name)" for part in ("given", "father", "family"))
    return tuple(connection.execute(f"select {parts} from whole").fetchall()[0])


@pytest.mark.parametrize(
    ("written", "given", "family"),
    [
        ("Salah Trabelsi", "Salah", "Trabelsi"),
        ("TRABELSI SALAH", "SALAH", "TRABELSI"),
        ("Trabelsi Mohamed Ali", "Mohamed Ali", "Trabelsi"),
        ("Amna Salah Gharbi", "Amna", "Gharbi"),
        ("Gharbi Amna", "Amna", "Gharbi"),
    ],
)
def test_a_whole_name_is_cut_as_the_other_file_names_people(written: str, given: str, family: str) -> None:
    parted = pa.table(
        {
            "given_name": ["صالح", "محمد علي", "محمد", "آمنة", "صالح", "علي"] * 5,
            "father_name": ["صالح", "محمد", "علي"] * 10,
            "family_name": ["الطرابلسي", "الطرابلسي", "الغربي"] * 10,
        }
    )
    given_name, _, family_name = _cut(written, parted)
    assert (given_name, family_name) == (given.lower(), family.lower())


def test_a_cut_that_names_somebody_of_the_other_file_is_the_more_probable() -> None:
    # word by word, Hani whose father is Marwan is the likelier, but nobody is so named
    parted = pa.table(
        {
            "given_name": ["مروان", "هاني", "هاني", "صالح", "صالح"] * 5,
            "father_name": ["رشيد", "مروان", "مروان", "صالح", "صالح"] * 5,
            "family_name": ["هاني", "صالح", "صالح", "رشيد", "رشيد"] * 5,
        }
    )
    assert _cut("Hani Marwan Rachid", parted) == ("marwan", "rachid", "hani")


@pytest.mark.parametrize("long_side", ["left", "right"])
def test_two_files_of_whole_names_are_cut_alike(long_side: str) -> None:
    connection = connect()
    short_side = "right" if long_side == "left" else "left"
    chains = ["محمد صالح علي الطرابلسي", "آمنة علي صالح الغربي", "صالح محمد علي الغربي"] * 5
    written = ["Trabelsi Mohamed", "GHARBI Amna Ali", "Gharbi Salah"]
    for side, names in ((long_side, chains), (short_side, written)):
        connection.register(f"seen_{side}", pa.table({"record_id": range(len(names)), "full_name": names}))
        connection.execute(f"create temp table file_{side} as from seen_{side}")
    cut_by_each_other(connection, "file_left", "file_right")
    rows = connection.execute(
        f"select lower(given_name), lower(family_name) from file_{short_side} order by record_id"
    ).fetchall()
    assert rows == [("mohamed", "trabelsi"), ("amna", "gharbi"), ("salah", "gharbi")]
    # the longer names are cut by their own order, later
    assert "full_name" in {row[0] for row in connection.execute(f"describe file_{long_side}").fetchall()}


def test_the_rarer_a_names_consonants_the_more_their_agreement_says() -> None:
    connection = connect()
    people = {f"{part}_skeleton": ["mhmd"] * 70 + ["sl"] * 25 + ["krm"] * 5 for part in NAME_PARTS}
    connection.register("people", pa.table(people))
    count_consonants(connection, "people")
    rows = connection.execute("select skeleton, bits from consonants_given order by bits").fetchall()
    assert [row[0] for row in rows] == ["mhmd", "sl", "krm"]
    assert all(a[1] < b[1] for a, b in pairwise(rows))
    assert rows[0][1] < 0 < rows[2][1]


@pytest.mark.parametrize(
    ("left", "right", "level"),
    [
        (("12345678", "salah", "slh"), ("12345678", "salah", "slh"), 3),
        (("12345678", "salah", "slh"), ("12345678", "amina", "mn"), 2),
        (("12345678", "salah", "slh"), ("12345670", "salah", "slh"), 1),
        (("12345678", "salah", "slh"), ("87654321", "salah", "slh"), 0),
        (("12345678", "salah", "slh"), (None, "salah", "slh"), -1),
        # given and family name in the other order are the same person
        (("12345678", "salah", "slh", "gharbi", "grb"), ("12345678", "gharbi", "grb", "salah", "slh"), 3),
        # an initial, or a name that is not known, says nothing against
        (("12345678", None, None), ("12345678", "amina", "mn"), 3),
    ],
)
def test_a_number_under_another_given_name_is_less_than_the_same_number(
    left: tuple[str | None, ...], right: tuple[str | None, ...], level: int
) -> None:
    connection = duckdb.connect()
    for table, (number, name, skeleton, *family) in (("l", left), ("r", right)):
        last, bones = family or ("gharbi", "grb")
        connection.register(
            f"seen_{table}",
            pa.table(
                {
                    "national_number": pa.array([number], pa.string()),
                    "given_la": pa.array([name], pa.string()),
                    "given_skeleton": pa.array([skeleton], pa.string()),
                    "given_sound": pa.array([skeleton], pa.string()),
                    "family_la": pa.array([last], pa.string()),
                    "family_skeleton": pa.array([bones], pa.string()),
                    "birth_digits": pa.array([None], pa.string()),
                }
            ),
        )
        connection.execute(f"create table {table} as from seen_{table}")
    (comparison,) = [
        c
        for c in usable_comparisons(
            connection, *["(select '1' as national_number, null::int as birth_year)"] * 2
        )
        if c["output_column_name"] == "national_number"
    ]
    assert connection.execute(f"select {level_sql(comparison)} from l, r").fetchall() == [(level,)]
