"""`programme.yaml`: programmes, their statuses and payee rules; scorecards and their direction."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Strict(BaseModel):
    """A model that refuses what it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Scorecard(Strict):
    """How the points of one scorecard add up and are ranked."""

    direction: Literal["higher_is_poorer", "lower_is_poorer"]
    ties: Literal["share", "household_id"]
    dimensions: list[str]
    note: str = ""


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


class ProgrammeFile(Strict):
    """The content of `programme.yaml`."""

    languages: list[str]
    scorecards: dict[str, Scorecard]
    programmes: list[Programme]
