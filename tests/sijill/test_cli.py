"""The command as people meet it: help, errors that say what to do, exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sijill.cli import app

COMMANDS = ("run", "simulate", "identity", "sql", "status", "ui", "stop")


def sijill(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sijill.cli", *arguments],
        env={**os.environ, "SIJILL_HOME": str(home), "COLUMNS": "200"},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    done = CliRunner().invoke(app, [command, "--help"], prog_name="sijill", env={"COLUMNS": "200"})
    assert done.exit_code == 0
    assert f"sijill {command}" in done.stdout
    assert "Example" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "seen", "todo"),
    [
        (("run", "--cycle", "2026-13"), "not a month", "YYYY-MM"),
        (("run", "--cycle", "1999-01"), "no cycle 1999-01", "correct --cycle"),
        (("run", "--country", "atlantis"), "No country at 'atlantis'", "correct --country"),
        (("run", "--deliveries", "/no/such/folder"), "no folder /no/such/folder", "correct --deliveries"),
        (("run", "--deliveries", "{empty}"), "holds no file that a contract", "correct --deliveries"),
    ],
)
def test_a_wrong_request_is_answered_with_what_to_do(
    arguments: tuple[str, ...], seen: str, todo: str, tmp_path: Path
) -> None:
    done = sijill(*(a.replace("{empty}", str(tmp_path)) for a in arguments), home=tmp_path / "home")
    assert done.returncode == 1
    assert seen in done.stderr
    assert todo in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_option_is_named_and_ends_with_code_two(tmp_path: Path) -> None:
    done = sijill("run", "--colour", "blue", home=tmp_path)
    assert done.returncode == 2
    assert "--colour" in done.stderr


@pytest.mark.postgres
def test_a_query_is_answered_and_cannot_change_anything(data_home: Path) -> None:
    answer = sijill("sql", "--csv", "select name as n from audit.installation", home=data_home)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.split()[0] == "n"
    for attempt in ("delete from audit.installation", "commit; delete from audit.installation"):
        refused = sijill("sql", attempt, home=data_home)
        assert refused.returncode == 1
        assert "read-only" in refused.stderr
    broken = sijill("sql", "selec 1", home=data_home)
    assert broken.returncode == 1
    assert "correct the query" in broken.stderr
