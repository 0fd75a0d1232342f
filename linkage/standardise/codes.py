"""Sex, numbers and phones, as DuckDB SQL."""

from __future__ import annotations

from linkage.standardise.text import digits, normal_letters, quoted

_SEX = {
    "male": "m male man boy h homme masculin masc masculine garcon g mr 1 ذكر ذ رجل ولد",
    "female": "f female woman girl w femme feminin feminine fem fille mme mlle mrs ms 2 انثى انثي أنثى أنثي امراة"
    " امرأة مراة أ ا بنت",
}

# Country codes of telephones: the Maghreb, the Mashriq, the Gulf, and where their emigrants live
_DIALLING = (
    "20 211 212 213 216 218 222 249 252 253 269 30 31 32 33 34 39 41 43 44 45 46 47 49 90 1 961 962 963 964 965 966"
    " 967 968 970 971 972 973 974"
)


def stages(present: set[str]) -> list[tuple[str, str]]:
    """Columns that `columns` reads beside those of the raw table, and what they are made of."""
    first_phone = "regexp_extract(phone, '^[^/;,|]*')"
    made = {
        "national_number": ("number_found", _number("national_number")),
        "phone": ("phone_digits", digits(first_phone)),
        "sex": (
            "sex_word",
            f"case when sex in ('male', 'female') then sex else {normal_letters('trim(sex)')} end",
        ),
    }
    return [stage for column, stage in made.items() if column in present]


def sex_word(expression: str) -> str:
    """SQL: `male`, `female`, or null for what says neither in English, French, Arabic or ISO 5218."""
    return _sex_code(normal_letters(f"trim({expression})"))


def _sex_code(word: str) -> str:
    cases = " ".join(
        f"when {word} in ({', '.join(quoted(w) for w in words.split())}) then '{code}'"
        for code, words in _SEX.items()
    )
    return f"case {cases} end"


def columns(present: set[str]) -> list[str]:
    """Columns `national_number`, `postal_code`, `phone` and `sex` of the raw table and its stages, `r`.

    `national_number` has digits without leading zeros, and a letter or two before four digits or more; one digit
    repeated is a placeholder. `phone` is the national part of the first phone number: without country code and
    leading zeros. `sex` is `male`, `female`, or null for what says neither in English, French, Arabic or ISO 5218.
    """

    def given(column: str, expression: str) -> str:
        return f"{expression if column in present else 'null::text'} as {column}"

    found, n, bare = "r.number_found", "r.phone_digits", "ltrim(r.phone_digits, '0')"
    codes = "|".join(_DIALLING.split())
    phone = f"""case when length({bare}) < 6 or ltrim({n}, {n}[1]) = '' then null
        when regexp_matches(r.phone, '^[ (]*([+]|00)') or length({bare}) > 10
            then ltrim(regexp_replace({bare}, '^({codes})([0-9]{{6,}})$', '\\2'), '0')
        else {bare} end"""
    return [
        given(
            "national_number",
            f"case when length({found}) < 4 or ltrim({found}, {found}[1]) <> '' then {found} end",
        ),
        given(
            "postal_code",
            "nullif(ltrim(regexp_replace(lower(r.postal_code), '[^a-z0-9]+', '', 'g'), '0'), '')",
        ),
        given("phone", phone),
        given("sex", _sex_code("r.sex_word")),
    ]


def _number(x: str) -> str:
    lettered = f"regexp_replace(upper({x}), '[^0-9A-Z]+', '', 'g')"
    return (
        f"case when regexp_full_match({x}, '[1-9][0-9]*') then {x}"
        f" when regexp_full_match({lettered}, '[A-Z]{{1,2}}[0-9]{{4,}}') then {lettered}"
        f" else nullif(ltrim({digits(x)}, '0'), '') end"
    )
