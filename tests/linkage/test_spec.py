"""What a spec may say, and what it is told when it says something else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.model import LinkageError
from linkage.schema import FILE, schema
from linkage.spec import MEANINGS, Spec, meaning_of


def test_a_flat_spec_means_the_same_for_both_files() -> None:
    spec = Spec.parse({"key": "rec_id", "given_name": "first", "date_of_birth": "dob"})
    assert spec.left == spec.right
    assert spec.left.columns == {"key": ("rec_id",), "given_name": ("first",), "birth_date": ("dob",)}
    assert spec.unique == "auto"


def test_a_side_overrides_what_is_shared() -> None:
    spec = Spec.parse({"key": "id", "surname": "nom", "left": {"surname": "last"}, "right": {"key": "no"}})
    assert spec.left.columns["family_name"] == ("last",)
    assert spec.right.columns == {"key": ("no",), "family_name": ("nom",)}
    assert spec.left.own == {"family_name"}


@pytest.mark.parametrize("word", ["columns", "fields", "mapping", "shared"])
def test_a_mapping_may_stand_under_a_heading(word: str) -> None:
    spec = Spec.parse({word: {"id": "k", "dob": "d"}, "left": {word: {"sex": "s"}}})
    assert spec.left.columns == {"key": ("k",), "birth_date": ("d",), "sex": ("s",)}


def test_columns_may_be_several_nested_or_the_other_way_round() -> None:
    spec = Spec.parse(
        {
            "key": "k",
            "locality": ["suburb", "address_2"],
            "address": {"street": "st", "house_number": "no"},
            "attributes": {"occupation": "job", "shoe size": "shoes"},
            "column_of_births": "birth_date",
        }
    )
    assert spec.left.columns == {
        "key": ("k",), "locality": ("suburb", "address_2"), "street": ("st",), "house_number": ("no",),
        "attribute": ("job", "shoes"), "birth_date": ("column_of_births",),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("said", "meant"),
    [("right", "right"), ("left", "left"), (True, "both"), (["left", "right"], "both"), (False, "none")],
)
def test_unique_is_said_in_several_ways(said: object, meant: str) -> None:
    assert Spec.parse({"key": "k", "unique": said}).unique == meant


def test_a_side_may_say_that_it_is_unique() -> None:
    assert Spec.parse({"key": "k", "right": {"unique": True, "sex": "s"}}).unique == "right"


def test_every_word_that_is_not_understood_is_named_with_what_is_known() -> None:
    with pytest.raises(LinkageError) as caught:
        Spec.parse({"key": "k", "giben_name": "g", "zodiac": "z"})
    message = str(caught.value)
    assert "`giben_name` (do you mean `given_name`?)" in message
    assert "`zodiac`" in message
    assert all(meaning in message for meaning in MEANINGS)


def test_a_spec_without_a_key_is_refused() -> None:
    with pytest.raises(LinkageError, match="names no key"):
        Spec.parse({"given_name": "g"})


@pytest.mark.parametrize("content", [None, [], "text", {}])
def test_what_is_no_mapping_is_refused(content: object) -> None:
    with pytest.raises(LinkageError, match="not a mapping"):
        Spec.parse(content)


def test_a_file_that_is_not_there_or_not_yaml_is_named(tmp_path: Path) -> None:
    with pytest.raises(LinkageError, match="There is no spec"):
        Spec.read(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(LinkageError, match=r"bad\.yaml cannot be read as YAML"):
        Spec.read(tmp_path / "bad.yaml")


@given(st.sampled_from([(m, w) for m, words in MEANINGS.items() for w in (m, *words)]), st.booleans())
def test_a_word_has_one_meaning_however_it_is_written(pair: tuple[str, str], upper: bool) -> None:
    meaning, word = pair
    written = word.replace("_", " ").upper() if upper else word.replace("_", "-")
    assert meaning_of(written) == meaning


def test_the_committed_schema_is_that_of_the_meanings() -> None:
    assert json.loads(FILE.read_text(encoding="utf-8")) == schema(), "run `python -m linkage.schema`"


@pytest.mark.parametrize(
    ("content", "is_valid"),
    [
        ({"key": "k", "given_name": "g", "locality": ["suburb", "town"], "unique": "right"}, True),
        ({"left": {"id": "k", "unique": True}, "right": {"columns": {"id": "no", "dob": "born"}}}, True),
        ({"key": "k", "address": {"street": "rue", "house_number": 3}}, True),
        ({"key": "k", "giben_name": "g"}, False),
        ({"left": {"id": "k", "zodiac": "z"}}, False),
        ({"key": "k", "unique": "middle"}, False),
        ({"key": "k", "given_name": {"column": ["a"]}}, False),
    ],
)
def test_the_schema_tells_a_spec_from_a_slip(content: dict[str, Any], is_valid: bool) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    assert jsonschema.Draft202012Validator(schema()).is_valid(content) is is_valid
    if is_valid:
        Spec.parse(content)


@pytest.mark.parametrize("column", ["no", "on", "012", "1e3", "1980-02-03"])
def test_a_column_may_have_a_name_that_yaml_takes_for_something_else(column: str, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(f"key: {column}\nunique: no\nsex:\nphone: null\n", encoding="utf-8")
    spec = Spec.read(tmp_path / "spec.yaml")
    assert spec.left.columns == {"key": (column,)}
    assert spec.unique == "none"


def test_a_word_that_stands_twice_is_told_and_where(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("key: k\nattribute: a\nattribute: b\n", encoding="utf-8")
    with pytest.raises(LinkageError, match=r"`attribute` stands twice.*line 3"):
        Spec.read(tmp_path / "spec.yaml")


def test_a_fault_of_yaml_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("key: k\nleft:\n\tsex: s\n", encoding="utf-8")
    with pytest.raises(LinkageError, match=r"line 3"):
        Spec.read(tmp_path / "spec.yaml")
