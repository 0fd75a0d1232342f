"""What a country's `simulation` folder says: its people, its places, its survey and its defects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
import pyarrow.csv
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sijill.country import Country
from sijill.errors import SijillError
from simulation.draws import Floats, Ints
from simulation.names import Vocabulary, load_vocabulary

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


class _RecordRates(_Strict):
    default: RecordDefects
    sources: dict[str, dict[str, Share]] = {}


class Defects(_Strict):
    """The whole of `defects.yaml`."""

    records: _RecordRates
    world: WorldDefects
    rows: RowDefects

    def of(self, source: str) -> RecordDefects:
        """Rates of one source: the default ones with its own in their place."""
        own = self.records.sources.get(source, {})
        return RecordDefects.model_validate({**self.records.default.model_dump(), **own})


class Welfare(_Strict):
    """Latent welfare: log of monthly consumption a head."""

    mean: float
    spread: float
    urban: float
    delegation: float


class WorldSettings(_Strict):
    """The whole of `world.yaml`."""

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


@dataclass(frozen=True)
class Places:
    """Delegations, one position each.

    Attributes:
        region, district, region_arabic, district_arabic, postal_code: texts, shape (delegations,).
        latitude, longitude: degrees.
        population: relative number of households.
        urban: share of households in towns.
        welfare: what the governorate adds to latent welfare.
        neighbours: first and last position of the delegations of the same governorate, shape (delegations, 2).
    """

    region: list[str]
    district: list[str]
    region_arabic: list[str]
    district_arabic: list[str]
    postal_code: list[str]
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
            expected="world.yaml, survey.yaml, defects.yaml, governorates.csv, delegations.csv, names.csv",
            action="simulate a country that has it, or give real deliveries with --deliveries",
        )
    return Settings(
        world=_yaml(WorldSettings, folder / "world.yaml"),
        survey=_yaml(Survey, folder / "survey.yaml"),
        defects=_yaml(Defects, folder / "defects.yaml"),
        places=_places(folder),
        names=load_vocabulary(folder / "names.csv"),
    )


def _places(folder: Path) -> Places:
    as_text = pyarrow.csv.ConvertOptions(column_types={"postal_code": "string"})
    rows = pyarrow.csv.read_csv(folder / "delegations.csv", convert_options=as_text)
    rows = rows.sort_by([("governorate", "ascending"), ("delegation", "ascending")])
    governorates = pyarrow.csv.read_csv(folder / "governorates.csv").to_pydict()
    order = {name: place for place, name in enumerate(governorates["governorate"])}
    region = rows["governorate"].to_pylist()
    if unknown := sorted(set(region) - set(order)):
        raise SijillError(
            f"governorates.csv in {folder} lacks {', '.join(unknown)}, which delegations.csv names.",
            action="add a row for each",
        )
    of = np.array([order[name] for name in region])
    many = np.bincount(of, minlength=len(order))[of]
    names = np.array(region)
    first = np.searchsorted(names, names, side="left")
    last = np.searchsorted(names, names, side="right") - 1
    return Places(
        region=region,
        district=rows["delegation"].to_pylist(),
        region_arabic=rows["governorate_ar"].to_pylist(),
        district_arabic=rows["delegation_ar"].to_pylist(),
        postal_code=rows["postal_code"].to_pylist(),
        latitude=rows["latitude"].to_numpy(),
        longitude=rows["longitude"].to_numpy(),
        population=np.array(governorates["population_2014_thousand"], dtype=np.float64)[of] / many,
        urban=np.array(governorates["urban_share"])[of],
        welfare=np.array(governorates["welfare"])[of],
        neighbours=np.stack([first, last], axis=1).astype(np.int64),
    )
