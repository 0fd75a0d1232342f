"""A country: a folder of data that one engine runs.

`country.yaml` says what the folder cannot say by itself; contracts, policy and models lie beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sijill.errors import SijillError

COUNTRIES_FOLDER = Path(__file__).resolve().parent.parent / "countries"
DEFAULT_COUNTRY = "tunisia"

_Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class _TruthFile(BaseModel):
    """Where evaluation finds who is who, and by which names its sources go there."""

    model_config = ConfigDict(extra="forbid")
    file: str
    source_column: str
    key_column: str
    person_column: str
    sources: dict[str, str] = {}


class CountrySettings(BaseModel):
    """The content of `country.yaml`; an unknown entry is an error."""

    model_config = ConfigDict(extra="forbid")
    code: _Slug
    name: dict[str, str]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    currency_decimals: Annotated[int, Field(ge=0, le=4)]
    timezone: str
    languages: list[str]
    programme: _Slug
    first_cycle: Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
    spine: _Slug
    surveys: list[_Slug]
    truth: _TruthFile | None = None


@dataclass(frozen=True)
class Country:
    """A country's folder and settings."""

    folder: Path
    settings: CountrySettings = field(repr=False)

    @classmethod
    def load(cls, folder: Path | str) -> Country:
        """Read `country.yaml` in `folder`, or in `countries/<folder>` when only a name is given.

        Raises:
            SijillError: no such folder or file, or settings that break their schema (all are listed).
        """
        path = Path(folder)
        if not path.is_dir() and (COUNTRIES_FOLDER / path).is_dir():
            path = COUNTRIES_FOLDER / path
        path = path.resolve()
        file = path / "country.yaml"
        if not file.is_file():
            known = sorted(f.parent.name for f in COUNTRIES_FOLDER.glob("*/country.yaml"))
            raise SijillError(
                f"No country at '{folder}': there is no file {file}.",
                expected=f"the name of a country ({', '.join(known)}) or a folder with a country.yaml",
                action="correct --country",
            )
        try:
            content: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
            settings = CountrySettings.model_validate(content)
        except yaml.YAMLError as error:
            raise SijillError(f"{file} is not valid YAML: {error}", action="correct the file") from error
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise SijillError(f"{file} breaks its schema: {problems}", action="correct the file") from error
        return cls(path, settings)

    @property
    def code(self) -> str:
        """Short name in identifiers, such as `tunisia`."""
        return self.settings.code

    @property
    def name(self) -> str:
        """The country's name in English."""
        return self.settings.name["en"]

    @property
    def currency(self) -> str:
        """ISO 4217 code."""
        return self.settings.currency

    @property
    def currency_decimals(self) -> int:
        """Decimals of the currency's smallest unit (ISO 4217)."""
        return self.settings.currency_decimals

    @property
    def languages(self) -> list[str]:
        """ISO 639-1 codes, the first being the one of letters to citizens."""
        return self.settings.languages

    @property
    def programme(self) -> str:
        """The programme that the policy folder decides."""
        return self.settings.programme

    @property
    def spine(self) -> str:
        """Landing table of the population register, to which every record is linked."""
        return self.settings.spine

    @property
    def surveys(self) -> list[str]:
        """Landing tables that list surveyed people."""
        return self.settings.surveys

    @cached_property
    def sources_folder(self) -> Path:
        """Folder of source contracts."""
        return self.folder / "sources"

    @cached_property
    def policy_folder(self) -> Path:
        """Folder of dated policy data."""
        return self.folder / "policy"

    @cached_property
    def models_folder(self) -> Path:
        """Folder of versioned linkage models."""
        return self.folder / "models"
