"""Whole names cut into parts by what the other file calls given and family names.

What belongs here: the cut of a name in one text whose order is not known (family name first or last, names of two
words, a father's name between). What does not: cutting a chain by its own words alone
(`linkage.standardise.names`), which is done where the other file has no parts either.

A cut says which words are the given name, the father's and the family name. Its probability is that of its pattern
times that of its parts, as frequent as the other file has them, each alone or together in one person; patterns are
learnt from the names themselves.
"""

from __future__ import annotations

import itertools

import duckdb

from linkage import standardise
from linkage.model import columns_of
from linkage.standardise.names import chain_words

_MOST_WORDS = 5
_ROUNDS = 3
# A spelling that the other file does not have is as frequent as half a person
_UNSEEN = 0.5
# Two words that the other file never has as one name are seldom one: natural log
_NO_COMPOUND = -12.0
_ROLES = ("given", "father", "grandfather", "family")
# Most people of one file are in the other: a cut is more probable if somebody there is so named
_TOGETHER = ((("given", "family"), 0.3), (("given", "father", "family"), 0.6))
_APART = 0.1


def _cuts(n: int) -> list[dict[str, tuple[int, int]]]:
    """Every cut of n words: role -> first and last word, from 1; parts have one word or two."""
    found = []
    for k in range(2, min(n, 4) + 1):
        for sizes in itertools.product((1, 2), repeat=k):
            if sum(sizes) != n:
                continue
            ends = list(itertools.accumulate(sizes))
            parts = [(end - size + 1, end) for end, size in zip(ends, sizes, strict=True)]
            # given, father, grandfather, family; or the family name first
            for family, rest in ((parts[-1], parts[:-1]), (parts[0], parts[1:])):
                cut = {"given": rest[0], "family": family}
                cut |= dict(zip(("father", "grandfather"), rest[1:], strict=False))
                found.append(cut)
    return found


def cut_by_each_other(connection: duckdb.DuckDBPyConnection, left: str, right: str) -> None:
    """Cut the names of one file as those of the other, where both write them whole.

    The file of the longer names is the measure, the right one of two alike: who writes four words writes a chain,
    while a family name that stands first does so in two or three.

    Args:
        connection: DuckDB.
        left, right: canonical columns by `record_id`, with `full_name` and no part of a name; one gets the columns of
            the parts in its place.
    """
    words = {
        table: connection.execute(
            f"select avg(len(words)) from"
            f" ({chain_words(f'select full_name as raw from {table} where full_name is not null')})"
        ).fetchall()[0][0]
        for table in (left, right)
    }
    measure, whole = (left, right) if (words[left] or 0) > (words[right] or 0) else (right, left)
    connection.execute(
        f"""create or replace temp table chain_part as
        select words[1] as given_name, case when len(words) > 2 then words[2] end as father_name,
            case when len(words) > 3 then words[3] end as grandfather_name,
            case when len(words) > 1 then words[-1] end as family_name
        from ({chain_words(f"select full_name as raw from {measure} where full_name is not null")})"""
    )
    cut_by_vocabulary(connection, whole, "chain_part", most_words=len(_ROLES))
    connection.execute("drop table chain_part")


def cut_by_vocabulary(
    connection: duckdb.DuckDBPyConnection, whole: str, parted: str, *, most_words: int = _MOST_WORDS
) -> None:
    """Give the table `whole` the columns of the parts of a name in place of `full_name`.

    Args:
        connection: DuckDB.
        whole: canonical columns by `record_id`, with `full_name` and no part of a name.
        parted: the other file's, with `given_name`, `family_name` and perhaps `father_name` and `grandfather_name`.
        most_words: names of more words stay whole.
    """
    present = columns_of(connection, parted)
    connection.execute(
        f"""create or replace temp table whole_name as
        select w.raw, w.words, n_rows from (
            {chain_words(f"select distinct full_name as raw from {whole} where full_name is not null")}
        ) as w join (select full_name as raw, count(*) as n_rows from {whole} group by full_name) using (raw)"""
    )
    pieces = " union ".join(
        [
            f"select array_to_string(words[{i}:{j}], ' ') as raw from whole_name where len(words) >= {j}"
            for i in range(1, most_words + 1)
            for j in (i, i + 1)
            if j <= most_words
        ]
        + [f"select {role}_name from {parted}" for role in _ROLES if f"{role}_name" in present]
    )
    standardise.create_name_dictionary(connection, "piece", pieces)
    for role in _ROLES:
        column = f"{role}_name" if f"{role}_name" in present else "given_name"
        connection.execute(
            f"""create or replace temp table vocabulary_{role} as
            select p.name.skeleton as skeleton, ln(count(*) / sum(count(*)) over ()) as heard
            from {parted} as t join piece as p on p.raw = t.{column} where p.name.skeleton is not null group by 1"""
        )
    unseen = {
        role: connection.execute(
            f"select ln({_UNSEEN} / greatest(1, count({role if f'{role}_name' in present else 'given'}_name)))"
            f" from {parted}"
        ).fetchall()[0][0]
        for role in _ROLES
    }
    parts = []
    for n in range(2, most_words + 1):
        for number, cut in enumerate(_cuts(n)):
            columns = ", ".join(
                (f"array_to_string(words[{cut[r][0]}:{cut[r][1]}], ' ')" if r in cut else "null::text")
                + f" as {r}"
                for r in _ROLES
            )
            parts.append(
                f"select raw, n_rows, {n} as n, {number} as cut, {columns} from whole_name where len(words) = {n}"
            )
    heard = {
        role: f"case when c.{role} is null then 0 else coalesce(v_{role}.heard,"
        f" case when contains(c.{role}, ' ') then {_NO_COMPOUND} else 0 end + {unseen[role]}) end"
        for role in _ROLES
    }
    ways = [f"{_APART} * exp({' + '.join(heard.values())})"]
    joins = " ".join(
        f"left join piece as p_{role} on p_{role}.raw = c.{role}"
        f" left join vocabulary_{role} as v_{role} on v_{role}.skeleton = p_{role}.name.skeleton"
        for role in _ROLES
    )
    for number, (roles, weight) in enumerate(_TOGETHER):
        if not present.issuperset(f"{role}_name" for role in roles):
            continue
        columns = ", ".join(f"p_{role}.name.skeleton as {role}" for role in roles)
        known = " ".join(f"join piece as p_{role} on p_{role}.raw = t.{role}_name" for role in roles)
        filled = " and ".join(f"{role} is not null" for role in roles)
        connection.execute(
            f"""create or replace temp table together_{number} as
            select {", ".join(roles)}, ln(count(*) / sum(count(*)) over ()) as heard
            from (select {columns} from {parted} as t {known}) where {filled} group by {", ".join(roles)}"""
        )
        joins += f" left join together_{number} as t_{number} on " + " and ".join(
            f"t_{number}.{role} = p_{role}.name.skeleton" for role in roles
        )
        others = "".join(f" + {heard[role]}" for role in _ROLES if role not in roles)
        ways.append(f"coalesce({weight} * exp(t_{number}.heard{others}), 0)")
    connection.execute(
        f"""create or replace temp table cut as
        select c.*, ln({" + ".join(ways)}) as likelihood, 0.0::double as pattern
        from ({" union all ".join(parts)}) as c {joins}"""
    )
    for _ in range(_ROUNDS):
        connection.execute(
            """create or replace temp table cut as
            with weighed as (
                select *, exp(likelihood + pattern - max(likelihood + pattern) over (partition by raw)) as w from cut
            ),
            shared as (select *, w / sum(w) over (partition by raw) * n_rows as share from weighed),
            patterns as (
                select n, cut, ln((sum(share) + 1) / sum(sum(share) + 1) over (partition by n)) as found
                from shared group by n, cut
            )
            select s.* exclude (w, share, pattern), found as pattern from shared as s join patterns using (n, cut)"""
        )
    connection.execute(
        f"""create or replace temp table {whole} as
        with best as (
            select raw, arg_max({{'g': given, 'f': father, 'r': grandfather, 'l': family}},
                {{'p': likelihood + pattern, 'c': -cut}}) as parts
            from cut group by raw
        )
        select t.* exclude (full_name), case when parts is null then full_name end as full_name,
            parts.g as given_name, parts.f as father_name, parts.r as grandfather_name, parts.l as family_name
        from {whole} as t left join best on best.raw = t.full_name"""
    )
    connection.execute("drop table cut; drop table whole_name; drop table piece")
