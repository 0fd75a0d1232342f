"""Training as a job: the same bytes from the same records, untrained levels out loud, a page that stands alone."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute
import pytest

from linkage import LinkageError, drift, link, pages, release, report
from linkage import people as people_module
from linkage.drift import Drift, Finding
from linkage.model import Model
from linkage.people import People
from linkage.predict import predict
from linkage.resolve import best_pairs, resolve
from linkage.train import TrainedProfile
from orchestration import drift as drift_check
from orchestration.site import Site
from sijill.country import Country
from sijill.installation import Installation
from tests.linkage.test_linking import febrl, land, shuffled
from warehouse import Warehouse


@pytest.fixture(scope="module")
def country(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Country:
    """The country without a model of its own."""
    return Country(tmp_path_factory.mktemp("country"), installation.country.settings)


@pytest.fixture(scope="module")
def released(country: Country, tmp_path_factory: pytest.TempPathFactory) -> release.Released:
    records, truth = febrl()
    path = tmp_path_factory.mktemp("model") / "person_v1.json"
    return release.train(records, country, path, truth, allow_untrained=True)


def weighed(records: pa.Table, model: Model) -> People:
    """People and their pairs, weighed and resolved by a model."""
    connection = people_module.connect()
    people = people_module.load(connection, records, "population_register")
    (name,) = people.profiles
    profile = model.profiles[name]
    predict(people, name, profile, "pair")
    best_pairs(connection, "pair", "best")
    resolve(connection, "best", {name: (profile.link_probability, profile.review_probability)}, "resolved")
    return people


def moved(records: pa.Table, model: Model) -> Drift:
    people = weighed(records, model)
    return drift.measure(people, model.profiles, drift.baseline_of(model.path))


@pytest.mark.long
def test_the_same_records_in_another_order_give_the_same_bytes(
    country: Country, released: release.Released, tmp_path: Path
) -> None:
    records, truth = febrl()
    again = release.train(
        shuffled(records, 4), country, tmp_path / "person_v1.json", truth, allow_untrained=True
    )
    assert again.model.path.read_bytes() == released.model.path.read_bytes()
    assert (
        again.model.path.with_suffix(".md").read_bytes()
        == released.model.path.with_suffix(".md").read_bytes()
    )


def test_the_next_version_is_written_where_the_country_keeps_its_models(
    country: Country, released: release.Released, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release, "train_people", lambda *_: dict(released.trained))
    first = release.train(febrl()[0], country, allow_untrained=True).model.path
    second = release.train(febrl()[0], country, allow_untrained=True).model.path
    assert [first.name, second.name] == ["person_v1.json", "person_v2.json"]
    assert first.parent == country.models_folder


def test_an_untrained_level_stops_the_job_and_nothing_is_written(
    country: Country, released: release.Released, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (result,) = released.trained.values()
    untrained = {"with_birth_date": TrainedProfile(result.profile, result.pairs, ["sex: different"])}
    monkeypatch.setattr(release, "train_people", lambda *_: untrained)
    with pytest.raises(LinkageError, match=r"with_birth_date: sex: different"):
        release.train(febrl()[0], country, tmp_path / "model.json")
    assert not list(tmp_path.iterdir())


def test_the_page_stands_alone_and_holds_no_value_of_a_record(released: release.Released) -> None:
    page = released.page.read_text(encoding="utf-8")
    markup = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r'(src|href)="(?!#)', markup)
    drawn = json.loads(page.partition("const charts = ")[2].partition(";\n")[0])
    wanted = {
        "best",
        "pairs",
        "match_weights",
        "m_u",
        "unlinkable",
        "blocking",
        "calibration",
        "example_link",
    }
    assert {f"with_birth_date_{chart}" for chart in wanted} | {"bands", "clusters"} <= set(drawn)
    shown = page.partition("const charts = ")[2].lower() + page.partition("</main>")[0].lower()
    records = febrl()[0]
    words = set(re.findall(r"[^\W_]+(?:-[^\W_]+)*", shown))
    names = {name.lower() for name in records["family_name"].to_pylist() if name}
    # colours and the words of the page's own sentences are family names too
    assert len(names & words) < 0.02 * len(names)
    assert not words & set(records["source_key"].to_pylist())
    addresses = [
        address.lower() for address in records["address"].to_pylist() if address and " " in address.strip()
    ]
    assert len(addresses) > 1000
    assert not [address for address in addresses if address in shown]


def test_the_report_ties_out_with_the_truth(released: release.Released) -> None:
    (survey,) = released.accuracy
    assert survey.precision > 0.99
    page = released.page.read_text(encoding="utf-8")
    rows = json.loads(page.partition("const charts = ")[2].partition(";\n")[0])[
        "with_birth_date_calibration"
    ]["data"]
    assert sum(row["pairs"] for row in rows["values"]) <= survey.records
    assert all(0 <= row["observed"] <= 1 for row in rows["values"])


def test_the_training_data_has_not_drifted_from_its_own_model(released: release.Released) -> None:
    measured = moved(shuffled(febrl()[0], 8), released.model)
    assert measured.has_baseline
    assert {finding.kind for finding in measured.findings} == {"m", "u", "empty", "linked"}
    assert max(finding.distance for finding in measured.findings) < 1e-3
    assert measured.warnings == []


def test_a_field_that_a_source_stops_filling_is_told(released: release.Released) -> None:
    records = febrl()[0]
    survey = pa.compute.equal(records["source"], "survey_member")
    emptied = pa.compute.if_else(survey, pa.scalar(None, pa.string()), records["address"])
    changed = records.set_column(records.schema.get_field_index("address"), "address", emptied)
    warnings = moved(changed, released.model).warnings
    assert any("survey member: 100.0% of records say nothing on address" in line for line in warnings)


def test_worse_records_of_the_same_people_are_told(released: release.Released) -> None:
    records = febrl()[0]
    survey = pa.compute.equal(records["source"], "survey_member")
    halved = pa.compute.utf8_slice_codeunits(records["given_name"], 0, 1)
    changed = records.set_column(
        records.schema.get_field_index("given_name"), "given_name",
        pa.compute.if_else(survey, halved, records["given_name"]),
    )  # fmt: skip
    measured = moved(changed, released.model)
    assert ("m", "given") in {(f.kind, f.field) for f in measured.findings if f.warns}


def test_a_source_that_the_model_never_saw_is_told(released: release.Released) -> None:
    records = febrl()[0]
    renamed = pa.compute.replace_substring(records["source"], "survey_member", "second_survey")
    assert moved(records.set_column(0, "source", renamed), released.model).unknown == ("second_survey",)


def test_a_model_without_a_baseline_says_so_and_warns_of_nothing(released: release.Released) -> None:
    measured = drift.measure(weighed(febrl()[0], released.model), released.model.profiles, None)
    assert not measured.has_baseline
    assert measured.warnings == []


@pytest.mark.postgres
def test_the_stage_warns_where_birth_dates_are_gone(
    warehouse: Warehouse,
    installation: Installation,
    released: release.Released,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # pictures take longer than all the rest
    monkeypatch.setattr(report, "gather", lambda *_, **__: None)
    monkeypatch.setattr(report, "write", lambda path, *_: path)
    country = Country(tmp_path, installation.country.settings)
    country.models_folder.mkdir()
    shutil.copy(released.model.path, country.models_folder)
    place = Installation(country, installation.name, installation.home)
    records = febrl()[0]
    survey = pa.compute.equal(records["source"], "survey_member")
    some = pa.compute.match_substring_regex(records["source_key"], r"^rec-\d*[0-3]-")
    born = pa.compute.if_else(
        pa.compute.and_(survey, some), pa.scalar(None, pa.date32()), records["birth_date"]
    )
    changed = records.set_column(records.schema.get_field_index("birth_date"), "birth_date", born)

    def warnings(landed: pa.Table, cycle: str) -> list[str]:
        land(warehouse, landed)
        try:
            link(warehouse, place, cycle, full=True)
        finally:
            warehouse.execute("drop table landing.canonical_person_record")
        measured = Drift.read(pages.drift_path(place, cycle))
        assert measured is not None
        assert measured.has_baseline
        return measured.warnings

    told = warnings(changed, "2026-12")
    assert any("records say nothing on birth date" in line for line in told)
    assert warnings(records, "2027-01") == []


def test_the_figures_of_an_earlier_cycle_stand_where_a_later_one_changed_no_record(
    tmp_path: Path, installation: Installation
) -> None:
    place = Installation(installation.country, "x", tmp_path)
    assert pages.latest_figures(place, "2026-04") is None
    for cycle in ("2026-01", "2026-06"):
        Drift((), (), True).write(pages.drift_path(place, cycle))
    found = pages.latest_figures(place, "2026-04")
    assert found == pages.drift_path(place, "2026-01")


@pytest.mark.postgres
def test_a_cycle_that_linked_records_and_left_no_figures_is_not_judged_by_an_earlier_one(
    warehouse: Warehouse, installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIJILL_HOME", str(tmp_path))
    site = Site.of(installation)
    site._warehouse = warehouse
    earlier = pages.drift_path(site.installation, "2030-01")
    Drift((), (), True).write(earlier)

    def run(cycle: str, records: int) -> None:
        warehouse.execute(
            "insert into identity.linkage_run (run_id, cycle, model_sha256, state_token, is_incremental, n_records,"
            f" last_adjudication_id) values ('r', '{cycle}', 'm', 't', true, {records}, 0)"
        )

    run("2030-02", 0)
    assert drift_check._figures(site, "2030-02") == earlier
    run("2030-02", 7)
    assert drift_check._figures(site, "2030-02") is None


def test_figures_of_drift_come_back_from_their_file(tmp_path: Path) -> None:
    finding = Finding("empty", "survey_member", "address", 0.1, 0.4, 0.3, 0.1, 500)
    written = Drift((finding,), ("new",), has_baseline=True)
    written.write(tmp_path / "drift.json")
    assert Drift.read(tmp_path / "drift.json") == written
    assert Drift.read(tmp_path / "other.json") is None


def test_the_stability_index_is_zero_for_the_same_and_large_for_a_shift() -> None:
    assert drift.stability_index([0.9, 0.1], [0.9, 0.1]) == 0
    # (0.6 - 0.9) ln(0.6 / 0.9) + (0.4 - 0.1) ln(0.4 / 0.1) = 0.5375
    assert drift.stability_index([0.9, 0.1], [0.6, 0.4]) == pytest.approx(0.5375, abs=1e-3)
