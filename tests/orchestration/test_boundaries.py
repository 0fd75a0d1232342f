"""The rooms stay apart: who may import what."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = (
    "sijill",
    "warehouse",
    "intake",
    "linkage",
    "expectations",
    "disbursement",
    "orchestration",
    "simulation",
)


@cache  # Every question is about the same files.
def imports(file: Path) -> frozenset[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
    return frozenset(names)


def importers_of(package: str) -> set[str]:
    return {
        room
        for room in ROOMS
        for file in (ROOT / room).rglob("*.py")
        if any(name == package or name.startswith(package + ".") for name in imports(file))
    }


def test_only_orchestration_imports_dagster() -> None:
    assert importers_of("dagster") == {"orchestration"}
    assert importers_of("dagster_dbt") == {"orchestration"}


def test_only_the_command_line_imports_the_simulation() -> None:
    assert importers_of("simulation") <= {"simulation", "sijill"}
    users = [
        f for f in (ROOT / "sijill").rglob("*.py") if any(n.startswith("simulation") for n in imports(f))
    ]
    assert [f.name for f in users] == ["cli.py"]


def test_no_room_but_orchestration_and_the_command_line_imports_a_later_one() -> None:
    flow = ["warehouse", "intake", "linkage", "expectations", "disbursement"]
    for place, room in enumerate(flow):
        for later in flow[place + 1 :]:
            assert room not in importers_of(later), f"{room} imports {later}"
