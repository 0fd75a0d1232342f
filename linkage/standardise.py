"""Names, dates and numbers in forms that can be compared, as DuckDB SQL.

What belongs here: turning an identity column as delivered into a comparable form. What does not: how
much an agreement is worth (`linkage.model`).

A name has up to four forms, each of one byte a letter, because DuckDB's string distances count bytes:

- `ar`: its Arabic letters, normalised, in a Buckwalter-like code; null without Arabic letters;
- `la`: its Latin letters, lower case and without accents; null without Latin letters;
- `sound`: consonants and long vowels (w, y) of either script; what is left of محمد and Mohamed is
  `mhmd` and `mwhmd`;
- `skeleton`: consonants only, in classes that French and English romanisation share; `mhmd` from محمد,
  Mohamed, Mohammed, Muhammad.

A name in any other script has none: it is no evidence for or against. Every form is idempotent and
total: any text gives a form or null, and a form of a form is itself.

Names repeat, so each distinct spelling is standardised once, in a dictionary, and joined back.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

import duckdb

NAME_PARTS = ("given", "father", "grandfather", "family", "mother")
"""Parts of a name that are compared, in the order of a patronymic chain; then the mother's."""

CHAIN = ("given", "father", "grandfather", "family")
"""Parts that a patronymic chain holds."""

FORMS = ("ar", "la", "sound", "skeleton")
"""Forms of a name part."""

_ARABIC_LETTERS = r"\x{0621}-\x{063A}\x{0641}-\x{064A}\x{0671}-\x{06D3}"
_INVISIBLE = (
    r"[\x{0640}\x{064B}-\x{065F}\x{0670}\x{06D6}-\x{06ED}\x{200B}-\x{200F}\x{202A}-\x{202E}"
    r"\x{2060}-\x{2069}\x{FEFF}\x{00AD}]"
)
_COMPATIBILITY = (
    r"[\x{FB50}-\x{FDFF}\x{FE70}-\x{FEFF}\x{FF00}-\x{FF5A}\x{0660}-\x{0669}\x{06F0}-\x{06F9}"
    r"\x{2000}-\x{206F}]"
)
_APOSTROPHES = r"['’‘`´ʿʾʼʻ]"

# Letters of Arabic, Persian and Maghrebi writing, as one ASCII byte each (after Buckwalter). Hamza carriers
# are their letter, ta marbuta is ha, alef maqsura is ya: clerks write either.
_ARABIC_TO_ASCII = {
    "ا": "A", "ب": "b", "ت": "t", "ث": "v", "ج": "j", "ح": "H", "خ": "x", "د": "d", "ذ": "Q", "ر": "r",
    "ز": "z", "س": "s", "ش": "C", "ص": "S", "ض": "D", "ط": "T", "ظ": "Z", "ع": "E", "غ": "g", "ف": "f",
    "ق": "q", "ك": "k", "ل": "l", "م": "m", "ن": "n", "ه": "h", "و": "w", "ي": "y",
    "أ": "A", "إ": "A", "آ": "A", "ٱ": "A", "ى": "y", "ة": "h", "ئ": "y", "ؤ": "w",
    "ک": "k", "ی": "y", "ے": "y", "ہ": "h", "ھ": "h", "ە": "h", "ۀ": "h", "ۃ": "h",
    "گ": "G", "ڨ": "G", "ݣ": "G", "ڭ": "G", "ڤ": "V", "پ": "P", "چ": "c", "ژ": "J",
}  # fmt: skip

# Consonant classes that romanisation does not keep apart. Checked on 44,626 Egyptian spelling pairs
# (tests/linkage/test_standardise.py holds the floor).
_ASCII_TO_SKELETON = {
    "b": "b", "P": "b", "t": "t", "T": "t", "v": "t", "j": "g", "g": "g", "G": "g", "J": "g", "c": "C",
    "H": "h", "h": "h", "x": "X", "d": "d", "D": "d", "Q": "d", "Z": "d", "r": "r", "z": "d", "s": "s",
    "S": "s", "C": "C", "f": "f", "V": "f", "q": "k", "k": "k", "l": "l", "m": "m", "n": "n",
    "w": "w", "y": "y", "A": "A", "E": "A",
}  # fmt: skip


def _presentation_forms() -> tuple[str, str]:
    """Letters of compatibility blocks and the one plain letter that each stands for."""
    blocks = (range(0xFB50, 0xFE00), range(0xFE70, 0xFF00), range(0xFF21, 0xFF5B), range(0x0660, 0x066A),
              range(0x06F0, 0x06FA), range(0x2000, 0x2070))  # fmt: skip
    seen, plain = [], []
    for block in blocks:
        for code in block:
            letter = chr(code)
            if unicodedata.category(letter) == "Nd":
                normal = str(unicodedata.digit(letter))
            else:
                normal = unicodedata.normalize("NFKC", letter)
            if len(normal) == 1 and normal != letter:
                seen.append(letter)
                plain.append(normal)
    return "".join(seen), "".join(plain)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _translate(expression: str, mapping: dict[str, str]) -> str:
    seen, plain = "".join(mapping), "".join(mapping.values())
    return f"translate({expression}, {_quoted(seen)}, {_quoted(plain)})"


def _chain(expression: str, *steps: tuple[str, str]) -> str:
    """Regular-expression replacements, one after the other."""
    for pattern, replacement in steps:
        expression = f"regexp_replace({expression}, {_quoted(pattern)}, {_quoted(replacement)}, 'g')"
    return expression


def _where(pattern: str, expression: str, changed: str) -> str:
    """`changed` where the expression has the pattern, as it is elsewhere.

    DuckDB's translate builds its table anew for each row (3 to 45 µs): worth avoiding where it does nothing.
    """
    return f"case when regexp_matches({expression}, {_quoted(pattern)}) then {changed} else {expression} end"


def _replaced(expression: str, *steps: tuple[str, str]) -> str:
    for seen, new in steps:
        expression = f"replace({expression}, {_quoted(seen)}, {_quoted(new)})"
    return expression


_LIGATURES = tuple(
    (chr(code), unicodedata.normalize("NFKC", chr(code))) for code in [*range(0xFEF5, 0xFEFD), 0xFDF2]
)
_LATIN_LETTERS = (
    ("ß", "ss"), ("æ", "ae"), ("œ", "oe"), ("ø", "o"), ("đ", "d"), ("ð", "d"), ("þ", "th"), ("ł", "l"), ("ı", "i"),
)  # fmt: skip
_DOUBLED = tuple((letter * 2, letter) for letter in "bdfghjklmnrstzCX")


def _digits(expression: str) -> str:
    """The digits of a text, of any Arabic writing, as ASCII."""
    other = {chr(zero + n): str(n) for zero in (0x0660, 0x06F0, 0xFF10) for n in range(10)}
    written = "[" + "".join(other) + "]"
    ascii_digits = _where(written, expression, _translate(expression, other))
    return _chain(ascii_digits, ("[^0-9]+", ""))


def _macros() -> dict[str, tuple[str, str]]:
    """SQL macros by name: parameters and body."""
    seen, plain = _presentation_forms()
    plain_letters = _replaced(f"translate(x, {_quoted(seen)}, {_quoted(plain)})", *_LIGATURES)
    clean = f"nfc_normalize({_where(_COMPATIBILITY, 'x', plain_letters)})"
    # strip_accents decomposes, so hamza and madda leave their alef, waw or ya behind
    clean = _replaced(f"lower(strip_accents({_chain(clean, (_INVISIBLE, ''))}))", *_LATIN_LETTERS)
    clean = _chain(
        clean,
        (_APOSTROPHES, ""),
        (r"[^\p{L}\p{N}]+", " "),
    )

    arabic = _chain("s", (rf"[^{_ARABIC_LETTERS}]+", " "), ("^ +| +$", ""))
    arabic = _translate(arabic, _ARABIC_TO_ASCII)
    arabic = _chain(
        arabic,
        (r"[^A-Za-z ]", ""),
        # compounds are one word: servant of, father of, mother of
        (r"(^| )(Ebd|Abw|AbA|Aby|bw|Ewld|Qw) +", r"\1\2"),
        (r" +(Aldyn|Allh|Aldwlh)($| )", r"\1\2"),
        (r"Allh($| )", r"lh\1"),
        (r"Al(dyn|dwlh)($| )", r"\1\2"),
        (r"(^| )(Ebd|Abw|bw)Al", r"\1\2"),
        # ilyas, ilham, ulfat, alaa, albert, elena begin with the letters of the article
        (r"(^| )Al(yAs|hAm|ft|A$|AC|byr|yn|ykC|ks)", r"\1A_l\2"),
        (r"(^| )Al([A-Za-z]{3})", r"\1\2"),
        (r"_", ""),
        (r"(^| )A?(bn)($| )", r"\1\2\3"),
    )
    latin = _chain(
        "s",
        (r"[^a-z]+", " "),
        ("^ +| +$", ""),
        (r"(^| )(abd|abdel|abdul|abdal|abdoul|abou|abu|bou|aboul|abul) +", r"\1\2"),
        (r" +([ae]l+ *)?[aei]?d+[ie]e?n+e?($| )", r"eddin\2"),
        (r" +([aeu]l+ah?)($| )", r"\1\2"),
        (r"(^| )abd *([aeiou]{1,2}l|[aeiou]) +", r"\1abd\2"),
        (r"(^| )(el|al|ul|il|ech|esh|ess|ez|er) +([a-z]{2})", r"\1\3"),
        (r"(^| )(ben|bin|ibn|bn)($| )", r"\1bn\3"),
    )
    # A patronymic particle says nothing when it stands before a name; alone, it is the name
    bare = {
        "ar": _chain("t", (r"(^| )(bn|bnt|Abnh|wld) +", r"\1"), (" +", "")),
        "la": _chain("t", (r"(^| )(bn|bint|bent|bnt|ould|oueld|weld) +", r"\1"), (" +", "")),
    }

    # skeleton and sound, Arabic: t and d take an h after them, as Latin `th` and `dh` do
    skeleton_of_arabic = _chain("a", (r"(.[tTdD])[Hh]", r"\1"), (r"[Hh]$", ""))
    skeleton_of_arabic = _translate(skeleton_of_arabic, _ASCII_TO_SKELETON)
    folded = _chain(
        "l",
        (r"^abd[aeiou]*l+ah?$", "abdla"),
        (r"^abd[aeiou]{1,2}l(...)", r"abd\1"),
        (r"^(abo|abu|abou|bou)[aeio]?l([^aeiouy]|[aeiou].{2})", r"abou\2"),
        (r"(..)[aeiou]*l?d+[aei]+n+e?$", r"\1din"),
        (r"^el(h[aeiou]m|y[ae]s|[iy][ae]s)$", r"al\1"),
        (r"^el([^aeiouyl]..|[aeiou][^aeiou]..)", r"\1"),
        (r"tch|sch|sh|ch", "C"),
        (r"kh", "X"),
        (r"ph", "f"),
        (r"[ao]u([eiy])", r"w\1"),
        (r"c([eiy])", r"s\1"),
        (r"ck|[cq]", "k"),
        (r"dj|gh|gu([ei])", r"g\1"),
        (r"(.)th", r"\1t"),
        (r"(.)dh", r"\1d"),
        (r"^th", "t"),
        (r"^dh", "d"),
        (r"^ou?([aeio])", r"w\1"),
        (r"^i([aeou])", r"y\1"),
        (r"h$", ""),
    )
    folded = _replaced(folded, ("x", "ks"), ("j", "g"), ("v", "f"), ("p", "b"), ("z", "d"))
    folded = _replaced(folded, *_DOUBLED)

    return {
        "sijill_clean": ("x", clean),
        "sijill_arabic": (
            "s",
            f"case when regexp_matches(s, '[{_ARABIC_LETTERS}]') then nullif({arabic}, '') end",
        ),
        "sijill_latin": ("s", f"case when regexp_matches(s, '[a-z]') then nullif({latin}, '') end"),
        "sijill_bare_ar": ("t", f"nullif({bare['ar']}, '')"),
        "sijill_bare_la": ("t", f"nullif({bare['la']}, '')"),
        "sijill_class_ar": ("a", skeleton_of_arabic),
        "sijill_class_la": ("l", _chain(folded, (r"^[aeiou]+", "A"))),
        "sijill_sound": ("c, is_arabic", f"nullif({_sound('c', 'is_arabic')}, '')"),
        "sijill_skeleton": ("c", f"nullif({_skeleton('c')}, '')"),
        "sijill_segments": ("t", rf"string_split(regexp_replace(t, ' ({_PARTICLES}) ', '|', 'g'), '|')"),
        "sijill_words": (
            "t",
            f"list_filter(string_split(t, ' '), lambda v: not regexp_matches(v, '^({_PARTICLES})$'))",
        ),
        "sijill_digits": ("x", f"nullif(ltrim({_digits('x')}, '0'), '')"),
        "sijill_address": (
            "s",
            f"nullif(trim({_where(f'[{_ARABIC_LETTERS}]', 's', _translate('s', _ARABIC_TO_ASCII))}), '')",
        ),
        "sijill_parts": ("t, segments, words", _PARTS),
    }


def install(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the macros that the expressions of this module use, in `connection`."""
    for name, (parameters, body) in _macros().items():
        connection.execute(f"create or replace temp macro {name}({parameters}) as {body}")


def _known_script(cleaned: str) -> str:
    """Null for a text with a letter that is neither Arabic nor Latin."""
    other = rf"[^a-z0-9 {_ARABIC_LETTERS}]"
    return f"case when not regexp_matches({cleaned}, {_quoted(other)}) then {cleaned} end"


def _forms_of(parts: dict[str, tuple[str, str]], source: str) -> str:
    """Query: `raw` and a struct of forms for each part, from its Arabic and Latin letters."""
    classes = ", ".join(
        f"coalesce(sijill_class_ar({ar}), sijill_class_la({la})) as {part}_class"
        for part, (ar, la) in parts.items()
    )
    structs = ", ".join(
        f"""{{'ar': {ar}, 'la': {la}, 'sound': sijill_sound({part}_class, {ar} is not null),
        'skeleton': sijill_skeleton({part}_class)}} as {part}"""
        for part, (ar, la) in parts.items()
    )
    return f"select raw, {structs} from (select *, {classes} from {source})"


def create_name_dictionary(connection: duckdb.DuckDBPyConnection, table: str, spellings: str) -> None:
    """Create `table` (raw, name): one row for each distinct spelling, read as one name.

    Args:
        connection: with the macros installed.
        table: name of the temporary table to create; `name` is a struct of `FORMS`.
        spellings: a query with one text column, `raw`; nulls and repetitions are allowed.
    """
    named = f"""(
        select raw, sijill_bare_ar(sijill_arabic(s)) as ar, sijill_bare_la(sijill_latin(s)) as la
        from {_cleaned(spellings)})"""
    connection.execute(f"create or replace temp table {table} as {_forms_of({'name': ('ar', 'la')}, named)}")


def create_chain_dictionary(connection: duckdb.DuckDBPyConnection, table: str, spellings: str) -> None:
    """Create `table` (raw, given, father, grandfather, family): each spelling read as a patronymic chain.

    Arguments as for `create_name_dictionary`; each part is a struct of `FORMS`.
    """
    picked = ", ".join(
        f"{script}_parts.{part} as {part}_{script}" for part in CHAIN for script in ("ar", "la")
    )
    tokens = ", ".join(
        f"{t}, sijill_segments({t}) as {t}_segments, sijill_words({t}) as {t}_words" for t in ("ar", "la")
    )
    cut = f"""(
        select raw, {picked} from (
            select raw, sijill_parts(ar, ar_segments, ar_words) as ar_parts,
                sijill_parts(la, la_segments, la_words) as la_parts
            from (select raw, {tokens} from (
                select raw, sijill_arabic(s) as ar, sijill_latin(s) as la from {_cleaned(spellings)}))))"""
    connection.execute(f"create or replace temp table chain_cut as {cut}")
    # chains are many, the names in them few: forms are made once for each distinct name
    key = "coalesce({0}_ar, '') || '|' || coalesce({0}_la, '')"
    distinct = " union ".join(
        f"select {key.format(part)} as raw, {part}_ar as ar, {part}_la as la from chain_cut" for part in CHAIN
    )
    connection.execute(
        f"create or replace temp table chain_name as {_forms_of({'name': ('ar', 'la')}, f'({distinct})')}"
    )
    joins = " ".join(f"join chain_name as c_{p} on c_{p}.raw = {key.format('k.' + p)}" for p in CHAIN)
    selected = ", ".join(f"c_{part}.name as {part}" for part in CHAIN)
    connection.execute(
        f"create or replace temp table {table} as select k.raw, {selected} from chain_cut as k {joins}"
    )


def _cleaned(spellings: str) -> str:
    return f"""(select raw, {_known_script("s")} as s from (
        select raw, sijill_clean(raw) as s
        from (select distinct raw from ({spellings}) where raw is not null)))"""


_PARTICLES = "bn|bnt|wld|Abnh|bint|bent|ould|oueld|weld"

# Parts of a patronymic chain. With particles (A ben B ben C D), each segment's first word is a person
# and the last word the family; without (A B C D), words are. A first segment of three words or more is a
# chain itself, and its particle belongs to the family (A B C ben D).
_PARTS = """case
    when t is null then null
    when len(segments) > 1 and len(string_split(segments[1], ' ')) < 3 then {
        'given': replace(segments[1], ' ', ''),
        'father': nullif(string_split(segments[2], ' ')[1], ''),
        'grandfather': nullif(string_split(segments[3], ' ')[1], ''),
        'family': nullif(string_split(segments[-1], ' ')[-1], '')}
    when len(words) < 1 then
        {'given': replace(t, ' ', ''), 'father': null::text, 'grandfather': null::text, 'family': null::text}
    else {
        'given': words[1], 'father': case when len(words) > 2 then words[2] end,
        'grandfather': case when len(words) > 3 then words[3] end,
        'family': case when len(words) > 1 then words[-1] end}
    end"""


def _skeleton(c: str) -> str:
    """First letter, then the consonants after it."""
    consonants = f"regexp_replace({c}[2:], '[aeiouAEwy]', '', 'g')"
    return _replaced(f"{c}[1] || {consonants}", *_DOUBLED)


def _sound(c: str, is_arabic: str) -> str:
    """First letter, then consonants and long vowels; Latin vowels are read as the long ones."""
    arabic = f"{c}[1] || regexp_replace({c}[2:], 'A', '', 'g')"
    latin = _chain(f"{c}[2:]", ("[ae]+", ""), ("[iy]+", "y"), ("[ouw]+", "w"))
    return f"case when {is_arabic} then {arabic} else {c}[1] || {latin} end"


# Identity column of canonical records -> part of a name, and how it is read
_NAME_COLUMNS = {
    "given": ("given_name", "name"),
    "father": ("father_name", "name"),
    "grandfather": ("grandfather_name", "name"),
    "family": ("family_name", "name"),
    # mothers are recorded by given name, or by given and family name: the given name is in both
    "mother": ("mother_name", "chain"),
}

IDENTITY_COLUMNS = (
    "national_number", "full_name", "full_name_alt", "given_name", "given_name_alt", "father_name",
    "father_name_alt", "grandfather_name", "grandfather_name_alt", "family_name", "family_name_alt",
    "mother_name", "mother_name_alt", "middle_name", "birth_date", "sex", "birth_place", "region", "district",
    "address", "postal_code", "phone",
)  # fmt: skip
"""Columns of `landing.canonical_person_record` that identify a person."""


def standardise(connection: duckdb.DuckDBPyConnection, raw: str, table: str) -> None:
    """Create `table` with the comparable forms of every row of `raw`.

    Columns of `table`: `record_id`; for each part of `NAME_PARTS` its `FORMS` as `<part>_<form>` and
    `<part>_tf`, the spelling whose frequency counts; `middle` (first letter) and `middle_la`;
    `national_number` (digits); `birth_date`, `birth_year`, `birth_day` (MMDD), `has_weak_birth_date`
    (1 January); `sex`; `birth_place`, `region`, `district` and `street` (skeletons), `house` (number);
    `address`, `postal_code`, `phone`. An area written "district - region" is cut into the two.

    Args:
        connection: with the macros installed.
        raw: a table with `record_id bigint` and any of `IDENTITY_COLUMNS`; others count as null.
        table: name of the temporary table to create.
    """
    present = _columns(connection, raw)

    names = [c for part, (c, kind) in _NAME_COLUMNS.items() if kind == "name" for c in (c, f"{c}_alt")]
    names += ["birth_place", "region", "district", "street", "middle_name"]
    raw, present = _with_places(connection, raw, present)
    chains = ["full_name", "full_name_alt", "mother_name", "mother_name_alt"]
    create_name_dictionary(connection, "name_dictionary", _spellings(raw, present, names))
    create_chain_dictionary(connection, "chain_dictionary", _spellings(raw, present, chains))

    joins, looked_up = [], {}
    for column in [*names, *chains]:
        if column not in present:
            continue
        dictionary = "chain_dictionary" if column in chains else "name_dictionary"
        joins.append(f"left join {dictionary} as d_{column} on d_{column}.raw = r.{column}")
        looked_up[column] = f"d_{column}"

    def forms(part: str) -> list[str]:
        """Structs that can tell this part, best first."""
        column, kind = _NAME_COLUMNS[part]
        field = "given" if kind == "chain" else "name"
        found = [f"{looked_up[c]}.{field}" for c in (column, f"{column}_alt") if c in looked_up]
        if part in CHAIN:
            found += [f"{looked_up[c]}.{part}" for c in ("full_name", "full_name_alt") if c in looked_up]
        return found

    selected = ["r.record_id"]
    for part in NAME_PARTS:
        selected += [f"{value} as {part}_{name}" for name, value in _merged(forms(part)).items()]
    middle = f"{looked_up['middle_name']}.name.la" if "middle_name" in looked_up else "null::text"
    number = "sijill_digits(r.national_number)" if "national_number" in present else "null::text"
    sex = "nullif(lower(trim(r.sex)), '')" if "sex" in present else "null::text"
    born = "try_cast(r.birth_date as date)" if "birth_date" in present else "null::date"
    address = "sijill_address(r.clean_address)" if "address" in present else "null::text"
    digits = {c: f"sijill_digits(r.{c})" if c in present else "null::text" for c in ("phone", "postal_code")}
    selected += [
        f"{middle} as middle_la",
        f"{middle}[1] as middle",
        f"{number} as national_number",
        f"{born} as birth_date",
        f"year({born})::int as birth_year",
        f"strftime({born}, '%m%d') as birth_day",
        f"strftime({born}, '%Y%m%d') as birth_digits",
        f"(month({born}) = 1 and day({born}) = 1) as has_weak_birth_date",
        f"{sex} as sex",
        f"{address} as address",
        f"{digits['postal_code']} as postal_code",
        f"right({digits['phone']}, 8) as phone",
    ]
    selected.append("r.house" if "house" in present else "null::text as house")
    for column in ("birth_place", "region", "district", "street"):
        value = f"{looked_up[column]}.name.skeleton" if column in looked_up else "null::text"
        selected.append(f"{value} as {column}")
    connection.execute(
        f"create or replace temp table {table} as select {', '.join(selected)} from {raw} as r {' '.join(joins)}"
    )


# An area in one column: "district - region", "district, region"
_AREA_SEPARATOR = r"\s+[-–—/]\s+|\s*[,،;]\s+"

# Kinds of street and particles, which one office writes and another leaves out
_STREET_WORDS = (
    "rue|avenue|av|ave|boulevard|bd|blvd|impasse|place|cite|hay|residence|street|st|road|rd|drive|dr|lane|ln|court"
    "|ct|de|la|le|les|du|des|no|نهج|شارع|حي|زنقة|طريق|ساحة|عدد"
)


def _with_places(connection: duckdb.DuckDBPyConnection, raw: str, present: set[str]) -> tuple[str, set[str]]:
    """A view of `raw` with areas cut in two and addresses in number and street; and its columns."""
    replaced, added = [], {}
    if "district" in present:
        area = f"string_split_regex(r.district, {_quoted(_AREA_SEPARATOR)})"
        replaced.append(f"{area}[1] as district")
        second = f"case when len({area}) > 1 then {area}[-1] end"
        if "region" in present:
            replaced.append(f"coalesce(r.region, {second}) as region")
        else:
            added["region"] = second
    if "address" in present:
        address = "r.clean_address"
        added["house"] = f"nullif(regexp_extract({address}, '[0-9]+'), '')"
        words = _chain(
            address, ("[0-9]+", " "), ("[^ ]+", r" \0 "), (f" ({_STREET_WORDS}) ", " "), (" +", " ")
        )
        added["street"] = f"nullif(trim({words}), '')"
    if not replaced and not added:
        return raw, present
    source = f"(select *, sijill_clean(address) as clean_address from {raw})" if "address" in present else raw
    changed = f" replace ({', '.join(replaced)})" if replaced else ""
    more = "".join(f", {value} as {column}" for column, value in added.items())
    connection.execute(f"create or replace temp table placed as select r.*{changed}{more} from {source} as r")
    return "placed", present | set(added)


def _columns(connection: duckdb.DuckDBPyConnection, table: str) -> set[str]:
    return {row[0] for row in connection.execute(f"describe {table}").fetchall()}


def _spellings(raw: str, present: set[str], columns: Iterable[str]) -> str:
    queries = [f"select {column} as raw from {raw}" for column in columns if column in present]
    return " union ".join(queries) if queries else "select null::text as raw where false"


def _merged(structs: list[str]) -> dict[str, str]:
    """Forms of a part, each from the first struct that has it; the sounds from Arabic where there is any."""
    if not structs:
        return dict.fromkeys((*FORMS, "tf"), "null::text")
    first = {script: _coalesced([f"{s}.{script}" for s in structs]) for script in ("ar", "la")}
    merged = dict(first)
    for form in ("sound", "skeleton"):
        arabic = [f"case when {s}.ar is not null then {s}.{form} end" for s in structs]
        merged[form] = _coalesced([*arabic, *(f"{s}.{form}" for s in structs)])
    merged["tf"] = f"coalesce('ar ' || {first['ar']}, {first['la']})"
    return merged


def _coalesced(expressions: list[str]) -> str:
    return expressions[0] if len(expressions) == 1 else f"coalesce({', '.join(expressions)})"
