"""`programme.yaml`: programmes, their statuses and payee rules; scorecards and their direction."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Strict(BaseModel):
    """A model that refuses what it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


Method = Literal["additive", "proxy_means", "alkire_foster"]
Missing = Literal["zero", "drop", "reweight"]


class Scorecard(Strict):
    """A scorecard: how its items become one number, which end of it is poor, and whom its population figures count."""

    method: Annotated[
        Method,
        Field(
            description="additive: points added up (scorecard.csv). proxy_means: coefficients times facts "
            "(coefficients.csv), the logarithm of predicted spending. alkire_foster: weighted share of deprivations "
            "(deprivations.csv)."
        ),
    ] = "additive"
    direction: Annotated[
        Literal["higher_is_poorer", "lower_is_poorer"],
        Field(description="Which end of the score is the poorest"),
    ]
    ties: Annotated[
        Literal["share", "household_id"],
        Field(
            description="share: equal scores share the rank of the first; household_id: told apart by identifier"
        ),
    ] = "share"
    missing: Annotated[
        Missing | None,
        Field(
            description="What a missing indicator does. zero: it contributes nothing. drop: the household gets "
            "no score. reweight (alkire_foster only): the weights of the known indicators are scaled to add up to 1. "
            "Default: zero when additive, drop when proxy_means; alkire_foster must say."
        ),
    ] = None
    dimensions: Annotated[list[Name], Field(description="Dimensions that the items belong to", min_length=1)]
    stratum: Annotated[
        Name | None, Field(description="proxy_means: the indicator whose value chooses the coefficients")
    ] = None
    people: Annotated[
        Name | None,
        Field(description="Indicator that gives the people of a household; without it each counts as one"),
    ] = None
    weight: Annotated[
        Name | None, Field(description="Indicator that gives the survey weight of a household; without it 1")
    ] = None
    groups: Annotated[
        list[Name], Field(description="Indicators by which the population figures are broken down")
    ] = []
    note: Annotated[str, Field(description="What a reader should know")] = ""

    @model_validator(mode="after")
    def _fits_its_method(self) -> Self:
        if self.method == "alkire_foster" and self.missing is None:
            raise ValueError(
                "alkire_foster must state `missing`: drop (the household) or reweight (the known indicators)"
            )
        if self.missing == "reweight" and self.method != "alkire_foster":
            raise ValueError(f"`missing: reweight` is for alkire_foster; {self.method} takes zero or drop")
        if self.method == "alkire_foster" and self.direction != "higher_is_poorer":
            raise ValueError("an alkire_foster score counts deprivations: its direction is higher_is_poorer")
        if self.stratum and self.method != "proxy_means":
            raise ValueError(f"`stratum` is for proxy_means, and the method is {self.method}")
        return self

    @property
    def on_missing(self) -> Missing:
        """What a missing indicator does, the method's default where the card does not say."""
        return self.missing or ("drop" if self.method == "proxy_means" else "zero")

    @property
    def context(self) -> list[str]:
        """Indicators that the card reads beside its items."""
        return list(
            dict.fromkeys(name for name in (self.stratum, self.people, self.weight, *self.groups) if name)
        )


class Statuses(Strict):
    """The programme's own word for each outcome."""

    selected: Name
    passed: Name
    failed: Name
    waiting: Name = "waiting"
    suspended: Name = "suspended"
    pending: Name = "pending_verification"


class Programme(Strict):
    """A programme: its card, its statuses, who is paid and how amounts are rounded."""

    code: Name
    name: dict[str, str]
    scorecard: str | None = None
    statuses: Statuses
    payee: list[Literal["head", "spouse", "oldest_adult"]]
    rounding: Literal["half_up"]
    notes: list[str] = []


InputType = Literal["text", "boolean", "integer", "bigint", "numeric", "date"]


class Inputs(Strict):
    """The columns of flat files, for a pack that reads files and not the registry."""

    households: Annotated[dict[str, InputType], Field(description="Type by column of the households' file")]
    members: Annotated[dict[str, InputType], Field(description="Type by column of the members' file")] = {}


class Defaults(Strict):
    """Cells of columns that a file's header leaves out."""

    valid_from: date | None = None
    valid_to: date | None = None
    standing: Literal["law", "official", "illustrative"] | None = None
    source: str | None = None

    @property
    def cells(self) -> dict[str, str]:
        """Text by column."""
        given = {name: value for name, value in self.model_dump().items() if value is not None}
        cells = {
            name: value.isoformat() if isinstance(value, date) else value for name, value in given.items()
        }
        return cells | ({"valid_to": ""} if "valid_from" in cells and "valid_to" not in cells else {})


class ProgrammeFile(Strict):
    """The content of `programme.yaml`: a country's programmes and scorecards, or an analyst's scorecards alone."""

    languages: Annotated[list[str], Field(description="Languages that every reason has a text in")] = []
    inputs: Annotated[
        Inputs | None, Field(description="Columns of flat files; without it the pack reads the registry")
    ] = None
    defaults: Annotated[Defaults, Field(description="Cells of columns that a CSV header leaves out")] = (
        Defaults()
    )
    scorecards: Annotated[dict[Name, Scorecard], Field(description="Scorecards by name")]
    programmes: Annotated[
        list[Programme], Field(description="Programmes; a pack of scorecards alone has none")
    ] = []
