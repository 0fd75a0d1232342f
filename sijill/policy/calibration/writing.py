"""The pack of a calibrated card: data that `sijill policy check` reads and `sijill policy score` runs.

A pack of this kind reads flat files: `inputs` names the columns of the household file that `sijill policy prepare`
makes from the survey, or from another survey with the same questions.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import yaml
from sqlglot import exp

from sijill.errors import SijillError
from sijill.policy.calibration.fitting import Calibration
from sijill.policy.calibration.report import report
from sijill.policy.expressions import parse
from sijill.policy.targeting import Accuracy, Estimate

CUTOFF = "covered"
REPORT_HTML, REPORT_MARKDOWN, REPORT_JSON = "calibration.html", "calibration.md", "calibration.json"


def write_pack(calibration: Calibration, folder: Path) -> None:
    """Write the pack and its report.

    Raises:
        SijillError: a folder that holds something else than an earlier calibration.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / REPORT_JSON).is_file():
        raise SijillError(
            f"{folder} is not empty, and holds no earlier calibration.",
            expected="a new folder, or that of an earlier calibration",
            action="choose another --out",
        )
    folder.mkdir(parents=True, exist_ok=True)
    spec, card = calibration.spec, calibration.card
    used = sorted({j for of in card.coefficients.values() for j in of})
    terms = [calibration.terms[j] for j in used]
    indicators = [(t.name, t.sql, "numeric", t.description) for t in terms]
    context: dict[str, Any] = {}
    people = spec.survey.people or ("people_counted" if spec.survey.unit == "person" else None)
    for key, name, expression, kind, description in (
        ("people", "people", people, "numeric", "People of the household"),
        ("weight", "survey_weight", spec.survey.weight, "numeric", "Survey weight of the household"),
        ("stratum", "stratum", spec.model.strata, "text", "Stratum, which chooses the coefficients"),
        ("groups", "region", spec.survey.region, "text", "Region, for the population figures"),
    ):
        if expression:
            sql = calibration.survey.sql(expression, name)
            free = _free(name, {t.name for t in terms})
            typed = f"cast({sql} as text)" if kind == "text" else sql
            indicators.append((free, typed, kind, description))
            context[key] = [free] if key == "groups" else free
    kinds = calibration.survey.kinds
    read = sorted({c.name for _, sql, _, _ in indicators for c in parse(sql).find_all(exp.Column)})
    settings = {
        "languages": ["ar", "fr", "en"],
        "inputs": {"households": {c: "numeric" if kinds[c] == "number" else "text" for c in read}},
        "defaults": {
            "valid_from": spec.valid_from,
            "standing": "illustrative",
            "source": f"Calibrated ({card.regression.replace('_', '-')} regression) on: {spec.source}",
        },
        "scorecards": {
            spec.name: {
                "method": "proxy_means",
                "direction": "lower_is_poorer",
                "ties": "share",
                "dimensions": sorted({t.dimension for t in terms} | {"household"}),
                **context,
                "note": f"Illustrative. A higher score is better off; its unit is {_unit(calibration)}.",
            }
        },
    }
    (folder / "programme.yaml").write_text(
        yaml.safe_dump(settings, sort_keys=False, allow_unicode=True, width=110), encoding="utf-8"
    )
    _csv(folder / "indicators.csv", ("indicator", "expression", "type", "description"), indicators)
    rows = []
    for stratum, of in card.coefficients.items():
        rows.append((spec.name, stratum, "household", "constant", card.intercepts[stratum]))
        rows += [
            (spec.name, stratum, calibration.terms[j].dimension, calibration.terms[j].name, b)
            for j, b in of.items()
        ]
    _csv(folder / "coefficients.csv", ("scorecard", "stratum", "dimension", "indicator", "coefficient"), rows)
    _csv(
        folder / "cutoffs.csv",
        ("scorecard", "cutoff", "operator", "value"),
        [(spec.name, CUTOFF, "<=", card.cutoff)],
    )
    page = report(calibration)
    page.write(folder / REPORT_HTML, folder / REPORT_MARKDOWN)
    (folder / REPORT_JSON).write_text(
        json.dumps(figures(calibration), indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def figures(calibration: Calibration) -> dict[str, Any]:
    """The report's figures as plain JSON: no household's data."""
    spec, card = calibration.spec, calibration.card
    return {
        "name": spec.name,
        "standing": "illustrative",
        "source": spec.source,
        "households": calibration.households,
        "rows": calibration.rows,
        "coverage": calibration.coverage,
        "counted": spec.programme.count,
        "folds": spec.model.folds,
        "seed": spec.model.seed,
        "card": {
            "regression": card.regression,
            "cutoff": card.cutoff,
            "largest_effect_of_rounding": card.largest_effect,
            "households_that_rounding_moved": card.sides_changed,
            "terms": sorted({calibration.terms[j].name for of in card.coefficients.values() for j in of}),
        },
        "regressions": {
            name: {
                "terms": r.terms,
                "r2": {"in_sample": r.r2_in, "out_of_sample": r.r2_out},
                "auc_out_of_sample": r.auc_out,
                "in_sample": _accuracy(r.inside),
                "out_of_sample": _accuracy(r.outside),
                "out_of_sample_at_poverty_line": _accuracy(r.at_line),
                "regions_out_of_sample": {region: _accuracy(a) for region, a in r.regions.items()},
            }
            for name, r in calibration.results.items()
        },
    }


def _accuracy(measured: Accuracy) -> dict[str, Any]:
    names = (
        "poverty",
        "coverage",
        "exclusion_error",
        "inclusion_error",
        "cgh",
        "poverty_gap_closed",
    )
    return {"households": measured.n} | {
        name: _estimate(getattr(measured, name)) for name in names if getattr(measured, name) is not None
    }


def _estimate(estimate: Estimate) -> dict[str, float | None]:
    def plain(value: float) -> float | None:
        return value if value == value else None

    return {
        "value": plain(estimate.value),
        "low": plain(estimate.low),
        "high": plain(estimate.high),
        "standard_error": estimate.standard_error,
    }


def _unit(calibration: Calibration) -> str:
    asked = calibration.spec.outcome
    return {
        ("welfare", "log"): "logarithm of welfare",
        ("welfare", "none"): "welfare",
        ("ordered", "normal_scores"): "standard normal",
        ("ordered", "none"): "level",
        ("poor", "none"): "chance of not being poor",
    }[(asked.as_, asked.chosen_transform)]


def _free(name: str, taken: set[str]) -> str:
    return name if name not in taken else _free(f"{name}_of_household", taken)


def _csv(file: Path, header: tuple[str, ...], rows: list[Any]) -> None:
    with file.open("w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
