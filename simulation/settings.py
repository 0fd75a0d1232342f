"""What a country's `simulation` folder says: its people, its places, its survey and its defects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.csv
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sijill.country import Country
from sijill.errors import SijillError
from simulation.draws import Floats, Ints
from simulation.names import Style, Vocabulary, load_vocabulary

Share = Annotated[float, Field(ge=0, le=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RecordDefects(_Strict):
    """Shares of a source's records (of its name parts, for the first two) that carry each error."""

    typing_error: Share
    spelling_variant: Share
    swapped_names: Share
    husband_family_name: Share
    missing_name: Share
    national_number_missing: Share
    national_number_wrong: Share
    birth_date_missing: Share
    birth_date_first_january: Share
    birth_date_swapped: Share
    birth_date_slip: Share
    moved: Share
    duplicated: Share
    sex_wrong: Share


class WorldDefects(_Strict):
    """Shares of people or households of which something awkward is true."""

    register_first_january: Share
    dead_but_surveyed: Share
    surveyed_twice: Share
    answers_changed: Share
    split_household: Share
    members_forgotten: Share


class RowDefects(_Strict):
    """Shares of the rows of a table that break its contract."""

    bad_date: Share
    text_in_number: Share
    unknown_code: Share
    missing_required: Share
    duplicate_key: Share
    extra_column: Share
    out_of_range: Share = 0.0


class _RecordRates(_Strict):
    default: RecordDefects
    sources: dict[str, dict[str, Share]] = {}


class Defects(_Strict):
    """The whole of `defects.yaml`."""

    records: _RecordRates
    world: WorldDefects
    rows: RowDefects
    row_sources: dict[str, dict[str, Share]] = {}

    def of_rows(self, table: str) -> RowDefects:
        """Rates at which the rows of one table break their contract."""
        return RowDefects.model_validate({**self.rows.model_dump(), **self.row_sources.get(table, {})})

    def of(self, source: str) -> RecordDefects:
        """Rates of one source: the default ones with its own in their place."""
        own = self.records.sources.get(source, {})
        return RecordDefects.model_validate({**self.records.default.model_dump(), **own})


class Welfare(_Strict):
    """Latent welfare: log of monthly consumption a head."""

    mean: float
    spread: float
    urban: float
    district: float
    region: float


class NationalNumber(_Strict):
    """How the population register numbers people.

    Attributes:
        scheme: `serial`, digits without a meaning; `luhn`, the same and a check digit (ISO/IEC 7812-1); `dated`,
            century, date of birth, code of the region of birth, a serial that is odd for men, a check digit.
        digits: length of the number.
    """

    scheme: Literal["serial", "luhn", "dated"]
    digits: Annotated[int, Field(ge=6, le=16)]

    @model_validator(mode="after")
    def _fits(self) -> NationalNumber:
        random_digits = self.digits - (self.scheme == "luhn")
        if self.scheme == "dated" and self.digits != 14:
            raise ValueError("a dated number has 14 digits")
        if self.scheme != "dated" and random_digits % 2:
            raise ValueError("the digits before the check digit must be even in number")
        return self


class Phone(_Strict):
    """Telephone numbers: one of the prefixes, all of one length, and so many digits."""

    prefixes: Annotated[list[Annotated[str, Field(pattern="^[0-9]+$")]], Field(min_length=1)]
    digits: Literal[4, 6, 8]

    @property
    def width(self) -> int:
        """Digits of a whole number."""
        return len(self.prefixes[0]) + self.digits


class Form(_Strict):
    """How the survey's form is filled: script of names, and the marks before its codes."""

    style: Style = "arabic"
    latin: Style = "french"
    interviewer: str
    local_unit: str
    device: str
    version: str
    members: str


class WorldSettings(_Strict):
    """The whole of `world.yaml`."""

    national_number: NationalNumber
    phone: Phone
    utc_offset: Annotated[str, Field(pattern=r"^[+-][0-9]{2}:[0-9]{2}$")]
    form: Form
    places_seed: int
    urban_share: Share
    children: Annotated[float, Field(ge=0.5, le=8)]
    inflation: float
    population_per_surveyed: Annotated[int, Field(ge=1, le=10)]
    welfare: Welfare
    poverty_line: float
    applies: float
    minimum_wage: float
    wage: float
    household_types: dict[
        Literal["single", "couple", "nuclear", "with_parent", "lone_mother", "lone_father", "with_sibling"],
        Share,
    ]
    surveyed_within_days: Annotated[int, Field(ge=30, le=1500)]


class Question(_Strict):
    """How a survey question is answered.

    Exactly one of `share`, `levels`, `choices`, `number` and `text` is given. `slope` is the effect of one
    standard deviation of welfare, `urban` that of living in a town, both on the latent answer.

    Attributes:
        share: share of yes at mean welfare.
        levels: answers from the poorest household's to the richest's, with their shares.
        choices: answers without an order, with their shares.
        number: median; `spread` is then its relative spread, `decimals`, `least` and `most` its form.
        text: a text with `{uuid}` or `{n}` in it.
        asked: share of respondents who are asked, or who answer.
        follows: only where an earlier question has this answer: `{column: answer}`, `true` for a yes.
        of: only for members of which this is true (`child`, `adult`, `woman`, `worker`, `pupil`, `head`, `disabled`).
    """

    share: Share | None = None
    levels: dict[str, Share] | None = None
    choices: dict[str, Share] | None = None
    number: float | None = None
    text: str | None = None
    slope: float = 0.0
    urban: float = 0.0
    spread: float = 0.3
    decimals: Annotated[int, Field(ge=0, le=3)] = 0
    least: float = 0.0
    most: float = 1e9
    asked: Share = 1.0
    follows: dict[str, bool | str] = {}
    of: Literal["all", "child", "adult", "woman", "worker", "pupil", "head", "disabled"] = "all"


class Survey(_Strict):
    """The whole of `survey.yaml`: questions by landing table and column."""

    survey_household: dict[str, Question]
    survey_member: dict[str, Question]


class _Register(_Strict):
    """What every register has: script and romanisation of its names, Latin ones in capitals or not.

    Attributes:
        latin: romanisation of the columns that end in `_latin`.
        full_name: parts of a whole name in one column: given, father's, grandfather's (`r`), family name (`l`).
    """

    style: Style = "arabic"
    latin: Style = "french"
    capitals: bool = False
    full_name: Annotated[str, Field(pattern="^[gfrl]+$")] = "gfl"


class PersonRegister(_Register):
    """Everybody, once: the spine."""

    kind: Literal["person"]


class WageRegister(_Register):
    """Wages declared for the last full quarter."""

    kind: Literal["wage"]
    employers: list[str]


class PensionRegister(_Register):
    """Pensions of the last month, by fund."""

    kind: Literal["pension"]
    funds: dict[str, Share]


class MeterRegister(_Register):
    """Electricity meters and their subscribers; `filiation` stands before a father's name, as `BEN` does."""

    kind: Literal["meter"]
    filiation: str = ""


class BillRegister(_Register):
    """Bills on the meters.

    Attributes:
        level: log of the monthly kWh of a household of one person and of mean welfare.
        steps: price of a kWh by the highest monthly kWh that has it; the last has no limit.
        fixed: standing charge.
        bills: how many bills a meter has, each of `months`.
    """

    kind: Literal["bill"]
    level: float = 4.55
    steps: list[tuple[float, float]]
    fixed: float
    months: Literal[1, 2, 3] = 2
    bills: Annotated[int, Field(ge=1, le=24)] = 3


class VehicleRegister(_Register):
    """Vehicles: `series` stands in the middle of a plate, `values` are prices when new, by category."""

    kind: Literal["vehicle"]
    series: str
    values: Annotated[list[float], Field(min_length=5, max_length=5)]
    car: float = -1.25


class SaleRegister(_Register):
    """Sales of vehicles, a row a party."""

    kind: Literal["sale"]


class PropertyRegister(_Register):
    """Titles; prices a square metre of a main home, a second home, land and a shop."""

    kind: Literal["property"]
    prices: Annotated[list[float], Field(min_length=4, max_length=4)]


class SchoolRegister(_Register):
    """Pupils; names of a primary, a basic and a secondary school. `attendance` is the mean share of days."""

    kind: Literal["school"]
    names: Annotated[list[str], Field(min_length=3, max_length=3)]
    attendance: Share = 0.9


class UniversityRegister(_Register):
    """Students and their universities."""

    kind: Literal["university"]
    names: list[str]


class DisabilityRegister(_Register):
    """Disability cards."""

    kind: Literal["disability"]


class HealthRegister(_Register):
    """Health cards of two schemes, for the poor and for the nearly poor."""

    kind: Literal["health"]
    schemes: Annotated[list[str], Field(min_length=2, max_length=2)]


class BeneficiaryRegister(_Register):
    """Beneficiaries of earlier or other programmes.

    Attributes:
        amount: what it pays a month.
        since: first and last day of entry.
        level, slope: log odds of a head of household of mean welfare, and the effect of welfare.
        programmes: codes with their shares; empty for a list of one programme.
        in_two: share of the listed who are listed under a second programme too.
        verified: share whose file has been verified.
    """

    kind: Literal["beneficiary"]
    amount: float
    since: tuple[str, str]
    level: float = -3.1
    slope: float = -1.6
    programmes: dict[str, Share] = {}
    in_two: Share = 0.0
    verified: Share = 0.5


class AccountRegister(_Register):
    """Accounts: of the post office or transfer network, and of banks."""

    kind: Literal["account"]
    post: str
    post_code: int
    banks: list[str]


class ClinicRegister(_Register):
    """Visits to clinics by mothers and young children in the last year; `kept` is the share who come."""

    kind: Literal["clinic"]
    kept: Share = 0.8
    young: Annotated[int, Field(ge=1, le=18)] = 6


class RequestRegister(_Register):
    """People who asked for a device or service: kinds with their shares of people with a disability."""

    kind: Literal["request"]
    services: dict[str, Share]


class IndexRegister(_Register):
    """An index computed elsewhere for surveyed households.

    Attributes:
        level, spread: index of a household at the mean, and the noise on it; welfare is added whole.
        without_household: share of rows whose household nobody knows.
    """

    kind: Literal["index"]
    level: float
    spread: float
    without_household: Share = 0.0


Register = Annotated[
    PersonRegister
    | WageRegister
    | PensionRegister
    | MeterRegister
    | BillRegister
    | VehicleRegister
    | SaleRegister
    | PropertyRegister
    | SchoolRegister
    | UniversityRegister
    | DisabilityRegister
    | HealthRegister
    | BeneficiaryRegister
    | AccountRegister
    | ClinicRegister
    | RequestRegister
    | IndexRegister,
    Field(discriminator="kind"),
]


class Registers(_Strict):
    """The whole of `registers.yaml`: who delivers besides the survey, by landing table, in order of writing."""

    streets: dict[Literal["arabic", "latin"], Annotated[list[str], Field(min_length=1)]]
    registers: dict[str, Register]


@dataclass(frozen=True)
class Places:
    """Districts, one position each.

    Attributes:
        region, district, region_arabic, district_arabic, postal_code: texts, shape (districts,).
        code: number of the region in national numbers, 0 where it has none.
        latitude, longitude: degrees.
        population: relative number of households.
        urban: share of households in towns.
        welfare: what the region adds to latent welfare.
        neighbours: first and last position of the districts of the same region, shape (districts, 2).
    """

    region: list[str]
    district: list[str]
    region_arabic: list[str]
    district_arabic: list[str]
    postal_code: list[str]
    code: Ints
    latitude: Floats
    longitude: Floats
    population: Floats
    urban: Floats
    welfare: Floats
    neighbours: Ints


@dataclass(frozen=True)
class Settings:
    """Everything a country's `simulation` folder says."""

    world: WorldSettings
    survey: Survey
    registers: Registers
    defects: Defects
    places: Places
    names: Vocabulary


_Model = TypeVar("_Model", bound=BaseModel)


def _yaml(model: type[_Model], file: Path) -> _Model:
    if not file.is_file():
        raise SijillError(f"There is no file {file}.", action="add it, or simulate another country")
    try:
        content: Any = yaml.load(
            file.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        )
        return model.model_validate(content)
    except yaml.YAMLError as error:
        raise SijillError(f"{file} is not valid YAML: {error}", action="correct the file") from error
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise SijillError(f"{file} breaks its schema: {problems}", action="correct the file") from error


def load_settings(country: Country) -> Settings:
    """Read a country's `simulation` folder.

    Raises:
        SijillError: the folder or one of its files is missing or breaks its schema.
    """
    folder = country.folder / "simulation"
    if not folder.is_dir():
        raise SijillError(
            f"{country.name} cannot be simulated: there is no folder {folder}.",
            expected="world.yaml, survey.yaml, registers.yaml, defects.yaml, regions.csv, districts.csv, names.csv",
            action="simulate a country that has it, or give real deliveries with --deliveries",
        )
    return Settings(
        world=_yaml(WorldSettings, folder / "world.yaml"),
        survey=_yaml(Survey, folder / "survey.yaml"),
        registers=_yaml(Registers, folder / "registers.yaml"),
        defects=_yaml(Defects, folder / "defects.yaml"),
        places=_places(folder),
        names=load_vocabulary(folder / "names.csv"),
    )


def _table(file: Path, columns: set[str]) -> pa.Table:
    if not file.is_file():
        raise SijillError(f"There is no file {file}.", action="add it, or simulate another country")
    as_text = pyarrow.csv.ConvertOptions(column_types={"postal_code": pa.string()})
    rows = pyarrow.csv.read_csv(file, convert_options=as_text)
    if missing := sorted(columns - set(rows.column_names)):
        raise SijillError(
            f"{file} lacks the columns {', '.join(missing)}.",
            expected=", ".join(sorted(columns)),
            action="add them",
        )
    return rows


def _places(folder: Path) -> Places:
    rows = _table(
        folder / "districts.csv", {"region", "region_ar", "district", "district_ar", "latitude", "longitude"}
    )
    rows = rows.sort_by([("region", "ascending"), ("district", "ascending")])
    regions = _table(
        folder / "regions.csv", {"region", "population_thousand", "urban_share", "welfare"}
    ).to_pydict()
    order = {name: place for place, name in enumerate(regions["region"])}
    region = rows["region"].to_pylist()
    if unknown := sorted(set(region) - set(order)):
        raise SijillError(
            f"regions.csv in {folder} lacks {', '.join(unknown)}, which districts.csv names.",
            action="add a row for each",
        )
    of = np.array([order[name] for name in region])
    weight = (
        rows["weight"].to_numpy().astype(np.float64) if "weight" in rows.column_names else np.ones(len(of))
    )
    many = np.bincount(of, weight, minlength=len(order))[of]
    names = np.array(region)
    first = np.searchsorted(names, names, side="left")
    last = np.searchsorted(names, names, side="right") - 1
    codes = regions.get("code", [0] * len(order))
    return Places(
        region=region,
        district=rows["district"].to_pylist(),
        region_arabic=rows["region_ar"].to_pylist(),
        district_arabic=rows["district_ar"].to_pylist(),
        postal_code=rows["postal_code"].to_pylist() if "postal_code" in rows.column_names else [""] * len(of),
        code=np.array(codes, dtype=np.int64)[of],
        latitude=rows["latitude"].to_numpy().astype(np.float64),
        longitude=rows["longitude"].to_numpy().astype(np.float64),
        population=np.array(regions["population_thousand"], dtype=np.float64)[of] * weight / many,
        urban=np.array(regions["urban_share"], dtype=np.float64)[of],
        welfare=np.array(regions["welfare"], dtype=np.float64)[of],
        neighbours=np.stack([first, last], axis=1).astype(np.int64),
    )
