"""Source contracts: reading the Open Data Contract Standard and our convention on top of it.

What belongs here: turning `countries/<country>/sources/*.yaml` into checked, immutable objects. What
does not: anything that looks at delivered data. A contract that loads here can be received.
The convention is described in `docs/sources.md`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

import duckdb
import yaml
from open_data_contract_standard.model import OpenDataContractStandard
from pydantic import BaseModel, ValidationError

from intake.canonical import CanonicalColumn, Entity, canonical
from intake.errors import ContractError
from sijill.country import Country

Format = Literal["csv", "xlsx", "parquet"]

CONTRACT_PROPERTIES = {"legalBasis", "institution", "frequency", "language"}
TABLE_PROPERTIES = {
    "format", "encoding", "delimiter", "sheet", "entity", "onMissing", "onEmpty", "maxRejectedShare", "rowFilter",
    "duplicates",
}  # fmt: skip
COLUMN_PROPERTIES = {
    "canonical", "dateFormats", "digits", "decimalComma", "codes", "trueValues", "falseValues", "nullValues",
    "constant", "join", "onBadValue", "timezone",
}  # fmt: skip
CLASSIFICATIONS = {"identifier", "personal", "sensitive", "none"}
LOGICAL_TYPES = {"string", "integer", "number", "date", "timestamp", "boolean"}
OPTIONS = {"pattern", "minLength", "maxLength", "minimum", "maximum"}

_DEFAULT_TYPE = {
    "string": "text", "integer": "bigint", "date": "date", "timestamp": "timestamptz", "boolean": "boolean",
}  # fmt: skip
# The share of rejected rows above which a delivery is refused whole: at one row in twenty the file
# itself is in doubt (a column shifted, an export cut), not its rows.
DEFAULT_MAX_REJECTED_SHARE = 0.05
# The loader in C is ten times as fast; both read the safe subset only.
_YAML: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,49}")
_SYNONYMS = {
    "int": "integer",
    "varchar": "text",
    "string": "text",
    "float": "double precision",
    "double": "double precision",
    "bool": "boolean",
    "timestamp with time zone": "timestamptz",
}
_NUMERIC = re.compile(r"(?:numeric|decimal)\((\d{1,2}),\s*(\d{1,2})\)")
# Raised when reading or checking comes to give other rows for the same file and contract, so that what
# was received under the old rules is received anew.
READER_VERSION = 1
# Entities whose record is a person, once: a second record of the same person is a mistake unless the contract
# allows it. The others are of things and periods, of which a person has several.
_OF_A_PERSON = {"person", "survey_member", "card", "benefit"}
_LANDING_OWN_COLUMNS = {"delivery_id", "line", "person_hash"}


@dataclass(frozen=True)
class Column:
    """One column of a landing table and how it is read.

    Attributes:
        name: column of the landing table.
        header: exact header in the delivered file; None for a constant or a join.
        physical_type: PostgreSQL type of the landing column.
        codes: delivered code to canonical code (None = not known), or None where not coded.
        replaces_bad_values: a bad value becomes null and is counted; else its row is rejected.
        joined: names of the columns whose texts, joined by a space, make this one.
    """

    name: str
    header: str | None
    logical_type: str
    physical_type: str
    description: str
    is_required: bool
    key_position: int | None
    is_unique: bool
    classification: str
    canonical: str | None
    date_formats: tuple[str, ...]
    folds_digits: bool
    decimal_comma: bool
    codes: Mapping[str, str | None] | None
    true_values: tuple[str, ...]
    false_values: tuple[str, ...]
    null_values: tuple[str, ...]
    replaces_bad_values: bool
    constant: str | None
    joined: tuple[str, ...]
    timezone: str
    pattern: str | None
    min_length: int | None
    max_length: int | None
    minimum: str | None
    maximum: str | None

    @property
    def is_personal(self) -> bool:
        """Whether a value of it may appear in a message: never when it identifies or describes a person."""
        return self.classification != "none"


@dataclass(frozen=True)
class TableContract:
    """One delivered table: the file, how it is written, and the landing table it fills.

    Attributes:
        name: landing table, and `source` of its records; unique in a country.
        contract: name of the contract that it belongs to.
        file_pattern: name of the delivered file; may hold `*` and `?`.
        sha256: of everything that decides what its landing table holds.
        holds_each_person_once: two of its records cannot be one person, but by mistake: a clerk is asked.
    """

    name: str
    contract: str
    version: str
    description: str
    file_pattern: str
    format: Format
    encoding: str
    delimiter: str
    sheet: str | None
    entity: str | None
    is_optional: bool
    may_be_empty: bool
    max_rejected_share: float
    row_filter: str | None
    columns: tuple[Column, ...]
    sha256: str
    holds_each_person_once: bool = False

    @cached_property
    def delivered(self) -> tuple[Column, ...]:
        """The columns that stand in the file, in the file's order."""
        return tuple(c for c in self.columns if c.header is not None)

    @cached_property
    def key(self) -> tuple[Column, ...]:
        """Primary key, in order."""
        keyed = [c for c in self.columns if c.key_position is not None]
        return tuple(sorted(keyed, key=lambda c: c.key_position or 0))

    @cached_property
    def mapping(self) -> Mapping[str, Column]:
        """Canonical column to the column that fills it."""
        return {c.canonical: c for c in self.columns if c.canonical is not None}


@dataclass(frozen=True)
class SourceContract:
    """What one institution delivers, under which legal basis."""

    name: str
    id: str
    version: str
    institution: str
    legal_basis: str
    description: str
    file: Path
    tables: tuple[TableContract, ...]


@dataclass
class _Problems:
    """Collects what is wrong, so that one reading tells all of it."""

    lines: list[str] = field(default_factory=list)

    def add(self, where: str, what: str) -> None:
        line = f"{where}: {what}"
        if line not in self.lines:
            self.lines.append(line)


def load_contracts(country: Country) -> list[SourceContract]:
    """Read and check every contract of a country, in the order of their file names.

    Raises:
        ContractError: anything is wrong with any of them; the message lists every problem.
    """
    folder = country.sources_folder
    files = sorted(folder.glob("*.yaml")) + sorted(folder.glob("*.yml"))
    if not files:
        raise ContractError(
            f"{country.name} has no source contracts: {folder} holds no .yaml file.",
            expected="one Open Data Contract Standard file for each institution that delivers",
            action="add the contracts, or name another country",
        )
    contents = tuple((file, file.read_bytes()) for file in files)
    return list(_load_all(contents, country.name, country.settings.timezone))


@lru_cache(maxsize=8)
def _load_all(
    contents: tuple[tuple[Path, bytes], ...], country_name: str, timezone: str
) -> tuple[SourceContract, ...]:
    """Contracts of these contents; kept, because checking a country's takes about a second."""
    problems = _Problems()
    contracts = []
    for file, content in contents:
        contract = _load(file, content, timezone, problems)
        if contract is not None:
            contracts.append(contract)
    _check_names_differ(contracts, problems)
    if problems.lines:
        many = len(problems.lines)
        listed = "\n".join(f"  - {line}" for line in problems.lines)
        raise ContractError(
            f"{many} problem{'s' if many > 1 else ''} in the source contracts of {country_name}:\n{listed}",
            expected="contracts in the Open Data Contract Standard v3.1 with the properties of docs/sources.md",
            action=f"correct the files in {contents[0][0].parent} and run again",
        )
    return tuple(contracts)


def _check_names_differ(contracts: Sequence[SourceContract], problems: _Problems) -> None:
    tables: dict[str, str] = {}
    ids: dict[str, str] = {}
    for contract in contracts:
        if contract.id in ids:
            problems.add(contract.file.name, f"id '{contract.id}' is also that of {ids[contract.id]}")
        ids.setdefault(contract.id, contract.file.name)
        for table in contract.tables:
            if table.name in tables:
                problems.add(
                    f"{contract.file.name}, {table.name}", f"also defined in {tables[table.name]}; rename one"
                )
            tables.setdefault(table.name, contract.file.name)


@cache
def _entries(model: type[BaseModel]) -> dict[str, type[BaseModel] | None]:
    """Names that the standard allows in an object, each with the model of what it holds, if any."""
    return {
        field.alias or name: next(iter(_models_in(field.annotation)), None)
        for name, field in model.model_fields.items()
    }


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def _check_names(
    model: type[BaseModel], raw: Any, path: list[Any], unknown: Callable[[list[Any]], None]
) -> None:
    """Report every name that the standard does not have: the library itself would pass over it."""
    if isinstance(raw, list):
        for index, item in enumerate(raw):
            _check_names(model, item, [*path, index], unknown)
    if not isinstance(raw, dict):
        return
    entries = _entries(model)
    for name, value in raw.items():
        if name not in entries:
            unknown([*path, name])
        elif (inner := entries[name]) is not None:
            _check_names(inner, value, [*path, name], unknown)


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    """A DuckDB to try expressions in; making one for each costs more than the rest of loading."""
    return duckdb.connect()


def _load(file: Path, content: bytes, timezone: str, problems: _Problems) -> SourceContract | None:
    try:
        raw = yaml.load(content.decode("utf-8"), Loader=_YAML)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        problems.add(file.name, f"not valid YAML in UTF-8: {' '.join(str(error).split())}")
        return None
    if not isinstance(raw, dict):
        problems.add(file.name, "empty, or not a mapping at its top level")
        return None
    before = len(problems.lines)
    _check_names(
        OpenDataContractStandard,
        raw,
        [],
        lambda path: problems.add(
            _place(file, raw, path[:-1]), f"'{path[-1]}' is no entry of the Open Data Contract Standard"
        ),
    )
    for name in ("apiVersion", "kind", "id", "version", "status"):
        if not isinstance(raw.get(name), str) or not raw[name]:
            problems.add(file.name, f"{name} is required, as a text")
    if raw.get("kind") not in ("DataContract", None):
        problems.add(file.name, f"kind is '{raw['kind']}'; it must be DataContract")
    if not str(raw.get("apiVersion", "v3.")).startswith("v3."):
        problems.add(file.name, f"apiVersion is '{raw['apiVersion']}'; it must be v3.1.0 or a later v3")
    if len(problems.lines) > before:
        return None
    try:
        contract = OpenDataContractStandard(**raw)
    except ValidationError as error:
        for entry in error.errors():
            problems.add(_place(file, raw, list(entry["loc"])), entry["msg"])
        return None
    custom = _custom(contract.customProperties, CONTRACT_PROPERTIES, file.name, problems)
    if not contract.schema_:
        problems.add(file.name, "schema lists no table")
    tables = []
    for item in contract.schema_ or []:
        table = _table(item.model_dump(), file, str(contract.version), contract, timezone, problems)
        if table is not None:
            tables.append(table)
    description = contract.description
    return SourceContract(
        name=contract.name or file.stem,
        id=contract.id or file.stem,
        version=str(contract.version),
        institution=str(custom.get("institution", "")),
        legal_basis=str(custom.get("legalBasis", "")),
        description=(description.purpose or "") if description else "",
        file=file,
        tables=tuple(tables),
    )


def _place(file: Path, raw: Any, path: Sequence[Any]) -> str:
    """A path inside the YAML as a person says it: file, table, property, entry."""
    names = [file.name]
    here = raw
    for step in path:
        try:
            here = here[step]
        except (KeyError, IndexError, TypeError):
            names.append(str(step))
            continue
        if isinstance(step, int):
            name = here.get("name") or here.get("property") if isinstance(here, dict) else None
            names.append(str(name or f"entry {step + 1}"))
        elif step not in ("schema", "properties", "customProperties"):
            names.append(str(step))
    return ", ".join(names)


def _short(message: str) -> str:
    return message if len(message) <= 240 else message[:237] + "..."


def _custom(
    entries: Sequence[Any] | None, known: set[str], where: str, problems: _Problems
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for entry in entries or []:
        name, value = (
            (entry["property"], entry["value"]) if isinstance(entry, dict) else (entry.property, entry.value)
        )
        if name not in known:
            problems.add(where, f"unknown customProperty '{name}'; known here: {', '.join(sorted(known))}")
        elif name in found:
            problems.add(where, f"customProperty '{name}' is given twice")
        else:
            found[name] = value
    return found


def _table(
    raw: dict[str, Any],
    file: Path,
    version: str,
    contract: OpenDataContractStandard,
    timezone: str,
    problems: _Problems,
) -> TableContract | None:
    name = str(raw.get("name") or "")
    where = f"{file.name}, {name or 'a table without a name'}"
    before = len(problems.lines)
    custom = _custom(raw.get("customProperties"), TABLE_PROPERTIES, where, problems)
    if not _NAME.fullmatch(name):
        problems.add(where, "its name must be of a-z, 0-9 and _, start with a letter and have at most 50")
    if name.startswith("canonical_"):
        problems.add(
            where, "names that start with canonical_ are kept for the views of the canonical records"
        )
    pattern = raw.get("physicalName")
    if not pattern or "/" in pattern or "\\" in pattern:
        problems.add(where, "physicalName must be the name of the delivered file, without a folder")
    format_ = custom.get("format", "csv")
    if format_ not in ("csv", "xlsx", "parquet"):
        problems.add(where, f"format is '{format_}'; it must be csv, xlsx or parquet")
    encoding = str(custom.get("encoding", "utf-8"))
    try:
        "".encode(encoding)
    except LookupError:
        problems.add(where, f"encoding '{encoding}' is not known; for example utf-8 or windows-1256")
    delimiter = str(custom.get("delimiter", ","))
    if len(delimiter) != 1 or delimiter in '"\n\r':
        problems.add(where, "delimiter must be one character other than a quote or a line end")
    entity: Entity | None = None
    if (entity_name := custom.get("entity")) is not None:
        entity = canonical().entities.get(str(entity_name))
        if entity is None:
            known = ", ".join(canonical().entities)
            problems.add(where, f"entity '{entity_name}' is not canonical; known: {known}")
    for option, allowed in (("onMissing", ("refuse", "skip")), ("onEmpty", ("refuse", "accept"))):
        if custom.get(option, allowed[0]) not in allowed:
            problems.add(where, f"{option} is '{custom[option]}'; it must be {allowed[0]} or {allowed[1]}")
    repeats = custom.get("duplicates", "refuse" if entity and entity.name in _OF_A_PERSON else "allow")
    if repeats not in ("allow", "refuse"):
        problems.add(where, f"duplicates is '{repeats}'; it must be allow or refuse")
    share = custom.get("maxRejectedShare", DEFAULT_MAX_REJECTED_SHARE)
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
        problems.add(where, "maxRejectedShare must be a number from 0 to 1")
        share = DEFAULT_MAX_REJECTED_SHARE
    columns = [
        _column(entry, f"{where}, {entry.get('name')}", entity, entity_name is None, timezone, problems)
        for entry in raw.get("properties") or []
    ]
    _check_columns(columns, where, problems)
    row_filter = custom.get("rowFilter")
    if row_filter is not None and len(problems.lines) == before:
        _check_filter(str(row_filter), columns, where, problems)
    if len(problems.lines) > before:
        return None
    identity = {
        "reader": READER_VERSION,
        "version": contract.apiVersion,
        "table": raw,
        "columns": [_as_json(c) for c in columns],
    }
    return TableContract(
        name=name,
        contract=contract.name or file.stem,
        version=version,
        description=raw.get("description") or "",
        file_pattern=str(pattern),
        format=format_,
        encoding=encoding,
        delimiter=delimiter,
        sheet=custom.get("sheet"),
        entity=entity.name if entity else None,
        is_optional=custom.get("onMissing") == "skip",
        may_be_empty=custom.get("onEmpty") == "accept",
        max_rejected_share=float(share),
        row_filter=None if row_filter is None else str(row_filter),
        columns=tuple(columns),
        sha256=hashlib.sha256(
            json.dumps(identity, sort_keys=True, default=str, ensure_ascii=False).encode()
        ).hexdigest(),
        holds_each_person_once=entity is not None and entity.has_identity and repeats == "refuse",
    )


def _as_json(column: Column) -> dict[str, Any]:
    return {k: v for k, v in vars(column).items() if not k.startswith("_")}


def _check_columns(columns: Sequence[Column], where: str, problems: _Problems) -> None:
    for attribute, what in (("name", "column"), ("canonical", "canonical column")):
        for twice in _repeated(getattr(c, attribute) for c in columns):
            problems.add(where, f"{what} '{twice}' is filled twice")
    for twice in _repeated(c.header.lower() if c.header else None for c in columns):
        problems.add(where, f"header '{twice}' (physicalName) is given twice")
    if not any(c.header is not None for c in columns):
        problems.add(where, "no property has a physicalName: there is nothing to read")
    keys = sorted(c.key_position for c in columns if c.key_position is not None)
    if not keys:
        problems.add(where, "no primary key: mark with primaryKey the column or columns that tell rows apart")
    elif keys != list(range(1, len(keys) + 1)):
        problems.add(where, f"primaryKeyPosition must count 1, 2, ...; it is {', '.join(map(str, keys))}")
    readable = {c.name for c in columns if c.header is not None}
    for column in columns:
        if missing := [name for name in column.joined if name not in readable]:
            problems.add(f"{where}, {column.name}", f"join names no delivered column: {', '.join(missing)}")


def _repeated(values: Iterator[str | None] | Any) -> list[str]:
    seen: set[str] = set()
    twice: list[str] = []
    for value in values:
        if value is None:
            continue
        if value in seen and value not in twice:
            twice.append(value)
        seen.add(value)
    return twice


def _check_filter(row_filter: str, columns: Sequence[Column], where: str, problems: _Problems) -> None:
    fields = ", ".join(f'null::varchar as "{c.header}"' for c in columns if c.header is not None)
    try:
        with _engine().cursor() as connection:
            connection.execute(f"select ({row_filter})::boolean from (select {fields})").fetchall()
    except duckdb.Error as error:
        problems.add(where, f"rowFilter does not run: {_short(str(error).splitlines()[0])}")


def _column(
    raw: dict[str, Any],
    where: str,
    entity: Entity | None,
    names_no_entity: bool,
    timezone: str,
    problems: _Problems,
) -> Column:
    custom = _custom(raw.get("customProperties"), COLUMN_PROPERTIES, where, problems)
    name = str(raw.get("name") or "")
    if not _NAME.fullmatch(name):
        problems.add(where, "its name must be of a-z, 0-9 and _, start with a letter and have at most 50")
    if name in _LANDING_OWN_COLUMNS:
        problems.add(where, f"'{name}' is a column that every landing table has; choose another name")
    target = _target(custom.get("canonical"), entity, names_no_entity, where, problems)
    logical, physical = _types(raw, target, where, problems)
    header = raw.get("physicalName")
    if header is not None and (not str(header).strip() or '"' in str(header)):
        problems.add(where, "physicalName must be the header in the file, not blank and without a quote")
    joined = custom.get("join") or ()
    if not isinstance(joined, (list, tuple)):
        problems.add(where, "join must list names of columns of this table")
        joined = ()
    if header is None and "constant" not in custom and not joined:
        problems.add(where, "has neither a physicalName, nor a constant, nor a join")
    if header is not None and ("constant" in custom or joined):
        problems.add(where, "has a physicalName as well as a constant or a join; keep one")
    if joined and logical != "string":
        problems.add(where, "a join is a text: its logicalType must be string")
    replaces = custom.get("onBadValue", "reject")
    if replaces not in ("null", "reject", None):
        problems.add(where, f"onBadValue is '{replaces}'; it must be reject or null")
    is_key = bool(raw.get("primaryKey"))
    required = bool(raw.get("required")) or is_key
    if required and replaces in ("null", None):
        problems.add(where, "a required column cannot have onBadValue null; its bad rows are rejected")
    classification = raw.get("classification") or "none"
    if classification not in CLASSIFICATIONS:
        problems.add(
            where, f"classification '{classification}' is not one of {', '.join(sorted(CLASSIFICATIONS))}"
        )
    digits = custom.get("digits")
    if digits not in (None, "arabic-indic"):
        problems.add(where, f"digits is '{digits}'; the only digits that can be folded are arabic-indic")
    zone = str(custom.get("timezone", timezone))
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        problems.add(where, f"timezone '{zone}' is not known")
    options = raw.get("logicalTypeOptions") or {}
    if unknown := sorted(set(options) - OPTIONS):
        problems.add(
            where,
            f"logicalTypeOptions {', '.join(unknown)} not understood; known: {', '.join(sorted(OPTIONS))}",
        )
    elif logical != "string" and (text_only := sorted(set(options) & {"pattern", "minLength", "maxLength"})):
        problems.add(where, f"logicalTypeOptions {', '.join(text_only)} on a column of type {logical}")
    pattern = options.get("pattern")
    if pattern is not None:
        _check_expression("regexp_matches('', ?)", pattern, "pattern", where, problems)
    formats = custom.get("dateFormats") or ()
    if isinstance(formats, str):
        formats = (formats,)
    if formats and logical not in ("date", "timestamp"):
        problems.add(where, f"dateFormats on a column of type {logical}")
    for entry in formats:
        _check_expression("try_strptime('', ?)", entry, f"date format '{entry}'", where, problems)
    for bound in ("minimum", "maximum"):
        _check_bound(options.get(bound), bound, logical, where, problems)
    return Column(
        name=name,
        header=None if header is None else str(header),
        logical_type=logical,
        physical_type=physical,
        description=raw.get("description") or (target.description if target else ""),
        is_required=required,
        key_position=_key_position(raw) if is_key else None,
        is_unique=bool(raw.get("unique")),
        classification=classification,
        canonical=target.name if target else None,
        date_formats=tuple(map(str, formats)),
        folds_digits=digits is not None,
        decimal_comma=bool(custom.get("decimalComma", False)),
        codes=_codes(custom.get("codes"), target, logical, header is not None, where, problems),
        true_values=_texts(custom.get("trueValues"), where, problems),
        false_values=_texts(custom.get("falseValues"), where, problems),
        null_values=_texts(custom.get("nullValues"), where, problems),
        replaces_bad_values=replaces in ("null", None),
        constant=_constant(custom, target, physical, where, problems),
        joined=tuple(map(str, joined)),
        timezone=zone,
        pattern=pattern,
        min_length=options.get("minLength"),
        max_length=options.get("maxLength"),
        minimum=None if options.get("minimum") is None else str(options["minimum"]),
        maximum=None if options.get("maximum") is None else str(options["maximum"]),
    )


def _key_position(raw: Mapping[str, Any]) -> int:
    position = raw.get("primaryKeyPosition")
    return 1 if position is None or position < 1 else int(position)


def _target(
    name: Any, entity: Entity | None, names_no_entity: bool, where: str, problems: _Problems
) -> CanonicalColumn | None:
    if name is None:
        return None
    if entity is None:
        if names_no_entity:
            problems.add(where, f"maps to canonical '{name}', but its table names no entity")
        return None
    target = entity.columns.get(str(name))
    if target is None:
        problems.add(
            where, f"'{name}' is no canonical column of {entity.name}; known: {', '.join(entity.columns)}"
        )
    return target


def _types(
    raw: Mapping[str, Any], target: CanonicalColumn | None, where: str, problems: _Problems
) -> tuple[str, str]:
    """Logical and PostgreSQL type, from the property and otherwise from its canonical column."""
    logical = raw.get("logicalType")
    if logical is None:
        logical = _logical_of(target.type) if target else "string"
    if logical not in LOGICAL_TYPES:
        problems.add(where, f"logicalType '{logical}' is not one of {', '.join(sorted(LOGICAL_TYPES))}")
        return "string", "text"
    default = target.type if target and _logical_of(target.type) == logical else _DEFAULT_TYPE.get(logical)
    physical = _canonical_type(str(raw.get("physicalType") or default or ""))
    if physical is None:
        problems.add(
            where,
            f"physicalType '{raw.get('physicalType') or ''}' is not understood; it must be text, integer, bigint,"
            " numeric(p,s) with p at most 38, double precision, date, timestamptz or boolean",
        )
        return logical, target.type if target else "text"
    if not _fits(logical, physical):
        problems.add(where, f"logicalType {logical} cannot be kept in a {physical} column")
    elif target is not None and not _casts(physical, target.type):
        problems.add(where, f"is {physical}, but canonical '{target.name}' is {target.type}")
    return logical, physical


def _canonical_type(physical: str) -> str | None:
    text = " ".join(physical.lower().split())
    text = _SYNONYMS.get(text, text)
    if match := _NUMERIC.fullmatch(text):
        precision, scale = int(match[1]), int(match[2])
        return f"numeric({precision},{scale})" if 0 < precision <= 38 and scale <= precision else None
    known = {"text", "integer", "bigint", "double precision", "date", "timestamptz", "boolean"}
    return text if text in known else None


def _logical_of(physical: str) -> str:
    if physical.startswith("numeric") or physical == "double precision":
        return "number"
    return {
        "integer": "integer", "bigint": "integer", "date": "date", "timestamptz": "timestamp", "boolean": "boolean",
    }.get(physical, "string")  # fmt: skip


def _fits(logical: str, physical: str) -> bool:
    return _logical_of(physical) == logical or (logical == "integer" and physical.startswith("numeric"))


def _casts(physical: str, target: str) -> bool:
    """Whether a landing column can fill a canonical one without losing anything a contract may deliver."""
    if physical == target:
        return True
    family = {physical.split("(")[0], target.split("(")[0]}
    if family == {"numeric"}:
        return True
    if target.startswith("numeric"):
        return physical in ("integer", "bigint")
    if target == "double precision":
        return physical.startswith("numeric") or physical in ("integer", "bigint")
    return target == "bigint" and physical == "integer"


def _texts(value: Any, where: str, problems: _Problems) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        problems.add(where, "trueValues, falseValues and nullValues are lists of texts")
        return ()
    if any(isinstance(v, bool) for v in value):
        problems.add(where, "YAML reads yes, no, true and false as truth values: put them in quotes")
    return tuple(str(v) for v in value)


def _codes(
    value: Any,
    target: CanonicalColumn | None,
    logical: str,
    is_delivered: bool,
    where: str,
    problems: _Problems,
) -> dict[str, str | None] | None:
    if value is None:
        if target is None or not target.codes or not is_delivered:
            return None
        return {code: code for code in target.codes}
    if not isinstance(value, dict) or not value:
        problems.add(where, "codes must map each delivered code to our code")
        return None
    if logical != "string":
        problems.add(where, f"codes on a column of type {logical}; a coded column is a string")
    if any(isinstance(v, bool) for pair in value.items() for v in pair):
        problems.add(where, "YAML reads yes, no, true and false as truth values: put codes in quotes")
    codes = {str(k): None if v is None else str(v) for k, v in value.items()}
    if target is not None and target.codes:
        outside = sorted({v for v in codes.values() if v is not None} - set(target.codes))
        if outside:
            problems.add(
                where,
                f"codes lead to {', '.join(outside)}, which canonical '{target.name}' does not list; "
                f"it lists {', '.join(target.codes)}",
            )
    return codes


def _constant(
    custom: Mapping[str, Any], target: CanonicalColumn | None, physical: str, where: str, problems: _Problems
) -> str | None:
    if "constant" not in custom:
        return None
    value = str(custom["constant"])
    if target is not None and target.codes and value not in target.codes:
        problems.add(where, f"constant '{value}' is not among the codes of canonical '{target.name}'")
    try:
        with _engine().cursor() as connection:
            connection.execute(f"select cast(? as {duckdb_type(physical)})", [value]).fetchall()
    except duckdb.Error:
        problems.add(where, f"constant '{value}' is not a {physical}")
    return value


def _check_expression(expression: str, value: Any, what: str, where: str, problems: _Problems) -> None:
    try:
        with _engine().cursor() as connection:
            connection.execute(f"select {expression}", [str(value)]).fetchall()
    except duckdb.Error as error:
        problems.add(where, f"{what} is not understood: {_short(str(error).splitlines()[0])}")


def _check_bound(value: Any, bound: str, logical: str, where: str, problems: _Problems) -> None:
    if value is None:
        return
    kind = {"integer": "bigint", "number": "double", "date": "date", "timestamp": "timestamptz"}.get(logical)
    if kind is None:
        problems.add(where, f"{bound} on a column of type {logical}")
    else:
        _check_expression(f"cast(? as {kind})", value, bound, where, problems)


def duckdb_type(physical: str) -> str:
    """DuckDB's name of a PostgreSQL type of the convention."""
    return {"text": "varchar", "double precision": "double"}.get(physical, physical)
