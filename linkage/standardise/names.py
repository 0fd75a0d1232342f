"""Comparable forms of names in Arabic and Latin letters, as DuckDB SQL.

A spelling is cleaned and cut into words once; compounds (عبد الرحمان, Nour Eddine) become one word, the
article goes, and a patronymic chain is cut into its parts. What is left are few distinct words: the costly
forms are made once for each of them.

The forms of a word, each of one byte a letter because DuckDB's string distances count bytes:

- `ar`: its Arabic letters, normalised, in a Buckwalter-like code; null without Arabic letters;
- `la`: its Latin letters, lower case and without accents; null without Latin letters;
- `sound`: consonants and long vowels (w, y) of either script; what is left of محمد and Mohamed is
  `mhmd` and `mwhmd`;
- `skeleton`: consonants only, in classes that French and English romanisation share; `mhmd` from محمد,
  Mohamed, Mohammed, Muhammad;
- `vowels`: a bigint whose bits say which vowels stand where between the consonants: what the Arabic spelling
  writes and so asks for, what a Latin spelling offers. `linkage.standardise.vowel_misfit` compares two.

A name in any other script has none: it is no evidence for or against.
"""

from __future__ import annotations

import duckdb

from linkage.standardise.text import (
    ARABIC_LETTERS,
    ascii_letters,
    known_script,
    normal_letters,
    only,
    replaced,
    steps,
    sub,
    where,
    words_only,
)

CHAIN = ("given", "father", "grandfather", "family")
"""Parts that a patronymic chain holds, in its order."""

FORMS = ("ar", "la", "sound", "skeleton", "vowels")
"""Forms of a name part: text, but `vowels`, a bigint."""

# Consonant classes that romanisation does not keep apart. Checked on 44,626 Egyptian spelling pairs
# (tests/linkage/test_standardise.py holds the floor).
_CLASSES = {
    "P": "b", "T": "t", "v": "t", "j": "g", "G": "g", "J": "g", "c": "C", "H": "h", "x": "X", "D": "d",
    "Q": "d", "Z": "d", "z": "d", "S": "s", "V": "f", "q": "k", "E": "A",
}  # fmt: skip
_CONSONANTS = "bdfghklmnrstCX"
_DOUBLED = tuple((letter * 2, letter) for letter in _CONSONANTS)

# A chain's words, in Arabic letters. Alef with or without its hamza, ya with or without its dots.
_ALEF = "[اأإآٱ]"
_HA = "[هةہ]"
_ARABIC_HUSBAND = f" (حرم|زوج{_HA}|{_ALEF}رمل{_HA}) .*$"
_ARABIC_HEAD = f"عبد|{_ALEF}ب[واىي]|بو|{_ALEF}م|{_ALEF}ولاد|ذو|ذي"  # servant, father, mother, children of
_ARABIC_TAIL = f"الدين|اللاه|الله|الدول{_HA}"
_ARABIC_PARTICLE = f"{_ALEF}?بن|بنت|{_ALEF}بن{_HA}|ولد"

_LATIN_HUSBAND = " (epouse|epse|ep|veuve|vve|wife of|widow of) .*$"
_LATIN_HEAD = "abd|abde|abdel|abdul|abdal|abdoul|abou|abu|abo|aba|abi|bou|bu|aboul|abul|oum|oumm|um|umm"
_LATIN_ARTICLE = "el|al|ul|il|ech|esh|ash|ess|ez|er|ar|et|en|ed|l"
_LATIN_PARTICLE = "bn|ben|bin|ibn|bnt|bint|bent|ould|oueld|weld|wuld"

# What follows alef and lam where they are no article: ilyas, ilham, ulfat, alaa, elena, albert, alexander, elizabeth
_NO_ARTICLE = "yAs|hAm|ft|A|ynA?|byrt?|bArt?|ks.*|yzAb.*"


def _arabic_words(t: str) -> str:
    """The words of an Arabic text, compounds as one; its particles stay."""
    joined = sub(
        t,
        (_ARABIC_HUSBAND, ""),
        (r"(^| )(ال|آل) +", r"\1ال"),
        (rf"(^| )({_ARABIC_HEAD}) +", r"\1\2"),
        (rf" +({_ARABIC_TAIL})($| )", r"\1\2"),
    )
    guard = rf" ({_ARABIC_TAIL}|حرم|زوج{_HA}|{_ALEF}رمل{_HA})( |$)|(^| )(ال|آل|{_ARABIC_HEAD}) "
    return f"case when contains({t}, ' ') then {where(guard, t, joined)} else {t} end"


def _latin_words(t: str) -> str:
    """The words of a Latin text, compounds as one and articles gone; its particles stay."""
    joined = sub(
        t,
        (r"(^| )(med|mohd|muhd|mhd) ", r"\1mohamed "),
        (_LATIN_HUSBAND, ""),
        (r"^([^ ]+) .* nee ", r"\1 "),  # a married woman's own family name stands after it
        (rf"(^| )({_LATIN_HEAD}) +", r"\1\2"),
        (r" +([ae]l+ *)?[aei]?d+[ie]e?n+e?($| )", r"eddin\2"),
        (r" +([aeu]l+ah?)($| )", r"\1\2"),
        (r"(^| )abd *([aeiou]{1,2}l|[aeiou]) +", r"\1abd\2"),
        (rf"(^| )({_LATIN_ARTICLE}) +([a-z]{{2}})", r"\1\3"),
    )
    guard = (
        rf"(^| )(med|mohd|muhd|mhd|{_LATIN_HEAD}|{_LATIN_ARTICLE}|abd[a-z]{{1,2}}) "
        r"| (nee|epouse|epse|ep|veuve|vve|wi[a-z]+ of) "
        r"| ([aeu]l+ah?|([ae]l+ *)?[aei]?d+[ie]e?n+e?)( |$)"
    )
    return f"case when contains({t}, ' ') then {where(guard, t, joined)} else {t} end"


def _bare(t: str, particle: str) -> str:
    """One name of a text: a particle says nothing before a name, and is the name when alone."""
    joined = sub(t, (rf"(^| )({particle}) +", r"\1"), (" ال([^ ]{3})", r" \1"), ("ة ", " "))
    return f"case when contains({t}, ' ') then replace({joined}, ' ', '') else {t} end"


def _parts(t: str) -> str:
    """Struct of the parts of a patronymic chain.

    With particles (A ben B ben C D), each segment's first word is a person and the last word the family;
    without (A B C D), words are. A first segment of three words or more is a chain itself, and its particle
    belongs to the family (A B C ben D).
    """
    return f"""case
        when len(segments) > 1 and len(string_split(segments[1], ' ')) < 3 then {{
            'given': replace(segments[1], ' ', ''),
            'father': nullif(string_split(segments[2], ' ')[1], ''),
            'grandfather': nullif(string_split(segments[3], ' ')[1], ''),
            'family': nullif(string_split(segments[-1], ' ')[-1], '')}}
        when len(words) < 1 then
            {{'given': replace({t}, ' ', ''), 'father': null::text, 'grandfather': null::text, 'family': null::text}}
        else {{
            'given': words[1], 'father': case when len(words) > 2 then words[2] end,
            'grandfather': case when len(words) > 3 then words[3] end,
            'family': case when len(words) > 1 then words[-1] end}}
        end""".replace("segments", f"{t}_segments").replace("words", f"{t}_words")


def _cleaned(query: str) -> str:
    """Adds to a query with `raw` its words in either script, `ar` and `la`, compounds as one; particles stay."""
    return steps(
        query,
        ("s", normal_letters("raw")),
        ("s", words_only("s")),
        ("s", known_script("s")),
        ("ar", only(ARABIC_LETTERS, "s")),
        ("la", only("a-z", "s")),
        ("ar", _arabic_words("ar")),
        ("la", _latin_words("la")),
    )


def chain_words(query: str) -> str:
    """Adds to a query with `raw` the list `words`, of its Arabic or else its Latin name, without particles."""
    return steps(
        _chain_parts(_cleaned(query)),
        ("words", "case when ar is not null then ar_words when la is not null then la_words end"),
    )


def _chain_parts(query: str) -> str:
    """Adds to a query with `ar` and `la` the structs `ar_parts` and `la_parts`."""
    for t, particle in (("ar", _ARABIC_PARTICLE), ("la", _LATIN_PARTICLE)):
        has = f"contains({t}, ' ') and regexp_matches({t}, '(^| )({particle})( |$)')"
        query = steps(
            query,
            (
                f"{t}_segments",
                f"case when {has} then string_split(regexp_replace({t}, ' ({particle}) ', '|', 'g'), '|')"
                f" else [{t}] end",
            ),
            (
                f"{t}_words",
                f"case when {has} then list_filter(string_split({t}, ' '),"
                f" lambda v: not regexp_full_match(v, '{particle}')) else string_split({t}, ' ') end",
            ),
            (f"{t}_parts", f"case when {t} is not null then {_parts(t)} end"),
        )
    return query


def _offered(gaps: str, a: str, i: str, u: str) -> str:
    """Bits of the vowels in each gap between consonants, but the last: a, i, u from bit 5 on, three a gap."""
    bits = " + ".join(
        f"{bit} * regexp_matches(v, '[{letters}]')::bigint" for bit, letters in ((1, a), (2, i), (4, u))
    )
    listed = f"list_sum(list_transform({gaps}[:-2][:19], lambda v, n: ({bits}) << (3 * n + 2)))"
    return f"coalesce({listed}, 0)::bigint"


_GAPS = f"string_split(regexp_replace(body, '[{_CONSONANTS}]', '|', 'g'), '|')"

# Bits of an ending: 1 consonant, 2 a, 4 i, 8 u, 16 any vowel. An Arabic spelling asks for its own; final ya may
# be alef maqsura, final ain is often not written in Latin letters. French endings in e may be silent.
_ARABIC_ENDING = """case
    when regexp_matches(ar, 'E$|yh$|^Ebdh$|^Emrw$') then 0 when regexp_matches(ar, '[Ah]$') then 18
    when ar like '%y' then 16 when ar like '%w' then 24 else 1 end"""
_LATIN_ENDING = """case
    when regexp_matches(folded, 'h$') then 19 when folded like '%a' then 18 when folded like '%e' then 23
    when regexp_matches(folded, '[iy]$') then 20 when regexp_matches(folded, '[ouw]$') then 24 else 1 end"""


def _arabic_forms(query: str) -> str:
    """Adds `ar`, `class_ar` and `vowels_ar` to a query with `word_ar`, Arabic letters or null."""
    code = sub(
        "ar",
        # the article inside a compound, and before a name, unless its letters are the name's
        (r"^(Ebd|AbA|Abw|Aby|bw)Al", r"\1"),
        (r"hAllh$", "tlh"),  # ta marbuta is heard before God's name
        (r"Allh$", r"lh"),
        (r"Al(dyn|dwlh)$", r"\1"),
        (r"(.[^l])Ah$", r"\1At"),  # and after alef: نجاة, حياة
        (rf"^Al({_NO_ARTICLE})$", r"A_l\1"),
        (r"^Al([A-Za-z]{3})", r"\1"),
        (r"^l([HEx][^Awy][A-Za-z])", r"\1"),
        (r"^(brAh|smAEy|drys)", r"A\1"),
        (r"^bn([EHmsCbxkqzfTSgrlj][A-Za-z]{2})", r"\1"),
    )
    has_prefix = "regexp_matches(ar, 'Al|Ah$|^bn|^l|^brA|^smA|^drys')"
    return steps(
        query,
        ("ar", ascii_letters("word_ar")),
        (
            "ar",
            f"nullif(case when {has_prefix} then replace({code}, '_', '') else ar end, '')",
        ),
        # t and d take an h after them, as Latin `th` and `dh` do
        ("body", sub("ar", ("^Ebd", "Ebd_"), (r"(.[tTdD])[Hh]", r"\1"), (r"(..)[Hh]$", r"\1"))),
        ("body", "replace(body, '_', '')"),
        ("body", replaced("body", *((k, v) for k, v in _CLASSES.items() if k != "E"))),
        ("class_ar", "replace(body, 'E', 'A')"),
        ("body", "regexp_replace(body, '^[AE]+', '')"),
        ("vowels_ar", f"{_offered(_GAPS, 'A', 'y', 'w')} + {_ARABIC_ENDING}"),
    )


def _latin_forms(query: str) -> str:
    """Adds `la`, `class_la` and `vowels_la` to a query with `word_la`, letters a to z or null."""
    folded = sub(
        "folded",
        (r"^abd[aeiou]*l+ah?$", "abdla"),
        (r"^[ae]bd[aeiou]l(atif)", r"abd_l\1"),
        (r"^[ae]bd[aeiou]{1,2}l(...)", r"abd_\1"),
        (r"^(abo|abu|abou|bou)[aeio]?l([^aeiouy]|[aeiou].{2})", r"abou\2"),
        (r"(..)[aeiou]*l?d+[iey][aeiy]*n+e?$", r"\1din"),
        # the article, written on: of 2,000 Egyptian spellings in al and a consonant, 1,500 hold it
        (r"^[ae]l(h[aeiou]+me?$|y[ae]s|[iy][ae]s|wan|ma[sz]$|b[ei]+r|bert|fons|taf|din)", r"al_\1"),
        (r"^[ae]l([^aeiouylwx_][a-zX]{2}|[aiou][btsdzkqjghfr][a-z]{2})", r"\1"),
        (r"^el([aeiou][^aeiou]..|w..)", r"\1"),
        (r"^[ae]l(a[^aeiouwylmn]{2})", r"\1"),
        (r"^e(ss[eigh]|nn.|rr.|tt.|dd.)", r"\1"),
        (r"^lah([bcs])", r"h\1"),
        (r"^l(a[bcdfghjkmrstzX]{2})", r"\1"),
        (r"^ben([ai][a-z]{2}|o[mst][a-z]{2}|[bcfghkmqrstxzXlw][a-z]{2}|y[a-z]{3})", r"\1"),
        (r"^[ie]s+h?(a[qk])", r"is_h\1"),
        (r"^(brah|sma[iy]|dris)", r"i\1"),
        (r"tch|sch|sh|ch", "C"),
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
    )
    return steps(
        query,
        (
            "la",
            "case when word_la in ('med', 'mohd', 'muhd', 'mhd') then 'mohamed' else nullif(word_la, '') end",
        ),
        ("folded", "replace(replace(la, 'kh', 'X'), 'ph', 'f')"),
        ("folded", folded),
        (
            "folded",
            replaced("folded", ("_", ""), ("x", "ks"), ("j", "g"), ("v", "f"), ("p", "b"), ("z", "d")),
        ),
        ("folded", replaced("folded", *_DOUBLED)),
        ("body", "regexp_replace(folded, '(.)h$', '\\1')"),
        ("class_la", "regexp_replace(body, '^[aeiou]+', 'A')"),
        ("vowels_la", f"{_offered(_GAPS, 'ae', 'iye', 'ouw')} + {_LATIN_ENDING}"),
    )


def _sound_and_skeleton(query: str) -> str:
    """Adds the forms that both scripts have, from `class_ar` and `class_la`."""
    arabic = "class[1] || replace(class[2:], 'A', '')"
    latin = "class[1] || " + sub("class[2:]", ("[ae]+", ""), ("[iy]+", "y"), ("[ouw]+", "w"))
    return steps(
        query,
        ("class", "coalesce(class_ar, class_la)"),
        ("sound", f"nullif(case when ar is not null then {arabic} else {latin} end, '')"),
        ("skeleton", "class[1] || regexp_replace(class[2:], '[aeiouAEwy]', '', 'g')"),
        ("skeleton", f"nullif({replaced('skeleton', *_DOUBLED)}, '')"),
        ("vowels", "case when ar is not null then vowels_ar else vowels_la end"),
    )


def create_dictionary(
    connection: duckdb.DuckDBPyConnection, spellings: list[str], known: str | None = None
) -> None:
    """Create the tables that lead from spellings to forms.

    `name_form` (key, code, and `FORMS`): each name, with a number of its own; `name_dictionary` (raw, code, and
    `FORMS`): each spelling read as one name; `chain_dictionary` (raw, and `<part>_code` and `<part>_<form>` for the
    parts of `CHAIN`): each spelling read as a patronymic chain.

    Args:
        connection: DuckDB.
        spellings: queries with `raw` text, `is_name` and `is_chain`: how a column reads its spellings. Nulls
            and repetitions are allowed.
        known: table like `name_form`, of names whose forms are known; those that are new are added to it.
    """
    distinct = (
        " union all ".join(spellings) or "select null::text as raw, false as is_name, false as is_chain"
    )
    cut = steps(
        _cleaned(
            f"""select raw, bool_or(is_name) as is_name, bool_or(is_chain) as is_chain
            from ({distinct}) where raw is not null group by raw"""
        ),
        ("name_ar", _bare("ar", _ARABIC_PARTICLE)),
        ("name_la", _bare("la", _LATIN_PARTICLE)),
    )
    keys = [("name", "is_name", "name_ar", "name_la")]
    if any("true as is_chain" in query.lower() for query in spellings):
        cut = _chain_parts(cut)
        keys += [(part, "is_chain", f"ar_parts.{part}", f"la_parts.{part}") for part in CHAIN]
    chosen = ", ".join(
        f"case when {wanted} then nullif(concat({ar}, '|', {la}), '|') end as {name}"
        for name, wanted, ar, la in keys
    )
    connection.execute(
        f"create or replace temp table spelling as select raw, is_name, is_chain, {chosen} from ({cut})"
    )
    every = " union all ".join(f"select {name} as key from spelling" for name, *_ in keys)
    new, last = (
        ("", "0") if known is None else (f"anti join {known} using (key)", f"(select max(code) from {known})")
    )
    words = f"""select key, nullif(split_part(key, '|', 1), '') as word_ar,
        nullif(split_part(key, '|', 2), '') as word_la
        from (select distinct key from ({every}) {new} where key is not null)"""
    forms = _sound_and_skeleton(_latin_forms(f"select * exclude (body) from ({_arabic_forms(words)})"))
    connection.execute(
        f"""create or replace temp table name_form as
        select key, (coalesce({last}, 0) + row_number() over ())::int as code, {", ".join(FORMS)} from ({forms})"""
    )
    if known is not None:
        connection.execute(f"insert into {known} by name select * from name_form")
    names = known or "name_form"
    looked_up = ("code", *FORMS)
    connection.execute(
        f"""create or replace temp table name_dictionary as
        select s.raw, {", ".join(f"f.{form}" for form in looked_up)}
        from spelling as s left join {names} as f on f.key = s.name where s.is_name"""
    )
    if len(keys) > 1:
        parts = ", ".join(f"f_{part}.{form} as {part}_{form}" for part in CHAIN for form in looked_up)
        joins = " ".join(f"left join {names} as f_{part} on f_{part}.key = s.{part}" for part in CHAIN)
        connection.execute(
            f"""create or replace temp table chain_dictionary as
            select s.raw, {parts} from spelling as s {joins} where s.is_chain"""
        )


def create_name_dictionary(connection: duckdb.DuckDBPyConnection, table: str, spellings: str) -> None:
    """Create `table` (raw, name): one row for each distinct spelling, read as one name.

    Args:
        connection: DuckDB.
        table: name of the temporary table to create; `name` is a struct of `FORMS`.
        spellings: a query with one text column, `raw`; nulls and repetitions are allowed.
    """
    create_dictionary(connection, [f"select raw, true as is_name, false as is_chain from ({spellings})"])
    name = ", ".join(f"'{form}': {form}" for form in FORMS)
    connection.execute(
        f"create or replace temp table {table} as select raw, {{{name}}} as name from name_dictionary"
    )


def create_chain_dictionary(connection: duckdb.DuckDBPyConnection, table: str, spellings: str) -> None:
    """Create `table` (raw, given, father, grandfather, family): each spelling read as a patronymic chain.

    Arguments as for `create_name_dictionary`; each part is a struct of `FORMS`.
    """
    create_dictionary(connection, [f"select raw, false as is_name, true as is_chain from ({spellings})"])
    parts = ", ".join(
        "{" + ", ".join(f"'{form}': {part}_{form}" for form in FORMS) + f"}} as {part}" for part in CHAIN
    )
    connection.execute(f"create or replace temp table {table} as select raw, {parts} from chain_dictionary")


def vowel_misfit(part: str) -> str:
    """SQL: how many vowels of a pair's name part contradict each other (columns with `_l` and `_r`).

    To be asked of names with the same skeleton. An Arabic spelling writes long vowels and endings only, and a
    Latin one must offer each of them: سليم and Slim fit, سالم and Slim do not.
    """
    one, other = f"{part}_vowels_l", f"{part}_vowels_r"
    return (
        f"case when ({part}_ar_l is null) = ({part}_ar_r is null) then bit_count(xor({one}, {other}))"
        f" when {part}_ar_r is null then bit_count({one} & ~{other}) else bit_count({other} & ~{one}) end"
    )
