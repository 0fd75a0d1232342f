"""The specification of a calibration: which survey, which outcome, which variables, which regressions.

`docs/policy-analysis.md` describes the file for those who write one.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from sijill.errors import SijillError
from sijill.policy.settings import Name, Strict

REGRESSIONS = ("ordinary", "quantile", "percentile_weighted")
Regression = Literal["ordinary", "quantile", "percentile_weighted"]
Share = Annotated[float, Field(gt=0, lt=1)]


class Aggregate(Strict):
    """A column of the household made from its people: one of count, sum, min, max and mean."""

    name: Name
    count: str | None = None
    sum: str | None = None
    min: str | None = None
    max: str | None = None
    mean: str | None = None

    @property
    def function_and_expression(self) -> tuple[str, str]:
        """The one function that was given, and what it is of."""
        given = {f: getattr(self, f) for f in ("count", "sum", "min", "max", "mean") if getattr(self, f)}
        if len(given) != 1:
            raise ValueError(f"{self.name}: give one of count, sum, min, max and mean")
        return next(iter(given.items()))

    @model_validator(mode="after")
    def _one_function(self) -> Aggregate:
        _ = self.function_and_expression
        return self


class SurveySpec(Strict):
    """How the survey file is to be read.

    Attributes:
        unit: whether a row is a household or a person.
        household: column that names the household.
        head: for a file of persons, the condition that finds the person who answers for the household; where it finds
            nobody, the household's first row does.
        weight: survey weight of a household; cluster: its primary sampling unit; stratum: its design stratum.
        people: number of its people; for a file of persons, its rows when not given.
        region: for figures by region.
        missing: texts that stand for no answer, beside an empty cell.
        yes, no: texts that stand for 1 and 0 where a column mixes them with numbers, or holds nothing else.
        decimal_comma: whether numbers are written with a comma.
        only: condition for households that count.
        aggregates: columns made from a household's people.
    """

    unit: Literal["household", "person"] = "household"
    household: str
    head: str | None = None
    weight: str | None = None
    cluster: str | None = None
    stratum: str | None = None
    people: str | None = None
    region: str | None = None
    missing: list[str] = ["NA", "N/A", "na", "n/a", ".", "-", "NULL", "null", "NaN", "nan"]
    yes: list[str] = ["yes", "oui", "si", "sí", "true", "نعم"]
    no: list[str] = ["no", "non", "false", "لا"]
    decimal_comma: bool = False
    only: str | None = None
    aggregates: list[Aggregate] = []


class OutcomeSpec(Strict):
    """What is predicted. A higher prediction always means better off.

    Attributes:
        expression: over the household's columns.
        as_: `welfare`, a quantity such as spending a person; `ordered`, levels of which the lowest is the poorest;
            `poor`, a condition that holds for the poor.
        transform: `log` or `none` of welfare; `normal_scores` or `none` of levels.
        poverty_line: for welfare, a number or expression in its unit; poor is below it.
        poor_up_to: for levels, the highest that is poor.
    """

    expression: str
    as_: Annotated[Literal["welfare", "ordered", "poor"], Field(alias="as")]
    transform: Literal["log", "normal_scores", "none"] | None = None
    poverty_line: float | str | None = None
    poor_up_to: float | None = None

    @model_validator(mode="after")
    def _complete(self) -> OutcomeSpec:
        if self.as_ == "welfare" and self.poverty_line is None:
            raise ValueError("as: welfare needs poverty_line")
        if self.as_ == "ordered" and self.poor_up_to is None:
            raise ValueError("as: ordered needs poor_up_to")
        allowed = {"welfare": ("log", "none"), "ordered": ("normal_scores", "none"), "poor": ("none",)}[
            self.as_
        ]
        if self.transform is not None and self.transform not in allowed:
            raise ValueError(f"as: {self.as_} takes transform {' or '.join(allowed)}")
        return self

    @property
    def chosen_transform(self) -> str:
        """The transform, by default log of welfare and normal scores of levels."""
        return self.transform or {"welfare": "log", "ordered": "normal_scores", "poor": "none"}[self.as_]


class VariableSpec(Strict):
    """A variable that may predict.

    Attributes:
        column: a column's name, or a pattern such as `wall_*` for several; or
        expression: SQL over the household's columns, with a name.
        type: `number`, `yes_no` or `category`; found from the values when not given.
        missing: what stands for a missing answer: the mean of those who answered, zero, or a category of its own.
            A variable with more than one missing answer in a hundred also gets a term that says so, unless `zero`.
        square, log: whether to add the square, or take log(1 + x) instead of x.
        clip: lowest and highest value that counts.
        reference: the category whose coefficient is 0; the commonest when not given.
        expect: the direction that makes sense; a term that comes out the other way is left out.
        verifiable: whether somebody can check the answer.
        dimension, label: for the card and its texts.
    """

    column: str | None = None
    expression: str | None = None
    name: Name | None = None
    type: Literal["number", "yes_no", "category"] | None = None
    missing: Literal["mean", "zero"] = "mean"
    square: bool = False
    log: bool = False
    clip: tuple[float, float] | None = None
    reference: str | None = None
    expect: Literal["richer", "poorer"] | None = None
    verifiable: bool = True
    dimension: Name | None = None
    label: dict[str, str] = {}

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: object) -> object:
        return {"column": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_source(self) -> VariableSpec:
        if (self.column is None) == (self.expression is None):
            raise ValueError("a variable is a column or an expression")
        if self.expression is not None and self.name is None:
            raise ValueError(f"the expression {self.expression} needs a name")
        return self


class SelectionSpec(Strict):
    """Which variables stay. `stepwise` lets in, one after another, the variable that lowers the Bayesian
    information criterion most; the terms of a variable come together."""

    method: Literal["stepwise", "none"] = "stepwise"
    max_variables: Annotated[int, Field(ge=1, le=200)] = 40
    keep: list[str] = []
    verifiable_only: bool = False


class ModelSpec(Strict):
    """How predictions are made.

    Attributes:
        regressions: those to fit and to compare.
        write: the one whose card is written; `best` has the lowest exclusion error out of sample.
        quantile: of the quantile regression; the coverage when not given.
        percentile_power: a household at percentile p of welfare weighs (1 - p) to this power.
        strata: expression that cuts the survey in groups, each with its own regression.
        folds: of the cross-validation.
        seed: of the folds.
        decimals: of the coefficients written.
        min_category_share: a category with a smaller share joins the reference.
    """

    regressions: list[Regression] = ["ordinary", "quantile", "percentile_weighted"]
    write: Literal["ordinary", "quantile", "percentile_weighted", "best"] = "ordinary"
    quantile: Share | None = None
    percentile_power: Annotated[float, Field(gt=0, le=10)] = 1.0
    strata: str | None = None
    folds: Annotated[int, Field(ge=2, le=50)] = 10
    seed: Annotated[int, Field(ge=0)] = 1
    decimals: Annotated[int, Field(ge=0, le=8)] = 4
    min_category_share: Annotated[float, Field(ge=0, lt=0.5)] = 0.01
    selection: SelectionSpec = SelectionSpec()

    @field_validator("regressions")
    @classmethod
    def _some(cls, value: list[Regression]) -> list[Regression]:
        if not value or len(set(value)) < len(value):
            raise ValueError("name at least one regression, each once")
        return value

    @model_validator(mode="after")
    def _writes_what_it_fits(self) -> ModelSpec:
        if self.write != "best" and self.write not in self.regressions:
            raise ValueError(f"write: {self.write} is not among the regressions")
        return self


class ProgrammeSpec(Strict):
    """What the card is for.

    Attributes:
        coverage: share that the programme reaches; the poverty rate when not given.
        count: whether that share is of people or of households.
        benefit: amount a household gets in the outcome's unit and period, for the poverty gap; optional.
    """

    coverage: Share | None = None
    count: Literal["people", "households"] = "people"
    benefit: float | None = None


class CalibrationSpec(Strict):
    """The whole specification."""

    name: Name
    title: dict[str, str] = {}
    source: str
    valid_from: date = date(2000, 1, 1)
    survey: SurveySpec
    outcome: OutcomeSpec
    programme: ProgrammeSpec = ProgrammeSpec()
    model: ModelSpec = ModelSpec()
    variables: Annotated[list[VariableSpec], Field(min_length=1)]


def load_spec(file: Path | str) -> CalibrationSpec:
    """Read a specification.

    Raises:
        SijillError: no such file, not YAML, or a key that is missing, unknown or wrong; all are listed.
    """
    path = Path(file)
    if not path.is_file():
        raise SijillError(f"There is no file {path}.", expected="a calibration spec", action="correct --spec")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SijillError(
            f"{path.name} is not readable as YAML: {' '.join(str(error).split())}",
            expected="a file as docs/policy-analysis.md describes it",
            action="correct the line named above",
        ) from error
    try:
        return CalibrationSpec.model_validate(content)
    except ValidationError as error:
        faults = [f"  - {'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg']}" for e in error.errors()]
        raise SijillError(
            f"{path.name} has {len(faults)} fault(s):\n" + "\n".join(faults),
            expected="the keys that docs/policy-analysis.md describes",
            action="correct the keys named above",
        ) from error
