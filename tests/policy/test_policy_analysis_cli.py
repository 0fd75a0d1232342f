"""The analyst's commands: helped by examples, light to start, and clear about what is wrong."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from sijill.cli import app
from sijill.country import COUNTRIES_FOLDER
from sijill.errors import SijillError

COMMANDS = ("calibrate", "prepare", "compare", "explain", "stability")
SURVEY = "hhid,size,rooms,car,spending\n" + "\n".join(
    f"h{i},{1 + i % 6},{1 + (i * 7) % 5},{'yes' if i % 3 else 'no'},{300 - 20 * (i % 6) + 30 * ((i * 7) % 5) + i % 11}"
    for i in range(150)
)
SPEC = """
name: small_card
source: a survey made up for a test
survey: {household: hhid, people: size}
outcome: {expression: spending, as: welfare, poverty_line: 280}
model: {folds: 3, regressions: [ordinary]}
variables: [size, rooms, car]
"""


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_with_an_example(command):
    result = CliRunner().invoke(app, ["policy", command, "--help"])
    assert result.exit_code == 0
    assert f"sijill policy {command}" in result.output


def test_a_row_between_two_first_days_is_named(tmp_path):
    shutil.copytree(COUNTRIES_FOLDER / "tunisia" / "policy", tmp_path / "policy")
    file = tmp_path / "policy" / "selection.csv"
    text = file.read_text(encoding="utf-8").replace("2020-05-25,2022-05-31", "2020-05-25,2020-05-31")
    file.write_text(text.replace(",2022-06-01,", ",2020-06-01,"), encoding="utf-8")
    done = CliRunner().invoke(app, ["policy", "check", str(tmp_path)])
    assert "never used: selection.csv line 2" in " ".join(done.output.split())


def test_the_command_line_loads_no_statistics():
    code = (
        "import sys, sijill.cli;"
        "heavy = {'numpy', 'scipy', 'pandas', 'statsmodels', 'duckdb', 'pyarrow'} & set(sys.modules);"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_survey_becomes_a_pack_with_its_report_and_a_household_file(tmp_path):
    (tmp_path / "survey.csv").write_text(SURVEY, encoding="utf-8")
    (tmp_path / "spec.yaml").write_text(SPEC, encoding="utf-8")
    place = {
        name: str(tmp_path / name)
        for name in ("survey.csv", "spec.yaml", "pack", "households.csv", "again.csv")
    }
    arguments = ["policy", "calibrate", "--survey", place["survey.csv"], "--spec", place["spec.yaml"]]
    result = CliRunner().invoke(
        app, [*arguments, "--out", place["pack"], "--households", place["households.csv"]]
    )
    assert result.exit_code == 0, result.output
    assert "exclusion error" in result.output
    assert {f.name for f in (tmp_path / "pack").iterdir()} == {
        "programme.yaml", "indicators.csv", "coefficients.csv", "cutoffs.csv",
        "calibration.html", "calibration.md", "calibration.json",
    }  # fmt: skip
    prepared = ["policy", "prepare", "--survey", place["survey.csv"], "--spec", place["spec.yaml"]]
    assert CliRunner().invoke(app, [*prepared, "--out", place["again.csv"]]).exit_code == 0
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "households.csv").read_bytes()
    assert "h17" not in (tmp_path / "pack" / "calibration.html").read_text(encoding="utf-8")


def test_what_is_wrong_is_said_in_three_parts(tmp_path):
    (tmp_path / "survey.csv").write_text(SURVEY, encoding="utf-8")
    (tmp_path / "spec.yaml").write_text(SPEC.replace("rooms, car", "rooms, boat"), encoding="utf-8")
    arguments = ["--survey", str(tmp_path / "survey.csv"), "--spec", str(tmp_path / "spec.yaml")]
    result = CliRunner().invoke(app, ["policy", "calibrate", *arguments, "--out", str(tmp_path / "pack")])
    assert isinstance(result.exception, SijillError)
    assert "boat" in str(result.exception)
    assert not (tmp_path / "pack").exists()
    result = CliRunner().invoke(app, ["policy", "explain"])
    assert "Name a household" in str(result.exception)
    result = CliRunner().invoke(app, ["policy", "compare", "a", "b", "--welfare", "w.csv"])
    assert "go together" in str(result.exception)
