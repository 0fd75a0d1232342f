"""JSON Schemas of packs, for editors: written from the models, committed beside the code.

`python -m sijill.policy.schema` writes them; a test holds them to the models. `programme.schema.json` is that of
`programme.yaml`, which names it in its first line; `tables.schema.json` has the columns of each CSV file: rows of text.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sijill.policy.kinds import KINDS
from sijill.policy.rows import STANDINGS
from sijill.policy.settings import ProgrammeFile

FOLDER = Path(__file__).resolve().parent / "schemas"
_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_DATE = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"}


def schemas() -> dict[str, dict[str, Any]]:
    """Content by file name."""
    programme = {"$schema": _DRAFT, **ProgrammeFile.model_json_schema()}
    tables = {
        "$schema": _DRAFT,
        "title": "Tables of a policy pack",
        "description": "One row of each CSV file of a policy pack. Every cell is text.",
        "$defs": {name: _row(name) for name in KINDS},
    }
    return {"programme.schema.json": programme, "tables.schema.json": tables}


def _row(name: str) -> dict[str, Any]:
    kind = KINDS[name]
    defaults = dict(kind.defaults)
    cells: dict[str, Any] = {
        column: {"type": "string"}
        | ({} if column in kind.optional or column in defaults else {"minLength": 1})
        | ({"default": defaults[column]} if column in defaults else {})
        | ({"description": "an SQL expression"} if column in kind.expressions else {})
        for column in kind.columns
    }
    cells |= {
        "valid_from": _DATE | {"description": "first day in force"},
        "valid_to": {
            "anyOf": [_DATE, {"const": ""}],
            "description": "last day in force; empty: until the next row of the series, or without end",
        },
        "published_on": {
            "anyOf": [_DATE, {"const": ""}],
            "default": "",
            "description": "day on which it could first be known; empty: before it began",
        },
        "standing": {"enum": list(STANDINGS)},
        "source": {"type": "string", "description": "law, page or reason that the row rests on"},
    }
    optional = {*defaults, "published_on", *(["source"] if kind.cites_by else [])}
    return {
        "title": kind.file,
        "type": "object",
        "properties": cells,
        "required": [column for column in cells if column not in optional],
        "additionalProperties": False,
    }


def write() -> None:
    """Write the schemas beside this module."""
    FOLDER.mkdir(exist_ok=True)
    for file, content in schemas().items():
        text = json.dumps(content, indent=2, ensure_ascii=False)
        (FOLDER / file).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
