"""A country's settings and the names made from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sijill.country import Country
from sijill.cycle import first_day, parse_cycle
from sijill.errors import SijillError
from sijill.installation import Installation


def test_a_country_is_found_by_name_and_by_folder() -> None:
    by_name = Country.load("tunisia")
    assert Country.load(by_name.folder) == by_name
    assert (by_name.currency, by_name.currency_decimals) == ("TND", 3)


def test_an_unknown_country_is_refused_with_those_there_are() -> None:
    with pytest.raises(SijillError, match="tunisia"):
        Country.load("atlantis")


@pytest.mark.parametrize(
    ("line", "complaint"),
    [("currency: dinars", "currency"), ("colour: blue", "colour"), ("surveys: 3", "surveys")],
)
def test_a_setting_out_of_its_schema_is_named(tmp_path: Path, line: str, complaint: str) -> None:
    source = Country.load("tunisia").folder / "country.yaml"
    key = line.split(":")[0]
    kept = [row for row in source.read_text(encoding="utf-8").splitlines() if not row.startswith(key)]
    (tmp_path / "country.yaml").write_text("\n".join([*kept, line]), encoding="utf-8")
    with pytest.raises(SijillError, match=complaint):
        Country.load(tmp_path)


def test_two_simulated_worlds_are_two_installations() -> None:
    country = Country.load("tunisia")
    assert Installation.of(country, "2000-1").database != Installation.of(country, "2000-2").database


@pytest.mark.parametrize("text", ["2026-13", "2026", "11-2026", "2026-11-02", "", "2026-1"])
def test_what_is_not_a_month_is_refused(text: str) -> None:
    with pytest.raises(SijillError, match="not a month"):
        parse_cycle(text)


def test_a_cycle_starts_on_its_first_day() -> None:
    assert first_day(parse_cycle("2026-11-01")).isoformat() == "2026-11-01"
