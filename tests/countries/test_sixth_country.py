"""A sixth country, made of data alone: a folder of text written here goes through the real graph to payments.

Qamar is nobody's: it counts its money without decimals, numbers its people with six digits, asks eleven questions and
pays a pension to the poorest half of the households that have an elderly member.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sijill.country import COUNTRIES_FOLDER, Country
from sijill.installation import Installation
from sijill.policy import load_policy
from tests.orchestration.conftest import sijill
from warehouse import Warehouse

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.long]

HOUSEHOLDS = 120
CYCLE = "2026-11"

COUNTRY = """
code: qamar
name: {en: Qamar}
currency: XTS
currency_decimals: 0
timezone: UTC
languages: [en]
programme: elders
first_cycle: 2026-01
spine: register
surveys: [survey_member]
truth: {file: records.parquet, source_column: source, key_column: source_key, person_column: person_id}
"""

WORLD = """
inflation: 0.0
population_per_surveyed: 2
welfare: {mean: 4.0, spread: 0.5, urban: 0.1, district: 0.1, region: 0.2}
poverty_line: 40
applies: 1.0
minimum_wage: 60
wage: 100
children: 1.5
household_types: {single: 0.3, couple: 0.3, nuclear: 0.4}
surveyed_within_days: 365
places_seed: 6
urban_share: 0.5
national_number: {scheme: serial, digits: 6}
phone: {prefixes: ["1"], digits: 4}
utc_offset: "+00:00"
form: {style: english, latin: english, interviewer: q-, local_unit: U, device: d, version: "1", members: /person}
"""

REGISTERS = """
streets: {arabic: [شارع], latin: [Moon Street, Star Street]}
registers:
  register: {kind: person, style: english}
  pensions: {kind: pension, style: english, funds: {one: 1.0}}
  wallets: {kind: account, style: english, post: QAMAR POST, post_code: 1, banks: [BANK]}
"""

SURVEY = """
survey_household:
  n_rooms: {number: 3, slope: 0.3, least: 1, most: 9}
  has_fridge: {share: 0.6, slope: 1.5}
  has_car: {share: 0.3, slope: 1.5}
survey_member: {}
"""

DEFECTS = """
records:
  default: {typing_error: 0.01, spelling_variant: 0.0, swapped_names: 0.0, husband_family_name: 0.0, missing_name: 0.0,
    national_number_missing: 0.05, national_number_wrong: 0.0, birth_date_missing: 0.0, birth_date_first_january: 0.0,
    birth_date_swapped: 0.0, birth_date_slip: 0.0, moved: 0.0, duplicated: 0.0, sex_wrong: 0.0}
  sources: {register: {typing_error: 0.0, national_number_missing: 0.0}}
world: {register_first_january: 0.0, dead_but_surveyed: 0.005, surveyed_twice: 0.02, answers_changed: 0.0,
  split_household: 0.0, members_forgotten: 0.0}
rows: {bad_date: 0.0, text_in_number: 0.01, unknown_code: 0.0, missing_required: 0.0, duplicate_key: 0.01,
  extra_column: 0.0}
"""

REGIONS = "region,population_thousand,urban_share,welfare\nDay,60,0.8,0.1\nNight,40,0.3,-0.1\n"
DISTRICTS = (
    "region_ar,region,district_ar,district,latitude,longitude\n"
    "نهار,Day,فجر,Dawn,1.0,2.0\nنهار,Day,ظهر,Noon,1.5,2.0\nليل,Night,غسق,Dusk,2.0,2.0\n"
)
NAMES = {
    "male": "Adan Bero Cael Dimo Eran Fajo Garo Hano Ilan Jabo Karo Levo",
    "female": "Asha Bela Cira Dana Efra Fila Gina Hela Ivra Jora Kela Lina",
    "family": "Amber Birch Cedar Delta Ember Fjord Grove Heath Inlet Juniper Knoll Larch Maple North Olive Pine",
}

# header in the file -> column of the table, type, canonical column, and what else the contract says
Column = tuple[str, str, str, str, str]
IDENTITY: dict[str, Column] = {
    "number": ("ID", "national_number", "string", "national_number", ""),
    "given": ("GIVEN", "given_name", "string", "given_name", ""),
    "family": ("FAMILY", "family_name", "string", "family_name", ""),
    "sex": ("SEX", "sex", "string", "sex", ""),
    "born": ("BORN", "birth_date", "date", "birth_date", ""),
}
TABLES: dict[str, tuple[str, str, list[Column]]] = {
    "survey_household": ("homes.csv", "survey_household", [
        ("REGION", "region", "string", "region", ""),
        ("DISTRICT", "district", "string", "district", ""),
        ("DAY", "surveyed_on", "date", "surveyed_on", ""),
        ("ROOMS", "n_rooms", "integer", "n_rooms", ""),
        ("FRIDGE", "has_fridge", "boolean", "has_fridge", ""),
        ("CAR", "has_car", "boolean", "has_car", ""),
        ("KEY", "key", "string", "", "key"),
    ]),
    "survey_member": ("people.csv", "survey_member", [
        *IDENTITY.values(),
        ("ROLE", "relationship", "string", "relationship", ""),
        ("HOME", "parent_key", "string", "household_key", ""),
        ("KEY", "key", "string", "", "key"),
    ]),
    "register": ("register.csv", "person", [
        ("ID", "national_number", "string", "national_number", "key"),
        *[column for name, column in IDENTITY.items() if name != "number"],
        ("DIED", "died_on", "date", "died_on", ""),
    ]),
    "pensions": ("pensions.csv", "income", [
        ("PENSION", "pension_number", "string", "", "key"),
        *IDENTITY.values(),
        ("MONTH", "month_starts_on", "date", "period_on", ""),
        ("NET", "net_amount", "number", "net_amount", ""),
    ]),
    "wallets": ("wallets.csv", "account", [
        ("ACCOUNT", "account_number", "string", "account_number", "key"),
        ("CHANNEL", "channel", "string", "channel", ""),
        ("HOUSE", "institution", "string", "institution", ""),
        ("GIVEN", "holder_given_name", "string", "given_name", ""),
        ("FAMILY", "holder_family_name", "string", "family_name", ""),
        ("ID", "national_number", "string", "national_number", ""),
        ("BORN", "birth_date", "date", "birth_date", ""),
    ]),
}  # fmt: skip
CONSTANTS = {"pensions": {"kind": ("string", "pension"), "period_months": ("integer", "1")}}
TYPES = {
    "string": "text",
    "number": "numeric(14,0)",
    "integer": "integer",
    "date": "date",
    "boolean": "boolean",
}

PROGRAMME = """
languages: [en]
defaults: {valid_from: 2026-01-01, standing: illustrative, source: The test's own}
scorecards:
  card: {direction: higher_is_poorer, ties: share, dimensions: [home]}
programmes:
- code: elders
  name: {en: Elders' pension}
  scorecard: card
  statuses: {selected: pensioner, passed: not_poorest_half, failed: no_elder}
  payee: [head, oldest_adult]
  rounding: half_up
"""
POLICY = {
    "indicators.csv": "indicator,expression,type,default,description\n"
    "fridge,has_fridge,boolean,,A fridge\nrooms,n_rooms,integer,,Rooms\n",
    "scorecard.csv": "scorecard,dimension,indicator,condition,points\n"
    "card,home,fridge,not fridge,3\ncard,home,rooms,rooms <= 2,2\n",
    "criteria.csv": "programme,code,applies_when,fact,operator,threshold,on_missing,reason\n"
    "elders,elder,,n_elderly,>=,1,fail,nobody_elderly\n",
    "selection.csv": "programme,rule,population,groups,take,reason_in,reason_out\n"
    "elders,quantile,surveyed_households,2,1,poorest_half,richer_half\n",
    "benefits.csv": "programme,benefit,statuses,per,condition,amount,frequency\n"
    "elders,pension,pensioner,member,age_years >= {evidence.elderly_age},elders.pension,monthly\n",
    "reasons.csv": "reason,en\nnobody_elderly,Nobody is elderly.\npoorest_half,In the poorest half.\n"
    "richer_half,Not in the poorest half.\n",
    "parameters.csv": "parameter,value,unit,meaning_fr,legal_text_fr,gazette\n"
    + "".join(
        f"{name},{value},,,The test's own,\n"
        for name, value in {
            "elders.pension": "17", "evidence.income_months": "3", "evidence.sale_months": "12",
            "evidence.enrolment_months": "12", "evidence.electricity_months": "12", "evidence.school_age_min": "6",
            "evidence.school_age_max": "16", "evidence.adult_age": "18", "evidence.elderly_age": "60",
            "calendar.decision_day": "25",
        }.items()
    ),
}  # fmt: skip


def contract(table: str) -> str:
    """A source contract, as a person would write it."""
    file, entity, columns = TABLES[table]
    lines = [
        f"apiVersion: v3.1.0\nkind: DataContract\nid: qamar-{table.replace('_', '-')}\nname: {table}_source",
        "version: 1.0.0\nstatus: active\ncustomProperties:",
        "- {property: legalBasis, value: A law of the moon}\n- {property: institution, value: An office}",
        f"schema:\n- name: {table}\n  physicalName: {file}\n  description: Rows of {table}",
        f"  customProperties:\n  - {{property: format, value: csv}}\n  - {{property: entity, value: {entity}}}",
        "  - {property: maxRejectedShare, value: 0.2}\n  properties:",
    ]
    for header, name, kind, canonical, key in columns:
        lines.append(f"  - {{name: {name}, physicalName: {header}, logicalType: {kind},")
        lines.append(f'    physicalType: "{TYPES[kind]}",')
        lines.append(f"    description: {name}, classification: personal,")
        if key:
            lines.append("    primaryKey: true, primaryKeyPosition: 1, required: true,")
        entries = [f"{{property: canonical, value: {canonical}}}"] if canonical else []
        entries += ['{property: dateFormats, value: ["%d.%m.%Y"]}'] if kind == "date" else []
        lines.append(f"    customProperties: [{', '.join(entries)}]}}")
    for name, (kind, value) in CONSTANTS.get(table, {}).items():
        lines.append(f"  - {{name: {name}, logicalType: {kind}, description: constant,")
        lines.append(f'    physicalType: "{TYPES[kind]}",')
        lines.append(f"    classification: none, customProperties: [{{property: canonical, value: {name}}},")
        lines.append(f'    {{property: constant, value: "{value}"}}]}}')
    return "\n".join(lines) + "\n"


def write(folder: Path) -> Path:
    """The whole country."""
    for name in ("sources", "simulation", "policy", "models"):
        (folder / name).mkdir(parents=True)
    (folder / "country.yaml").write_text(COUNTRY, encoding="utf-8")
    for table in TABLES:
        (folder / "sources" / f"{table}.yaml").write_text(contract(table), encoding="utf-8")
    names = "kind,arabic,weight,french,english\n" + "".join(
        f"{kind},{name},{1 / rank:.3f},{name},{name}\n"
        for kind, text in NAMES.items()
        for rank, name in enumerate(text.split(), 1)
    )
    simulation = {
        "world.yaml": WORLD, "registers.yaml": REGISTERS, "survey.yaml": SURVEY, "defects.yaml": DEFECTS,
        "regions.csv": REGIONS, "districts.csv": DISTRICTS, "names.csv": names,
    }  # fmt: skip
    for file, text in simulation.items():
        (folder / "simulation" / file).write_text(text, encoding="utf-8")
    (folder / "policy" / "programme.yaml").write_text(PROGRAMME, encoding="utf-8")
    for file, text in POLICY.items():
        (folder / "policy" / file).write_text(text, encoding="utf-8")
    # A model is data too. Training one takes longer than all the rest, and is not what this test is about.
    for model in (COUNTRIES_FOLDER / "tunisia" / "models").glob("person_v*.json"):
        shutil.copy(model, folder / "models")
    return folder


@dataclass(frozen=True)
class Ran:
    folder: Path
    printed: str
    warehouse: Warehouse


@pytest.fixture(scope="module")
def qamar(data_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    folder = write(tmp_path_factory.mktemp("sixth") / "qamar")
    assert load_policy(folder / "policy").version
    done = sijill(
        "run", "--country", str(folder), "--households", str(HOUSEHOLDS), "--seed", "6", "--cycle", CYCLE,
        home=data_home,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    installation = Installation.of(Country.load(folder), f"{HOUSEHOLDS}-6")
    with Warehouse.open(installation) as warehouse:
        yield Ran(folder, done.stdout, warehouse)


def test_a_country_of_data_alone_pays_what_its_rules_say(qamar: Ran) -> None:
    assert not list(qamar.folder.rglob("*.py"))
    paid = qamar.warehouse.rows(
        "select i.household_id, i.amount, i.currency from finance.payment_instruction as i"
    )
    elders = {
        row["household_id"]: row["n"]
        for row in qamar.warehouse.rows(
            "select household_id, count(*) as n from registry.member_evidence where age_years >= 60 group by 1"
        )
    }
    held = qamar.warehouse.scalar("select count(*) from finance.payment_held")
    selected = qamar.warehouse.rows("select household_id from decision.household_decision where is_selected")
    assert len(paid) + held == len(selected) > 0
    assert {row["currency"] for row in paid} == {"XTS"}
    for row in paid:
        assert row["amount"] == 17 * elders[row["household_id"]]


def test_the_poorest_half_with_an_elder_are_selected_and_nobody_else(qamar: Ran) -> None:
    rows = qamar.warehouse.rows(
        "select d.status, d.is_selected, d.score, e.n_elderly, h.has_fridge, h.n_rooms"
        " from decision.household_decision as d join registry.household as h using (household_id)"
        " join registry.household_evidence as e using (household_id)"
    )
    assert {row["status"] for row in rows} == {"pensioner", "not_poorest_half", "no_elder"}
    for row in rows:
        points = (3 if row["has_fridge"] is False else 0) + (2 if (row["n_rooms"] or 9) <= 2 else 0)
        assert row["score"] == points
        assert (row["status"] == "no_elder") == (row["n_elderly"] == 0)
    selected = [row["score"] for row in rows if row["is_selected"]]
    passed = [row["score"] for row in rows if row["status"] == "not_poorest_half"]
    assert min(selected) >= max(passed)


def test_its_rows_tie_out_and_its_report_says_what_is_assumed(qamar: Ran) -> None:
    for row in qamar.warehouse.rows("select * from audit.delivery"):
        assert row["rows_read"] == row["rows_accepted"] + row["rows_rejected"] + row["rows_filtered"]
    rejected = qamar.warehouse.scalar("select count(*) from quarantine.rejected_row where kind = 'row'")
    assert rejected > 0
    assert "illustrative: scorecard" in qamar.printed
    assert "elders.pension" in qamar.printed
