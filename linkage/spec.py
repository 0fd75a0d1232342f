"""What the columns of a file mean: the spec that `sijill link` reads.

What belongs here: the meanings that linkage knows, the words people use for them, and the reading of a spec
file. What does not: reading the data (`linkage.files`) and what an agreement is worth (`linkage.model`).

A spec says only what columns mean, never how to compare them: docs/linkage.md.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from linkage.model import LinkageError

MEANINGS: dict[str, tuple[str, ...]] = {
    "key": ("id", "record_id", "unique_id", "row_id", "record_key", "identifier", "primary_key"),
    "full_name": ("name", "person_name", "whole_name", "complete_name", "holder", "holder_name", "owner_name",
                  "customer_name", "subscriber", "subscriber_name", "nom_complet", "full_name_ar"),
    "full_name_alt": ("full_name_2", "other_name", "name_alt", "full_name_other_script", "alias", "full_name_la",
                      "full_name_latin", "full_name_latn"),
    "given_name": ("first_name", "forename", "given", "firstname", "prenom", "given_names", "first",
                   "christian_name", "personal_name"),
    "given_name_alt": ("given_name_2", "given_name_latin", "first_name_alt", "first_name_latin",
                       "given_name_other_script"),
    "middle_name": ("middle", "middle_initial", "second_name", "middle_names", "initial"),
    "family_name": ("surname", "last_name", "lastname", "family", "nom", "nom_de_famille", "last"),
    "family_name_alt": ("family_name_2", "family_name_latin", "surname_alt", "surname_latin", "last_name_latin",
                        "family_name_other_script", "maiden_name", "birth_name"),
    "father_name": ("father", "father_given_name", "fathers_name", "prenom_pere", "nom_pere", "pere",
                    "father_first_name", "father_full_name"),
    "father_name_alt": ("father_name_2", "father_name_latin", "father_latin"),
    "grandfather_name": ("grandfather", "paternal_grandfather", "grandfathers_name", "grand_pere",
                         "grandfather_given_name", "grandfather_first_name"),
    "grandfather_name_alt": ("grandfather_name_2", "grandfather_name_latin", "grandfather_latin"),
    "mother_name": ("mother", "mother_given_name", "mothers_name", "nom_mere", "mere", "mother_first_name",
                    "mother_full_name"),
    "mother_name_alt": ("mother_name_2", "mother_name_latin", "mother_latin"),
    "birth_date": ("date_of_birth", "dob", "birthdate", "born", "born_on", "birthday", "date_naissance",
                   "date_de_naissance", "birth"),
    "birth_year": ("year_of_birth", "yob", "annee_naissance"),
    "birth_month": ("month_of_birth", "mob"),
    "birth_day": ("day_of_birth",),
    "sex": ("gender", "sexe", "genre"),
    "national_number": ("national_id", "nid", "national_id_number", "cin", "id_number", "identity_number",
                        "identity_card", "id_card", "ssn", "social_security_number", "soc_sec_id", "number",
                        "personal_number", "nin", "id_card_number", "national_identity_number"),
    "other_number": ("other_id", "other_numbers", "numbers", "passport", "passport_number", "card_number",
                     "file_number", "account_number", "tax_number", "tax_id", "reference_number", "contract_number",
                     "registration_number", "licence_number", "license_number", "meter_number"),
    "address": ("full_address", "address_line", "address_1", "adresse", "address_text", "mailing_address"),
    "house_number": ("street_number", "house", "building_number", "number_in_street", "door_number", "house_no"),
    "street": ("street_name", "road", "rue", "street_address"),
    "unit": ("unit_number", "flat", "apartment", "apartment_number", "po_box"),
    "postal_code": ("postcode", "post_code", "zip", "zipcode", "zip_code", "code_postal"),
    "locality": ("area", "suburb", "neighbourhood", "neighborhood", "village", "sector", "imada", "quarter",
                 "locality_name", "address_2", "quartier", "settlement"),
    "district": ("city", "town", "delegation", "municipality", "commune", "county", "district_name"),
    "region": ("state", "province", "governorate", "governorat", "region_name", "department"),
    "birth_place": ("place_of_birth", "birthplace", "lieu_naissance", "lieu_de_naissance", "pob"),
    "phone": ("telephone", "phone_number", "mobile", "mobile_number", "tel", "cell", "msisdn"),
    "email": ("e_mail", "mail", "email_address"),
    "attribute": ("attributes", "occupation", "profession", "job", "employer", "ethnicity", "race_ethnicity",
                  "nationality", "religion", "education", "marital_status", "other", "text", "attribute_text"),
    "household_key": ("household", "household_id", "hh_id", "hhid", "family_id", "menage", "household_number",
                      "dwelling", "dwelling_id", "lives_with"),
}  # fmt: skip
"""Every meaning, and other words that are taken for it."""

SEVERAL = ("other_number", "attribute", "locality")
"""Meanings that several columns may have, each compared on its own."""

_WORDS = {word: meaning for meaning, words in MEANINGS.items() for word in (meaning, *words)}
HEADINGS = ("columns", "fields", "mapping", "meanings", "shared", "both", "common")
"""Words under which meanings may stand."""

SIDES = {"left": "left", "right": "right", "a": "left", "b": "right"}
"""Words for the two files."""

UNIQUE_WORDS = ("unique", "holds_each_person_once", "each_person_once", "duplicate_free")
"""Words for which files hold each person once."""

_IGNORED_WORDS = ("name", "title", "description", "notes", "version", "comment")

Unique = Literal["auto", "left", "right", "both", "none"]


_NOT_TEXTS = ("tag:yaml.org,2002:null", "tag:yaml.org,2002:merge")


class _Texts(yaml.SafeLoader):
    """YAML whose values are texts: a column may be called `no`, `on` or `012`. A word may stand once in a place."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # declared by the base class
        first: [(tag, pattern) for tag, pattern in resolvers if tag in _NOT_TEXTS]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        words = [key.value for key, _ in node.value]
        for i, (key, _) in enumerate(node.value):
            if isinstance(key.value, str) and key.value in words[:i]:
                raise yaml.constructor.ConstructorError(
                    problem=f"`{key.value}` stands twice; for several columns, write a list",
                    problem_mark=key.start_mark,
                )
        return super().construct_mapping(node, deep)


def _fault(error: Exception) -> str:
    """What is wrong with a YAML file, and where."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "strerror", None) or type(error).__name__
    return f"{problem} (line {mark.line + 1})" if mark else str(problem)


class SideSpec(BaseModel):
    """What the columns of one file mean.

    Attributes:
        columns: meaning -> columns of the file. Several columns of a meaning are joined with a space, those
            of `SEVERAL` compared each on its own.
        own: meanings that the spec gives for this side alone; their columns must be there.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    own: frozenset[str] = frozenset()


class Spec(BaseModel):
    """A spec: what the columns of one or two files mean.

    Attributes:
        left, right: the two files; for deduplication only `left` counts.
        unique: which files hold each person once. `auto` finds it out from the data.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    left: SideSpec
    right: SideSpec
    unique: Unique = "auto"

    @classmethod
    def read(cls, file: Path) -> Spec:
        """Read a YAML (or JSON) file.

        Raises:
            LinkageError: no such file, not YAML, or a meaning that is not known (all are listed).
        """
        try:
            content = yaml.load(
                file.read_text(encoding="utf-8-sig"), Loader=_Texts
            )  # makes nothing but texts
        except FileNotFoundError:
            raise LinkageError(
                f"There is no spec {file}.",
                expected="a YAML file that says what the columns mean",
                action="see `sijill link --help` for an example",
            ) from None
        except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
            raise LinkageError(
                f"{file} cannot be read as YAML: {_fault(error)}.",
                expected="lines of `meaning: column` in UTF-8, with spaces and no tabs before them",
                action="see `sijill link --help` for an example",
            ) from error
        return cls.parse(content, file.name)

    @classmethod
    def parse(cls, content: Any, name: str = "the spec") -> Spec:
        """Make a spec of what YAML holds.

        Raises:
            LinkageError: not a mapping, or words that are not known (all are listed).
        """
        if not isinstance(content, Mapping) or not content:
            raise LinkageError(
                f"{name} is not a mapping.",
                expected="lines of `meaning: column`, such as `birth_date: dob`",
                action="see `sijill link --help` for an example",
            )
        problems: list[str] = []
        shared: dict[str, tuple[str, ...]] = {}
        sides: dict[str, dict[str, tuple[str, ...]]] = {"left": {}, "right": {}}
        unique: str = "auto"
        for word, value in content.items():
            plain = _plain(word)
            if plain in SIDES and isinstance(value, Mapping):
                for inner, given in value.items():
                    if _plain(inner) in HEADINGS and isinstance(given, Mapping):
                        _add(sides[SIDES[plain]], given, problems)
                    elif _plain(inner) in UNIQUE_WORDS:
                        unique = _joined(unique, SIDES[plain] if _is_true(given) else "auto")
                    else:
                        _add(sides[SIDES[plain]], {inner: given}, problems)
            elif plain in HEADINGS and isinstance(value, Mapping):
                _add(shared, value, problems)
            elif plain in UNIQUE_WORDS:
                unique = _unique(value, problems)
            elif plain in _IGNORED_WORDS and (plain not in _WORDS or " " in str(value)):
                continue
            else:
                _add(shared, {word: value}, problems)
        if problems:
            raise LinkageError(
                f"{name} has {len(problems)} thing(s) that are not understood: {'; '.join(problems)}.",
                expected="the meanings "
                + ", ".join(MEANINGS)
                + "; `left:` and `right:` for what differs; `unique:`",
                action="correct the spec; docs/linkage.md lists the other words that each meaning goes by",
            )
        for side in sides.values():
            if "key" not in side and "key" not in shared:
                raise LinkageError(
                    f"{name} names no key.",
                    expected="`key: COLUMN`, the column that tells one record from another"
                    " (in `left:` and `right:` where it differs)",
                    action="add it",
                )
        try:
            return cls(
                left=SideSpec(columns=shared | sides["left"], own=frozenset(sides["left"])),
                right=SideSpec(columns=shared | sides["right"], own=frozenset(sides["right"])),
                unique=unique,  # type: ignore[arg-type]  # checked by pydantic
            )
        except ValidationError as error:
            raise LinkageError(f"{name}: {error.errors()[0]['msg']}", action="correct the spec") from error


def repeated(columns: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    """Columns that have more than one meaning, whose evidence counts as often, with their meanings."""
    meanings: dict[str, list[str]] = {}
    for meaning, names in columns.items():
        if meaning != "key":
            for column in names:
                meanings.setdefault(column.strip(), []).append(meaning)
    return {column: found for column, found in meanings.items() if len(found) > 1}


def _plain(word: Any) -> str:
    return re.sub(r"[^a-z0-9]+", "_", str(word).strip().lower()).strip("_")


def meaning_of(word: Any) -> str | None:
    """The meaning that a word of a spec stands for; a number at its end is left out (`phone_2`)."""
    plain = _plain(word)
    return _WORDS.get(plain) or _WORDS.get(re.sub(r"_?\d+$", "", plain))


def _add(into: dict[str, tuple[str, ...]], given: Mapping[Any, Any], problems: list[str]) -> None:
    for word, value in given.items():
        if value is None:
            continue
        meaning = meaning_of(word)
        if isinstance(value, Mapping) and meaning in (*SEVERAL, "address", "birth_date"):
            # `address: {street: …}`, `attributes: {occupation: …}`: the inner words say which, if they can
            for inner, column in value.items():
                known = meaning_of(f"birth_{_plain(inner)}" if meaning == "birth_date" else inner)
                _put(into, known or meaning, _columns(column))
            continue
        if isinstance(value, Mapping) and "column" in value:
            value = value["column"]
        if isinstance(value, Mapping):
            problems.append(f"`{word}` holds a mapping, where a column was expected")
            continue
        if meaning is None:
            turned = meaning_of(value) if isinstance(value, str) else None
            if turned is not None:  # `column: meaning`, the other way round
                _put(into, turned, (str(word),))
                continue
            near = difflib.get_close_matches(_plain(word), _WORDS, n=1)
            problems.append(f"`{word}`" + (f" (do you mean `{near[0]}`?)" if near else ""))
            continue
        _put(into, meaning, _columns(value))


def _put(into: dict[str, tuple[str, ...]], meaning: str, columns: tuple[str, ...]) -> None:
    into[meaning] = tuple(dict.fromkeys((*into.get(meaning, ()), *columns)))


def _columns(value: Any) -> tuple[str, ...]:
    return tuple(str(v) for v in value) if isinstance(value, list | tuple) else (str(value),)


def _is_true(value: Any) -> bool:
    return value is True or _plain(value) in ("true", "yes", "1")


def _joined(one: str, other: str) -> str:
    if "auto" in (one, other):
        return one if other == "auto" else other
    return "both" if one != other else one


def _unique(value: Any, problems: list[str]) -> str:
    words = [_plain(v) for v in (value if isinstance(value, list | tuple) else [value])]
    if _is_true(value) or {"left", "right"} <= set(words) or words == ["both"]:
        return "both"
    if value is False or words in (["none"], ["neither"], ["no"], ["false"]):
        return "none"
    if words and words[0] in SIDES:
        return SIDES[words[0]]
    if words == ["auto"]:
        return "auto"
    problems.append(f"`unique: {value}` (left, right, both, none or auto)")
    return "auto"
