"""Accuracy of `sijill link` on public and generated sets, beside raw Splink and exact matching.

    make bench-linkage DATA=FOLDER

`FOLDER` holds `linkage/` (FEBRL 3 and 4, historical_50k) and `pseudopeople/`; sets that are not there are left
out. The Tunisian sets are simulated here, cut from the deliveries of one country and linked by their spec
alone. Every set is linked by the same command, with nothing but what its columns mean; truth is read only to
measure. The table goes to `benchmarks/linkage.md`.
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from linkage.matching import Matching, match_files
from linkage.spec import Spec
from linkage.truth import Reliability, reliability

REPORT = Path(__file__).with_suffix(".md")
BEGIN, END = "<!-- accuracy: begin -->", "<!-- accuracy: end -->"


@dataclass(frozen=True)
class Set:
    """One set: a spec, one or two files, and a query that gives its truth (side, key, person)."""

    name: str
    spec: dict[str, Any]
    left: Path
    right: Path | None
    truth: str


_FEBRL = {
    "key": "rec_id", "given_name": "given_name", "family_name": "surname", "birth_date": "date_of_birth",
    "house_number": "street_number", "street": "address_1", "locality": ["suburb", "address_2"],
    "postal_code": "postcode", "region": "state",
}  # fmt: skip
_HISTORICAL = {
    "key": "unique_id", "given_name": "first_name", "family_name": "surname", "full_name": "full_name",
    "birth_date": "dob", "birth_place": "birth_place", "postal_code": "postcode_fake", "sex": "gender",
    "occupation": "occupation",
}  # fmt: skip
_CENSUS_SSA = {
    "key": "record_id", "given_name": "first_name", "family_name": "last_name", "birth_date": "date_of_birth",
    "sex": "sex", "left": {"middle_name": "middle_initial"}, "right": {"middle_name": "middle_name"},
}  # fmt: skip
_CENSUS_TAX = {
    "key": "record_id", "given_name": "first_name", "middle_name": "middle_initial", "family_name": "last_name",
    "left": {
        "house_number": "mailing_address_street_number", "street": "mailing_address_street_name",
        "unit": ["mailing_address_unit_number", "mailing_address_po_box"], "city": "mailing_address_city",
        "zip": "mailing_address_zipcode",
    },
    "right": {
        "house_number": "street_number", "street": "street_name", "unit": "unit_number", "city": "city",
        "zip": "zipcode", "household_key": "household_id",
    },
}  # fmt: skip
_REGISTER = {
    "key": "NUM_ID", "given_name": "PRENOM_AR", "father": "PRENOM_PERE_AR", "grandfather": "PRENOM_GPERE_AR",
    "family_name": "NOM_AR", "mother": "MERE_AR", "sex": "SEXE", "birth_date": "DATE_NAISS",
    "birth_place": "LIEU_NAISS_AR", "governorate": "GOUVERNORAT_AR", "delegation": "DELEGATION_AR",
    "address": "ADRESSE_AR", "national_number": "NUM_ID",
}  # fmt: skip
_SURVEY = {
    "key": "key", "given_name": "given", "father": "father", "grandfather": "grandfather", "family_name": "family",
    "mother": "mother", "sex": "sex", "birth_date": "born", "birth_place": "birth_place", "governorate": "region",
    "delegation": "district", "address": "address", "household_key": "household",
}  # fmt: skip
_HEALTH_CARD = {
    "key": "num_carte", "given_name": "prenom", "father": "prenom_pere", "family_name": "nom",
    "birth_date": "date_naissance", "sex": "sexe", "governorate": "gouvernorat", "delegation": "delegation",
}  # fmt: skip
_METER = {"key": "REF_COMPTEUR", "full_name": "ABONNE", "area": "ZONE", "national_number": "CIN"}


def _public(data: Path) -> Iterator[Set]:
    """The sets of `data`, those that are there."""
    febrl = "select 'left' as side, rec_id as key, regexp_extract(rec_id, '[0-9]+') as person from '{}'"
    folder = data / "linkage"
    if (folder / "febrl3.csv").is_file():
        yield Set("febrl3", _FEBRL, folder / "febrl3.csv", None, febrl.format(folder / "febrl3.csv"))
        a, b = folder / "febrl4a.csv", folder / "febrl4b.csv"
        both = f"{febrl.format(a)} union all {febrl.format(b).replace('left', 'right', 1)}"
        yield Set("febrl4", _FEBRL, a, b, both)
        file = folder / "historical_50k.parquet"
        truth = f"select 'left' as side, unique_id as key, cluster as person from '{file}'"
        yield Set("historical_50k", _HISTORICAL, file, None, truth)
    folder = data / "pseudopeople"
    if (folder / "truth.csv").is_file():
        who = (
            "select '{}' as side, record_id as key, simulant_id as person"
            f" from '{folder / 'truth.csv'}' where source = '{{}}'"
        )
        census = folder / "decennial_census.csv"
        for name, spec, left, right in (
            ("census x social security", _CENSUS_SSA, census, folder / "ssa.csv"),
            ("tax returns x census", _CENSUS_TAX, folder / "tax1040.csv", census),
            ("wage returns x census", _CENSUS_TAX, folder / "w2_1099.csv", census),
        ):
            truth = f"{who.format('left', left.stem)} union all {who.format('right', right.stem)}"
            yield Set(name, spec, left, right, truth)


def _simulated(folder: Path, households: int) -> Iterator[Set]:
    """Sets cut from the deliveries of a simulated Tunisia, which is made in `folder` if it is not there."""
    deliveries, cut = folder / f"tunisia-{households}", folder / f"tunisia-{households}-sets"
    truth = folder / f"tunisia-{households}-truth" / "records.parquet"
    if not truth.is_file():
        command = [sys.executable, "-m", "sijill.cli", "simulate", "--households", str(households), "--seed", "11",
                   "--out", str(deliveries), "--truth", str(truth.parent)]  # fmt: skip
        subprocess.run(command, check=True)
    cut.mkdir(exist_ok=True)

    def read(name: str) -> str:
        return (
            f"read_csv('{deliveries / name}', all_varchar = true, strict_mode = false, ignore_errors = true)"
        )

    def write(query: str, name: str) -> Path:
        duckdb.execute(f"copy ({query}) to '{cut / name}' (format parquet)")
        return cut / name

    arabic = ", ".join(v for k, v in _REGISTER.items() if k != "national_number")
    register = write(f"select {arabic} from {read('population_register.csv')}", "register.parquet")
    members = write(
        f"""select m."KEY" as key, PARENT_KEY as household, "membre-prenom" as given, "membre-prenom_pere" as father,
            "membre-prenom_grand_pere" as grandfather, "membre-nom" as family, "membre-mere" as mother,
            "membre-sexe" as sex, "membre-date_naissance" as born, "membre-lieu_naissance" as birth_place,
            region, district, address
        from {read("amen_enquete-membre.csv")} as m
        left join (select "KEY" as household, any_value("localisation-gouvernorat") as region,
            any_value("localisation-delegation") as district, any_value("localisation-adresse") as address
            from {read("amen_enquete.csv")} group by all) as h on h.household = m.PARENT_KEY""",
        "members.parquet",
    )
    cards = write(f"select * exclude (cin) from {read('cartes_soins.csv')}", "cards.parquet")
    meters = write(f"select * from {read('steg_compteurs.csv')}", "meters.parquet")

    def who(source: str) -> str:
        side = (
            "select '{}' as side, source_key as key, person_id::text as person from '{}' where source = '{}'"
        )
        return f"{side.format('left', truth, source)} union all {side.format('right', truth, 'population_register')}"

    for name, spec, file, source in (
        ("survey x register", _SURVEY, members, "survey_member"),
        ("Latin cards x Arabic register", _HEALTH_CARD, cards, "health_card"),
        ("Latin meters x Arabic register", _METER, meters, "electricity_meter"),
    ):
        yield Set(name, {"left": spec, "right": _REGISTER, "unique": "right"}, file, register, who(source))
    twice = who("survey_member").split(" union all ")[0]
    yield Set("households surveyed twice", _SURVEY, members, None, twice)
    alone = {meaning: column for meaning, column in _SURVEY.items() if meaning != "household_key"}
    yield Set("the same, not saying who lives with whom", alone, members, None, twice)


_DATES = ("%Y-%m-%d", "%Y%m%d", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%d.%m.%Y")


def _iso(connection: duckdb.DuckDBPyConnection, file: Path, column: str) -> str:
    """SQL for a date column as YYYY-MM-DD, read in the one format that fits most of its values."""
    text = f'"{column}"::text'
    fits = ", ".join(f"count(try_strptime({text}, '{style}'))" for style in _DATES)
    counts = connection.execute(f"select {fits} from '{file}'").fetchall()[0]
    style = _DATES[max(range(len(_DATES)), key=lambda i: counts[i])]
    return f"strftime(try_strptime({text}, '{style}'), '%Y-%m-%d')"


def _exact(chosen: Set, truth: pa.Table) -> tuple[float, float]:
    """Precision and right pairs of exact agreement on name and birth date, or on name and address without one."""
    connection = duckdb.connect()
    spec = Spec.parse(chosen.spec)
    sides = []
    for side, file in ((spec.left, chosen.left), (spec.right, chosen.right or chosen.left)):
        present = {row[0].lower() for row in connection.execute(f"describe from '{file}'").fetchall()}
        used = {}
        for group in (
            ("given_name", "family_name", "full_name"),
            ("birth_date",),
            ("house_number", "street"),
        ):
            columns = [c for m in group for c in side.columns.get(m, ()) if c.lower() in present]
            used[group[0]] = columns
        sides.append((file, side.columns["key"][0], used))
    keys = ["given_name", "birth_date"]
    if not all(s[2]["birth_date"] for s in sides):
        keys[1] = "house_number"
    for i, (file, key, used) in enumerate(sides):
        parts = [
            _iso(connection, file, c)
            if k == "birth_date" and len(used[k]) == 1
            else f'upper(trim("{c}"::text))'
            for k in keys
            for c in used[k]
        ]
        if not all(used[k] for k in keys):
            return float("nan"), float("nan")
        connection.execute(
            f"create temp table side_{i} as select \"{key}\"::text as key, concat_ws('|', {', '.join(parts)}) as said,"
            f" {' and '.join(f'{p} is not null' for p in parts)} as is_whole from '{file}'"
        )
    connection.register("truth", truth)
    right = "right" if chosen.right else "left"
    order = "" if chosen.right else " and a.key < b.key"
    links, correct = connection.execute(
        f"""select count(*), count(*) filter (where t.person = u.person) from side_0 as a
        join side_1 as b on a.said = b.said and a.is_whole and b.is_whole{order}
        left join truth as t on t.key = a.key and t.side = 'left'
        left join truth as u on u.key = b.key and u.side = '{right}'"""
    ).fetchall()[0]
    return correct / links if links else 1.0, float(correct)


def _quoted(columns: tuple[str, ...]) -> str:
    return ", ".join(f'"{c}"::text' for c in columns)


def _splink(chosen: Set, truth: pa.Table) -> tuple[float, float, float]:
    """F1 at 0.5, F1 at its best threshold and recall at precision 0.995 of Splink with its tutorials' settings."""
    import splink.comparison_library as cl
    from splink import DuckDBAPI, Linker, SettingsCreator, block_on

    logging.getLogger("splink").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    connection = duckdb.connect()
    spec = Spec.parse(chosen.spec)
    files = [chosen.left] + ([chosen.right] if chosen.right else [])
    shared = [m for m in spec.left.columns if m != "key" and (not chosen.right or m in spec.right.columns)]
    for i, (side, file) in enumerate(zip((spec.left, spec.right), files, strict=False)):
        columns = ", ".join(
            _iso(connection, file, side.columns[m][0]) + f" as {m}"
            if m == "birth_date"
            else f"nullif(lower(trim(concat_ws(' ', {_quoted(side.columns[m])}))), '') as {m}"
            for m in shared
        )
        connection.execute(
            f"create table side_{i} as select \"{side.columns['key'][0]}\"::text as unique_id, {columns} from '{file}'"
        )
    comparisons: list[Any] = []
    for m in shared:
        if m in ("given_name", "family_name", "full_name", "father_name", "grandfather_name", "mother_name"):
            comparisons.append(cl.NameComparison(m))
        elif m == "birth_date":
            comparisons.append(cl.DateOfBirthComparison(m, input_is_string=True))
        elif m != "household_key":
            comparisons.append(cl.ExactMatch(m).configure(term_frequency_adjustments=True))
    names = [m for m in ("given_name", "family_name") if m in shared] or [
        m for m in ("full_name",) if m in shared
    ]
    rest = [m for m in ("birth_date", "postal_code", "street", "national_number", "locality") if m in shared]
    rules = [(n, r) for n in names for r in rest[:3]] + ([tuple(names)] if len(names) > 1 else [])
    if "birth_date" in shared:
        rules.append(("birth_date",))
    other = "side_1 as b" if chosen.right else "side_0 as b"
    agree = " and ".join(f"a.{n} = b.{n}" for n in names) or "false"
    order = "" if chosen.right else " and a.unique_id < b.unique_id"
    alike = connection.execute(f"select count(*) from side_0 as a join {other} on {agree}{order}").fetchall()[
        0
    ][0]
    # where no two names are spelt alike, as across scripts, its training has nothing to begin with
    if not comparisons or not rules or not alike:
        return float("nan"), float("nan"), float("nan")
    api = DuckDBAPI(connection)
    settings = SettingsCreator(
        link_type="link_only" if chosen.right else "dedupe_only",
        comparisons=comparisons,
        blocking_rules_to_generate_predictions=[block_on(*rule) for rule in rules],
    )
    linker = Linker([api.register(f"side_{i}") for i in range(len(files))], settings, log_level="ERROR")
    first = [block_on(*(names[:2] if len(names) > 1 else names + rest[:1]))]
    linker.training.estimate_probability_two_random_records_match(first, recall=0.7)
    linker.training.estimate_u_using_random_sampling(max_pairs=1e6, seed=1)
    for rule in (tuple(names), tuple(rest[:1])):
        if rule:
            try:
                linker.training.estimate_parameters_using_expectation_maximisation(
                    block_on(*rule), max_pairs=1_000_000
                )
            except Exception as error:
                if type(error).__name__ not in ("EMTrainingException", "ValueError"):
                    raise
    edges = linker.inference.predict(threshold_match_probability=0.01)
    links = connection.sql(
        f"select unique_id_l as left_key, unique_id_r as right_key, match_probability, 'link' as band"
        f" from {edges.physical_name}"
    ).to_arrow_table()
    return _figures(links, truth, chosen.right is not None)


def _figures(links: pa.Table, truth: pa.Table, is_link: bool) -> tuple[float, float, float]:
    connection = duckdb.connect()
    connection.register("links", links)
    connection.register("truth", truth)
    right = "right" if is_link else "left"
    total = (
        "select count(*) from truth as a join truth as b using (person) where a.side = 'left' and b.side = 'right'"
        if is_link
        else "select sum(n * (n - 1) / 2) from (select count(*) as n from truth group by person)"
    )
    true_pairs = float(connection.execute(total).fetchall()[0][0])
    at, best, recall = connection.execute(
        f"""with judged as (
            select match_probability as p, coalesce(a.person = b.person, false)::int as y from links as k
            left join truth as a on a.key = k.left_key and a.side = 'left'
            left join truth as b on b.key = k.right_key and b.side = '{right}'
        ),
        summed as (
            select p, sum(sum(y)) over (order by p desc) as t, sum(count(*)) over (order by p desc) as n
            from judged group by p
        )
        select max(2 * t / (n + {true_pairs})) filter (where p = (select min(p) from summed where p >= 0.5)),
            max(2 * t / (n + {true_pairs})), max(t / {true_pairs}) filter (where t / n >= 0.995) from summed"""
    ).fetchall()[0]
    return float(at or 0), float(best or 0), float(recall or 0)


def _row(chosen: Set, found: Matching, measured: Reliability, truth: pa.Table, seconds: float) -> str:
    exact_precision, exact_right = _exact(chosen, truth)
    exact_recall = exact_right / measured.true_pairs
    exact = 2 * exact_precision * exact_recall / max(1e-9, exact_precision + exact_recall)
    at, best, recall = _splink(chosen, truth)
    clusters = f"{measured.cluster_f1:.4f}" if found.clusters is not None else ""
    return (
        f"| {chosen.name} | {measured.precision:.4f} | {measured.recall:.4f} | {measured.f1:.4f} | {clusters} |"
        f" {measured.recall_at_995:.4f} | {measured.gap:.4f} | {found.expected_wrong:.0f} /"
        f" {measured.links - measured.right} | {found.expected_missed:.0f} /"
        f" {measured.true_pairs - measured.right} | {at:.3f} / {best:.3f} / {recall:.3f} | {exact:.3f} |"
        f" {seconds:.0f} |"
    )


_COLUMNS = (
    "set", "precision", "recall", "F1", "F1 of clusters", "recall at precision 0.995", "gap",
    "wrong, expected / so", "missed, expected / so", "raw Splink: F1 at 0.5 / best F1 / recall at 0.995",
    "exact name and birth date: F1", "seconds",
)  # fmt: skip
_HEADER = f"| {' | '.join(_COLUMNS)} |\n|---|{'---:|' * (len(_COLUMNS) - 1)}"


def main() -> None:
    """Run the sets asked for and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with linkage/ and pseudopeople/")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "sijill-bench-linkage")
    parser.add_argument(
        "--households", type=int, default=20_000, help="size of the simulated country; 0 for none"
    )
    parser.add_argument("--only", nargs="*", default=[], help="sets whose name holds one of these words")
    parser.add_argument("--no-write", action="store_true", help="leave benchmarks/linkage.md as it is")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    sets = list(_public(options.data)) if options.data else []
    if options.households:
        sets += _simulated(options.work, options.households)
    lines = [_HEADER]
    print(_HEADER, flush=True)
    for chosen in sets:
        if options.only and not any(word in chosen.name for word in options.only):
            continue
        truth = duckdb.sql(
            f"select side, key::text as key, person::text as person from ({chosen.truth})"
        ).to_arrow_table()
        begin = time.monotonic()
        found = match_files(Spec.parse(chosen.spec), chosen.left, chosen.right)
        seconds = time.monotonic() - begin
        lines.append(_row(chosen, found, reliability(found, truth), truth, seconds))
        print(lines[-1], flush=True)
    if not options.no_write:
        text = REPORT.read_text(encoding="utf-8") if REPORT.is_file() else f"# Linkage\n\n{BEGIN}\n{END}\n"
        before, rest = text.split(BEGIN)
        table = "\n".join(lines)
        REPORT.write_text(f"{before}{BEGIN}\n{table}\n{END}{rest.split(END)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
