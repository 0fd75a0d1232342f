"""JSON Schema of the spec of `sijill link`, for editors: written from the meanings, committed beside the code.

`python -m linkage.schema` writes it; a test holds it to the meanings. It knows each word as docs/linkage.md has it,
with underscores; the reader (`linkage.spec`) also takes other ways to write one, and a mapping the other way round.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from linkage.spec import HEADINGS, MEANINGS, SEVERAL, SIDES, UNIQUE_WORDS

FILE = Path(__file__).resolve().parent / "schemas" / "link_spec.schema.json"
_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_COLUMN = {"type": ["string", "integer"]}
_NESTED = (*SEVERAL, "address", "birth_date")


def schema() -> dict[str, Any]:
    """The schema of a spec file."""
    meanings = {
        word: {"$ref": f"#/$defs/{meaning}"}
        for meaning, words in MEANINGS.items()
        for word in (meaning, *words)
    }
    columns = {"type": "object", "properties": meanings, "additionalProperties": False}
    side = {
        "type": "object",
        "properties": meanings
        | {
            word: {"type": "boolean", "description": "this file holds each person once"}
            for word in UNIQUE_WORDS
        }
        | {heading: {"$ref": "#/$defs/columns"} for heading in HEADINGS},
        "additionalProperties": False,
    }
    unique = {
        "description": "which files hold each person once; without it, the data tell",
        "anyOf": [
            {"type": "boolean"},
            {"enum": ["left", "right", "both", "none", "auto"]},
            {"type": "array", "items": {"enum": ["left", "right"]}},
        ],
    }
    properties = (
        meanings
        | {heading: {"$ref": "#/$defs/columns"} for heading in HEADINGS}
        | {name: {"$ref": "#/$defs/side"} for name in SIDES}
        | dict.fromkeys(UNIQUE_WORDS, unique)
        | {word: {"type": "string", "description": "not read"} for word in ("title", "description", "notes")}
    )
    return {
        "$schema": _DRAFT,
        "title": "Spec of sijill link",
        "description": "What the columns of one or two files mean: one `meaning: column` a line.",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "$defs": {"columns": columns, "side": side} | {meaning: _columns(meaning) for meaning in MEANINGS},
    }


def _columns(meaning: str) -> dict[str, Any]:
    compared = (
        "columns, each compared on its own" if meaning in SEVERAL else "column, or columns read as one text"
    )
    kinds: list[dict[str, Any]] = [_COLUMN, {"type": "array", "items": _COLUMN, "minItems": 1}]
    if meaning in _NESTED:
        kinds.append({"type": "object", "additionalProperties": _COLUMN, "minProperties": 1})
    return {"description": f"{meaning}: {compared}", "anyOf": kinds}


def write() -> None:
    """Write the schema beside this module."""
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(schema(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
