"""Why a household got its decision, what would change it, and where each fact came from, in sentences.

What belongs here: turning a stored decision, and the facts and rules behind it, into sentences, for one
household or for all at once, by SQL. What does not: deciding, and any sum of its own beyond what one changed
fact would do to a score.

The nearest facts are computed, not tried: one answer changes, its points are put in the place of the old ones,
and the new score is held against the line. All else stays, other households' scores included; where a rule and
the score read the same fact, only the one that is spoken of is changed. The sentences say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlglot
from sqlglot import exp

from sijill.errors import SijillError
from sijill.policy.expressions import columns_of, parse
from sijill.policy.labels import Labels, answers, load_labels
from sijill.policy.loader import load_policy
from sijill.policy.pack import Policy
from sijill.policy.settings import Scorecard
from sijill.policy.sql import Renderer
from sijill.policy.wording import LANGUAGES, counted, day, number, plain_number, quoted, sentence, texts

if TYPE_CHECKING:
    from sijill.country import Country
    from sijill.installation import Installation
    from warehouse import Warehouse

SECTIONS = ("decision", "rule", "score", "change", "source")
TABLE = "decision.explanation"
# Facts that nobody changes to be helped: where one lives is not offered as a change.
_FIXED_COLUMNS = {"region", "district", "stratum"}
_NEAREST = 3
# As the macro `fence`: in quotes the number is no limit to parallel plans.
_FENCE = "offset '0'"

# Canonical entity behind a column of household_evidence or member_evidence; any other column comes from the survey.
_ENTITY_OF = {
    "monthly_wage_amount": "income",
    "monthly_pension_amount": "income",
    "monthly_other_income_amount": "income",
    "monthly_net_income_amount": "income",
    "n_properties": "property",
    "n_second_homes": "property",
    "n_vehicles": "vehicle",
    "n_cars": "vehicle",
    "vehicles_value_amount": "vehicle",
    "n_sales": "asset_sale",
    "largest_sale_amount": "asset_sale",
    "n_meters": "utility_bill",
    "monthly_electricity_kwh": "utility_bill",
    "monthly_electricity_kwh_per_member": "utility_bill",
    "n_legacy_benefits": "benefit",
    "legacy_benefit_amount": "benefit",
    "n_pupils": "enrolment",
    "n_students": "enrolment",
    "n_school_age_not_enrolled": "enrolment",
    "n_disability_cards": "card",
    "n_severe_disability_cards": "card",
    "has_severe_disability": "card",
    "n_health_cards": "card",
    "health_scheme": "card",
    "n_accounts": "account",
    "n_deceased_members": "person",
    "head_age_years": "person",
    "head_sex": "person",
    "head_social_id": "person",
    "n_unconfirmed_members": "person",
    "n_verified_legacy_benefits": "benefit",
    "min_attendance_percent": "enrolment",
    "attendance_percent": "enrolment",
    "is_pupil": "enrolment",
    "is_student": "enrolment",
    "has_disability_card": "card",
    "has_severe_disability_card": "card",
    "has_health_card": "card",
    "n_clinic_visits": "clinic_visit",
    "min_clinic_visits": "clinic_visit",
    "n_service_requests": "service_request",
    "n_prosthesis_requests": "service_request",
    "requests_prosthesis": "service_request",
}


@dataclass(frozen=True)
class Line:
    """One sentence of an explanation.

    Attributes:
        programme: code.
        section: one of `SECTIONS`.
        text: the sentence.
    """

    programme: str
    section: str
    text: str


def explain(
    warehouse: Warehouse,
    installation: Installation,
    household_id: str,
    language: str,
    *,
    programme: str | None = None,
    cycle: str | None = None,
) -> list[Line]:
    """The explanation of one household's decisions, in order.

    Raises:
        SijillError: no such household, programme, language or cycle.
    """
    query, values = _prepared(warehouse, installation, language, cycle, programme, one_household=True)
    rows = warehouse.rows(query, values | {"household": household_id})
    if not rows:
        raise SijillError(
            f"No decision on the household '{household_id}' in {values['cycle']}.",
            expected="a household_id of decision.household_decision, decided in that cycle",
            action="correct the household, --programme or --cycle",
        )
    return [Line(row["programme"], row["section"], row["text"]) for row in rows]


def write_table(
    warehouse: Warehouse, installation: Installation, languages: Sequence[str], cycle: str | None = None
) -> int:
    """Fill `decision.explanation` for every household of a cycle, in some languages; how many sentences.

    The cycle's earlier sentences in those languages are replaced, in one transaction.
    """
    total = 0
    for language in languages:
        query, values = _prepared(warehouse, installation, language, cycle, None, one_household=False)
        version = load_policy(installation.country.policy_folder).version
        warehouse.execute(
            f"""
            with gone as (delete from {TABLE} where cycle = :cycle and language = :language)
            select 1
            """,
            values | {"language": language},
        )
        warehouse.execute(
            f"""
            insert into {TABLE}
            select household_id, programme, :cycle, :language
                , row_number() over (partition by household_id, programme order by section_position, line_position)
                , section, text, :version
            from ({query}) as lines
            """,
            values | {"language": language, "version": version},
        )
        total += int(
            warehouse.scalar(
                f"select count(*) from {TABLE} where cycle = :cycle and language = :language",
                {"cycle": values["cycle"], "language": language},
            )
            or 0
        )
    return total


def _prepared(
    warehouse: Warehouse,
    installation: Installation,
    language: str,
    cycle: str | None,
    programme: str | None,
    *,
    one_household: bool,
) -> tuple[str, dict[str, Any]]:
    if language not in LANGUAGES:
        raise SijillError(
            f"There is no language '{language}' here.", expected=", ".join(LANGUAGES), action="correct --lang"
        )
    from sijill.policy.compare import registry_cycle

    last = registry_cycle(warehouse)
    month = cycle or last
    country = installation.country
    policy = load_policy(country.policy_folder)
    codes = [p.code for p in policy.settings.programmes]
    if programme is not None and programme not in codes:
        raise SijillError(f"There is no programme '{programme}'.", expected=f"one of {', '.join(codes)}")
    query = explanation_query(
        policy,
        load_labels(policy.folder),
        country,
        month,
        language,
        programmes=[programme] if programme else codes,
        one_household=one_household,
        facts_known=month == last,
        received=_received(warehouse, country, month),
        gives_known=all(
            warehouse.exists("decision", table) for table in ("household_right", "entitlement_component")
        ),
        contradictions_known=warehouse.exists("decision", "contradiction"),
    )
    # A colon of a policy's own text is no parameter.
    bound = query.replace(":", r"\:").replace(r"\:household_given", ":household")
    return bound.replace(r"\:\:", "::"), {"cycle": month}


def _received(warehouse: Warehouse, country: Country, cycle: str) -> dict[str, str]:
    """Day on which each register was last received for a cycle, by canonical entity."""
    from intake import load_contracts

    rows = warehouse.rows(
        "select c.table_name, max(d.received_at at time zone 'UTC')::date as received_on "
        "from audit.cycle_delivery as c inner join audit.delivery as d on c.delivery_id = d.delivery_id "
        "where c.cycle = :cycle group by c.table_name",
        {"cycle": cycle},
    )
    by_table = {row["table_name"]: row["received_on"] for row in rows}
    found: dict[str, str] = {}
    for contract in load_contracts(country):
        for table in contract.tables:
            on = by_table.get(table.name)
            if on is not None and table.entity is not None:
                found[table.entity] = max(found.get(table.entity, ""), on.isoformat())
    return found


# The query


@dataclass(frozen=True)
class _Words:
    policy: Policy
    labels: Labels
    language: str
    currency: str
    decimals: int
    style: str

    def label(self, kind: str, code: str) -> str:
        return quoted(self.labels.text(kind, code, self.language))

    def cases(self, column: str, kind: str, codes: Sequence[str]) -> str:
        """SQL text: the label of the code that a column holds."""
        listed = " ".join(f"when {quoted(code)} then {self.label(kind, code)}" for code in codes)
        return f"case {column} {listed} else '[' || {column} || ']' end"

    def word(self, name: str) -> str:
        text: str = texts(self.language)["words"][name]
        return text

    def amount(self, value: str, unit: str, form: str = "units") -> str:
        decimals = self.decimals if unit == "currency" else 2
        return counted(value, unit, self.language, self.currency, decimals, form, self.style)

    def points(self, value: str, form: str = "units") -> str:
        return counted(value, "point", self.language, self.currency, 4, form, self.style)

    def number(self, value: str, decimals: int) -> str:
        return number(value, self.language, decimals, self.style)

    def status(self, code: str) -> str:
        return self.labels.text("status", code, self.language)

    def say(self, name: str, **slots: str) -> str:
        return sentence(self.language, name, **slots)


def explanation_query(
    policy: Policy,
    labels: Labels,
    country: Country,
    cycle: str,
    language: str,
    *,
    programmes: Sequence[str],
    one_household: bool,
    facts_known: bool = True,
    received: Mapping[str, str] | None = None,
    gives_known: bool = False,
    contradictions_known: bool = False,
    tables: Mapping[str, str] | None = None,
) -> str:
    """SQL that gives household_id, programme, section, section_position, line_position and text.

    Args:
        cycle: whose decisions are explained, YYYY-MM.
        programmes: codes to explain.
        one_household: whether to keep the household of the parameter `:household_given`.
        facts_known: whether the registry still holds the facts of that cycle; without them, answers are left out.
        received: day of each register's last delivery, by canonical entity.
        gives_known: whether the cycle's rights and amounts are in the warehouse; without them, they are left out.
        contradictions_known: whether the cycle's contradictions are; without them, they are left out.
        tables: relation by model, where not the cycle's own.
    """
    style = number_style(language, country.languages)
    words = _Words(policy, labels, language, country.currency, country.currency_decimals, style)
    variables = {
        "cycle": cycle,
        "currency": country.currency,
        "currency_decimals": country.currency_decimals,
        "policy": policy.as_vars(),
    }
    renderer = Renderer(variables, dict(tables or {}))
    at = {"household_decision": "decision.household_decision", "household_score": "scoring.household_score"}
    at |= {
        "decision_rule": "decision.decision_rule",
        "scorecard_item": "scoring.scorecard_item",
        "adjudication": "decision.adjudication",
    } | dict(tables or {})
    where = f"cycle = '{cycle}'" + (" and household_id = :household_given" if one_household else "")
    ctes = [
        "decided as (select *, coalesce(rules[1] like 'adjudication:%', false) as is_by_hand"
        f" from {at['household_decision']} where {where})",
        f"scored as (select * from {at['household_score']} where {where})",
        "facts as (select * from registry.household inner join registry.household_evidence using (household_id)"
        + (" where household_id = :household_given" if one_household else "")
        + ")",
    ]
    if facts_known:
        members = renderer.macro("member_indicators")
        if members:
            listed = ", ".join(
                f"{renderer.macro('policy_condition', i['expression'])} as member__{i['indicator']}"
                for i in members
            )
            ctes.append(
                f"member_facts as (select household_id, {listed} from registry.member_evidence group by household_id)"
            )
    unions: list[str] = []
    for programme in renderer.macro("programmes"):
        if programme["code"] not in programmes:
            continue
        unions += _decision_lines(words, programme["code"], at)
        if gives_known:
            unions += _given_lines(words, programme["code"], where)
        if facts_known:
            unions += _rule_lines(words, renderer, programme)
        unions += _queue_lines(words, renderer, programme)
        if programme.get("scorecard"):
            more, lines = _score_lines(words, renderer, programme, at, cycle, facts_known)
            # Two programmes may read one card.
            ctes += [cte for cte in more if cte not in ctes]
            unions += lines
        if facts_known:
            unions += _sources(words, renderer, programme, received or {})
        if contradictions_known and policy.tables["contradictions"]:
            unions.append(_contradiction_line(words, programme["code"], where))
    body = "\nunion all\n".join(unions)
    # How a change is reckoned is said only where one is told.
    return (
        "with "
        + "\n, ".join(ctes)
        + "\nselect household_id, programme, section, section_position, line_position, text"
        "\nfrom (\nselect *, bool_or(section = 'change' and line_position < 900)"
        " over (partition by household_id, programme) as has_change"
        f"\nfrom (\n{body}\n) as said\nwhere text is not null\n) as told"
        "\nwhere has_change or section <> 'change'\n"
        "order by household_id, programme, section_position, line_position"
    )


def number_style(language: str, languages: Sequence[str]) -> str:
    """Language whose signs numbers have: in Arabic those of the first other language of the country."""
    others = [other for other in languages if other != "ar" and other in LANGUAGES]
    return others[0] if language == "ar" and others else language


def _line(section: str, position: str, text: str, source: str, programme: str) -> str:
    return _lines(section, [(position, text)], source, programme)


def _lines(section: str, said: Sequence[tuple[str, str]], source: str, programme: str) -> str:
    """One pass over `source`, which may end in a condition `where d.…`, that says several sentences of each row."""
    listed = "\n, ".join(f"(({position})::numeric, {text})" for position, text in said)
    table, where, condition = source.partition(" where d.")
    return (
        f"select d.household_id, '{programme}'::text as programme, '{section}'::text as section"
        f", {SECTIONS.index(section)} as section_position, v.line_position, v.text\n{table}"
        # A fence: without it a sentence is made twice, once to see whether it is there.
        f" cross join lateral (select * from (values {listed}) as w (line_position, text) {_FENCE}) as v"
        f"{where}{condition}"
    )


def _decision_lines(words: _Words, code: str, at: Mapping[str, str]) -> list[str]:
    statuses = [
        s
        for p in words.policy.settings.programmes
        if p.code == code
        for s in p.statuses.model_dump().values()
    ]
    named = "case d.status " + " ".join(f"when {quoted(s)} then {quoted(words.status(s))}" for s in statuses)
    named += " else '[' || d.status || ']' end"
    reasons = "case r.reason " + " ".join(
        f"when {quoted(code_)} then {quoted(of.get(words.language) or f'[{code_}]')}"
        for code_, of in words.policy.reasons.items()
    )
    reasons += " else '[' || r.reason || ']' end" if words.policy.reasons else ""
    mine = f"from decided as d where d.programme = '{code}'"
    place = words.say("waiting", rank=words.number("d.waiting_rank", 0))
    with_reasons = (
        "from decided as d cross join lateral unnest(d.reasons, d.rules) with ordinality as r (reason, rule, place) "
        f"left join {at['decision_rule']} as k on k.cycle = d.cycle and k.programme = d.programme and k.rule = r.rule "
        f"left join {at['adjudication']} as h on d.is_by_hand and h.adjudication_id = d.adjudication_id "
        f"where d.programme = '{code}'"
    )
    by_hand = words.say("adjudicated", by="h.decided_by", date=day("h.decided_on"), evidence="h.evidence")
    # "; that … is assumed" is a remark for auditors; and a placeholder rests on no text.
    cited = "split_part(k.source, '; that ', 1)"
    return [
        _line("decision", "0", words.say("status", status=named), mine, code),
        _line("decision", "r.place * 10", words.say("reason", reason=reasons), with_reasons, code),
        _line(
            "decision",
            "r.place * 10 + 1",
            f"case when h.adjudication_id is not null then {by_hand} "
            f"when k.source <> '' and k.standing <> 'illustrative' then {words.say('law', source=cited)} end",
            with_reasons,
            code,
        ),
        _line(
            "decision",
            "r.place * 10 + 2",
            f"case when k.standing = 'illustrative' then {words.say('assumed')} end",
            with_reasons,
            code,
        ),
        _line(
            "decision",
            "1000",
            f"case when d.waiting_rank is not null then {place} end",
            mine,
            code,
        ),
    ]


def _given_lines(words: _Words, code: str, where: str) -> list[str]:
    """What the decision gives: tier, rights, and the month's money with what is paid or kept back for others.

    `where` names the cycle, and the household where only one is told of.
    """
    mine = f"from decided as d where d.programme = '{code}'"
    lines = []
    tiers = {row.values["tier"] for row in words.policy.tables["tiers"] if row.values["programme"] == code}
    if tiers:
        named = words.cases("d.tier", "tier", sorted(tiers))
        said = words.say("tier", tier=named)
        lines.append(_line("decision", "1100", f"case when d.tier is not null then {said} end", mine, code))
    rights = {row.values["right"] for row in words.policy.tables["rights"] if row.values["programme"] == code}
    if rights:
        given = (
            "from decided as d inner join (select household_id, string_agg(distinct "
            f"{words.cases('right_code', 'right', sorted(rights))}, {quoted(words.word('comma'))}) as rights"
            f" from decision.household_right where {where} and programme = '{code}' group by household_id"
            f") as g on d.household_id = g.household_id where d.programme = '{code}'"
        )
        lines.append(_line("decision", "1200", words.say("rights", rights="g.rights"), given, code))
    if not any(row.values["programme"] == code for row in words.policy.tables["benefits"]):
        return lines
    paid = (
        "from decided as d inner join (select household_id, sum(amount) filter (where is_payable) as amount"
        ", sum(amount) filter (where kind = 'arrears') as arrears"
        ", -sum(amount) filter (where kind = 'recovery') as recovery"
        f" from decision.entitlement_component where {where} and programme = '{code}' group by household_id"
        f") as g on d.household_id = g.household_id where d.programme = '{code}'"
    )
    said_each = [
        (
            str(1300 + place),
            f"case when g.{name} > 0 then {words.say(name, amount=words.amount(f'g.{name}', 'currency'))} end",
        )
        for place, name in enumerate(("amount", "arrears", "recovery"))
    ]
    return [*lines, _lines("decision", said_each, paid, code)]


def _queue_lines(words: _Words, renderer: Renderer, programme: Mapping[str, Any]) -> list[str]:
    """To one who waits: in which order places are given, and that nothing stands against the household."""
    code = programme["code"]
    capacity = next(iter(renderer.macro("policy_rows", "capacity", code)), None)
    if capacity is None:
        return []
    steps = [words.word("queue_kept")] if capacity.get("keeps_place") == "yes" else []
    if capacity.get("priority"):
        steps.append(words.labels.text("priority", code, words.language))
    if programme.get("scorecard"):
        # A card that measures no poverty has an order of its own.
        own = words.labels.texts.get(("scorecard", programme["scorecard"]), {}).get(words.language)
        steps.append(words.word("queue_score" if own else "queue_need"))
    steps.append(words.word("queue_visit"))
    waits = "case when d.waiting_rank is not null then"
    return [
        _lines(
            "decision",
            [
                ("1001", f"{waits} {words.say('queue', steps=quoted(words.word('comma').join(steps)))} end"),
                ("1002", f"{waits} {words.say('queue_turn')} end"),
            ],
            f"from decided as d where d.programme = '{code}'",
            code,
        )
    ]


def _rule_lines(words: _Words, renderer: Renderer, programme: Mapping[str, Any]) -> list[str]:
    """Each criterion and condition that applies, met or not, and what would meet the one that is not."""
    code = programme["code"]
    met_or_not: list[tuple[str, str]] = []
    would_meet: list[tuple[str, str]] = []
    criteria = renderer.macro("policy_rows", "criteria", code)
    rows = [("criterion", row) for row in criteria]
    rows += [("condition", row) for row in renderer.macro("policy_rows", "conditions", code)]
    if not rows:
        return []
    judged = [_judged(renderer, row) for _, row in rows]
    # Counted here and not read from the decision, which asks no later stage once one has failed.
    failing = " + ".join(f"({applies} and not {met})::integer" for applies, met in judged)
    excluded = " or ".join(_excluded(renderer, programme)) or "false"
    selection = next(iter(renderer.macro("policy_rows", "selection", code)), None)
    on_the_line = selection is not None and selection["rule"] == "score" and "=" in selection["operator"]
    inside = f"coalesce(d.margin, 1) {'>=' if on_the_line else '>'} 0"
    # Of the decision only what is read here: a criterion's own columns, such as the region, must mean the facts'.
    source = (
        "from (select household_id, rules, margin, is_by_hand from decided"
        f" where programme = '{code}') as d\ninner join facts as f on d.household_id = f.household_id"
        f"\ncross join lateral (select {failing} as n_failing, {excluded} as is_excluded {_FENCE}) as c"
    )
    statuses = programme["statuses"]
    selected = _selected(words, renderer, programme)
    for place, ((kind, row), (applies, met)) in enumerate(zip(rows, judged, strict=True), 1):
        name = row["code"]
        label = words.label("fact", name)
        unit = words.labels.units.get(("fact", name)) or row.get("unit", "")
        unit = unit if unit in ("currency", "share", "person", "year", "month", "km", "kwh", "point") else ""
        limit = renderer.macro("exact_product", row["threshold"])
        threshold = f"(({limit['numerator']})::numeric / ({limit['denominator']}))"
        side = {"<": "below", "<=": "most", ">": "above", ">=": "least"}.get(row["operator"], "plain")
        # A yes or no written as 1 or 0 reads badly as a number.
        if side != "plain" and not _is_number(row["fact"]):
            side = "plain"
        verdict = f"case when {met} then {quoted(words.word('met'))} else {quoted(words.word('unmet'))} end"
        slots = {"label": label, "met": verdict}
        if side != "plain":
            value = words.amount(f"({row['fact']})::numeric", unit)
            slots["value"] = f"coalesce({value}, {quoted(words.word('unknown'))})"
            slots["threshold"] = words.amount(
                threshold, unit, "genitive" if side in ("below", "above") else "units"
            )
        said = words.say(f"criterion_{side}", **slots)
        met_or_not.append((str(place), f"case when {applies} then {said} end"))
        # Where one lives is no change to make.
        read = columns_of(row["fact"])
        if read and read <= _FIXED_COLUMNS:
            continue
        after = (
            f"case when {inside} then {quoted(selected)} else {quoted(words.status(statuses['passed']))} end"
        )
        then = (
            f"case when c.n_failing > 1 or c.is_excluded then {words.say('then_others')} "
            f"else {words.say('then', status=after)} end"
        )
        slots = {"label": label, "then": then}
        if side != "plain":
            slots["threshold"] = words.amount(threshold, unit, "genitive")
        said = words.say(f"change_{side}", **slots)
        failed = f"{applies} and not {met} and not d.is_by_hand and '{kind}:{name}' = any(d.rules)"
        would_meet.append((str(place), f"case when {failed} then {said} end"))
    lines = [_lines("rule", met_or_not, source, code)]
    return lines + ([_lines("change", would_meet, source, code)] if would_meet else [])


def _judged(renderer: Renderer, row: Mapping[str, Any]) -> tuple[str, str]:
    """SQL booleans, never null: whether a criterion or condition applies, and whether it is met."""
    applies = renderer.macro("policy_condition", row.get("applies_when") or "")
    met = renderer.macro("compare_exactly", row["fact"], row["operator"], row["threshold"])
    missing = "true" if row["on_missing"] == "pass" else "false"
    return f"(({applies}) is true)", f"coalesce({met}, {missing})"


def _excluded(renderer: Renderer, programme: Mapping[str, Any]) -> list[str]:
    """SQL booleans: another programme shuts the household out, or the months of a term are over."""
    code = programme["code"]
    found = []
    for row in renderer.macro("policy_rows", "exclusions", code):
        other = row["excluded_by"]
        passed = next(p for p in renderer.macro("programmes") if p["code"] == other)["statuses"]["passed"]
        has_it = {
            "selected": "o.is_selected",
            "inside": f"o.is_eligible and o.status <> {quoted(passed)}",
            "eligible": "o.is_eligible",
        }[row["when"]]
        found.append(
            "exists (select 1 from decided as o where o.household_id = f.household_id"
            f" and o.programme = {quoted(other)} and {has_it})"
        )
    found += [f"'term:{row['term']}' = any(d.rules)" for row in renderer.macro("policy_rows", "terms", code)]
    return found


def _selected(words: _Words, renderer: Renderer, programme: Mapping[str, Any]) -> str:
    """The status of one who is let in; where places are counted, also that of one who must wait."""
    statuses = programme["statuses"]
    selected = words.status(statuses["selected"])
    if not renderer.macro("policy_rows", "capacity", programme["code"]):
        return selected
    waiting = words.status(statuses.get("waiting", "waiting"))
    template: str = texts(words.language)["sentences"]["status_capacity"]
    return template.format(status=selected, waiting=waiting)


def _is_number(fact: str) -> bool:
    """Whether a fact is a quantity, and not a `case` that gives 1 or 0."""
    tree = parse(fact)
    return not isinstance(tree, exp.Case) and tree.find(exp.Case) is None


def _score_lines(
    words: _Words,
    renderer: Renderer,
    programme: Mapping[str, Any],
    at: Mapping[str, str],
    cycle: str,
    facts_known: bool,
) -> tuple[list[str], list[str]]:
    code, card_name = programme["code"], programme["scorecard"]
    card = words.policy.settings.scorecards[card_name]
    sign = 1 if card.direction == "higher_is_poorer" else -1
    columns = {c["indicator"]: c for c in renderer.macro("scorecard_columns", card_name)}
    names = list(renderer.macro("scorecard_indicators", card_name))
    rows = renderer.macro("scorecard_items", card_name)
    joined = (
        "from decided as d inner join scored as s on d.household_id = s.household_id "
        f"and s.scorecard = '{card_name}' and d.programme = '{code}'"
    )
    line_sql, ctes = _line_ctes(renderer, programme, at, cycle, sign)
    score = words.points("s.score")
    # A card that measures no poverty says itself what its score means.
    own = words.labels.texts.get(("scorecard", card_name), {}).get(words.language)
    lines = [
        _line(
            "score",
            "0",
            words.say("score", score=score, direction=quoted(own or words.word(card.direction))),
            joined,
            code,
        ),
        _line(
            "score",
            "1",
            words.say(
                "rank_only" if own else "rank",
                rank=words.number("s.score_rank", 0),
                population=counted(
                    "s.population", "household", words.language, words.currency, 0, "genitive", words.style
                ),
            ),
            joined,
            code,
        ),
    ]
    joined_line = f"{joined} cross join line_{code} as l"
    if line_sql:
        lines.append(
            _line(
                "score",
                "2",
                f"case when l.in_at is not null then {words.say('line', line=words.points('l.in_at'))} end",
                joined_line,
                code,
            )
        )
        short = f"({sign}) * (l.in_at - s.score)"
        lines.append(
            _line(
                "score",
                "3",
                f"case when {short} > 0 then {words.say('need', need=words.points(short))} "
                f"when {short} < 0 then {words.say('excess', need=words.points(f'-({short})', 'genitive'))} "
                f"when {short} = 0 then case when l.is_strict then {words.say('on_line_out')} "
                f"else {words.say('on_line_in')} end end",
                joined_line,
                code,
            )
        )
    if not facts_known:
        return ctes, lines
    ctes.append(
        _answers_cte(renderer, columns, card_name, any(c["of"] == "members" for c in columns.values()))
    )
    answered = f"{joined} inner join answers_{card_name} as a on d.household_id = a.household_id"
    nothing: list[str] = []
    items: list[tuple[str, str]] = []
    for place, name in enumerate(names, 1):
        if name == "constant":
            base = f"(s.item_points[{place}] / s.score_denominator)"
            items.append(("9", words.say("constant", points=words.points(base))))
            continue
        label = words.label("indicator", name)
        points = f"(s.item_points[{place}] / s.score_denominator)"
        value = _value(words, name, columns[name])
        text = words.say("item", label=label, value=value, points=words.points(points))
        gained = words.number(points, 4)
        maximum = _most(card.method, [r for r in rows if r["indicator"] == name])
        if maximum is not None:
            text = words.say(
                "item_of", label=label, value=value, points=gained, most=words.points(maximum, "genitive")
            )
        # The largest contributions first.
        items.append(
            (
                f"10 + 1 / (1 + abs({points})) + {place} * 0.000001",
                f"case when {points} <> 0 then {text} end",
            )
        )
        nothing.append(f"case when coalesce({points}, 0) = 0 then {label} end")
    comma = quoted(words.word("comma"))
    listed = f"nullif(concat_ws({comma}, {', '.join(nothing)}), '')" if nothing else "null"
    items.append(("900", f"case when {listed} is not null then {words.say('nothing', labels=listed)} end"))
    lines.append(_lines("score", items, answered, code))
    if line_sql:
        more, changes = _changes(words, renderer, programme, names, rows, columns, sign)
        ctes += more
        lines += changes
    return ctes, lines


def _most(method: str, rows: Sequence[Mapping[str, Any]]) -> str | None:
    if method == "additive":
        return f"greatest(0, {', '.join(r['points'] for r in rows)})"
    if method == "alkire_foster":
        # Of the known indicators' weights, where the card puts these in the place of all.
        return f"({rows[0]['numerator']})::numeric / s.score_denominator"
    return None


def _line_ctes(
    renderer: Renderer, programme: Mapping[str, Any], at: Mapping[str, str], cycle: str, sign: int
) -> tuple[bool, list[str]]:
    """CTE `line_<programme>`: the score at which one comes in, and at which one who is in stays.

    For a share of the households these are scores that occur: the last whose rank lies inside, and the last whose rank
    would still lie inside were one household before it gone.
    """
    code, card = programme["code"], programme["scorecard"]
    selection = next(iter(renderer.macro("policy_rows", "selection", code)), None)
    worst = "min" if sign > 0 else "max"
    if selection is None:
        return False, []
    if selection["rule"] == "score":
        limit = renderer.macro("exact_product", selection["threshold"])
        value = f"(({limit['numerator']})::numeric / ({limit['denominator']}))"
        strict = "true" if selection["operator"] in ("<", ">") else "false"
        return True, [f"line_{code} as (select {value} as in_at, {value} as stays_at, {strict} as is_strict)"]
    if selection["rule"] != "quantile":
        return False, []
    groups = renderer.macro("exact_product", selection["groups"])["numerator"]
    take = renderer.macro("exact_product", selection["take"])["numerator"]
    limit_sql = f"({take})::numeric * population / ({groups})"
    return True, [
        f"line_{code} as (select {worst}(score) filter (where score_rank - 1 < {limit_sql}) as in_at"
        f", {worst}(score) filter (where score_rank - 2 < {limit_sql}) as stays_at, false as is_strict "
        f"from {at['household_score']} where cycle = '{cycle}' and scorecard = '{card}' and score is not null)"
    ]


def _answers_cte(
    renderer: Renderer, columns: Mapping[str, Mapping[str, Any]], card: str, of_members: bool
) -> str:
    listed = ", ".join(f"{renderer.macro('indicator_value', c)} as {name}" for name, c in columns.items())
    join = " left join member_facts using (household_id)" if of_members else ""
    return f"answers_{card} as (select household_id, {listed} from facts{join} {_FENCE})"


def _value(words: _Words, name: str, column: Mapping[str, Any], at: str = "a") -> str:
    """An answer in words, as SQL text."""
    unknown = quoted(words.word("unknown"))
    column_sql = f"{at}.{name}"
    if column["type"] == "boolean":
        yes, no = quoted(words.word("yes")), quoted(words.word("no"))
        return f"case when {column_sql} then {yes} when not {column_sql} then {no} else {unknown} end"
    if column["type"] == "text":
        known = {
            code.split(".", 1)[1] if code.startswith(f"{name}.") else code
            for kind, code in words.labels.texts
            if kind == "value" and ("." not in code or code.startswith(f"{name}."))
        }
        cases = " ".join(
            f"when {quoted(v)} then {quoted(words.labels.value(name, v, words.language))}"
            for v in sorted(known)
        )
        named = f"case {column_sql} {cases} else {column_sql} end" if cases else column_sql
        return f"coalesce({named}, {unknown})"
    unit = words.labels.units.get(("indicator", name), "")
    return f"coalesce({words.amount(f'{column_sql}::numeric', unit)}, {unknown})"


@dataclass(frozen=True)
class _Alternative:
    """An answer that a household could have given: what the card would give for it, and its words."""

    indicator: str
    points: str
    words: str


def _changes(
    words: _Words,
    renderer: Renderer,
    programme: Mapping[str, Any],
    names: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, Mapping[str, Any]],
    sign: int,
) -> tuple[list[str], list[str]]:
    """The nearest single answers that would move an eligible household across the line."""
    code, card_name = programme["code"], programme["scorecard"]
    card = words.policy.settings.scorecards[card_name]
    offered: list[str] = []
    said: list[tuple[str, str, str]] = []
    tries_all = True
    for place, name in enumerate(names, 1):
        if name == "constant" or columns_of(columns[name]["expression"]) & _FIXED_COLUMNS:
            continue
        mine = [r for r in rows if r["indicator"] == name]
        value = _value(words, name, columns[name])
        alternatives = _alternatives(words, card, name, mine, columns[name], renderer)
        # A quantity that counts by its amount has no answers to choose from: then not every fact is tried.
        tries_all = tries_all and len(alternatives) > 1
        for alternative in alternatives:
            offered.append(
                f"({len(offered)}, ({alternative.points})::numeric / s.score_denominator"
                f", s.item_points[{place}] / s.score_denominator)"
            )
            said.append((words.label("indicator", name), value, alternative.words))
    if not offered:
        return [], []
    # Words are put together only for the few answers that are told.
    label, value_now, alternative_text = (
        "case d.offer " + " ".join(f"when {i} then {told[part]}" for i, told in enumerate(said)) + " end"
        for part in range(3)
    )
    statuses = programme["statuses"]
    selected = quoted(_selected(words, renderer, programme))
    passed = quoted(words.status(statuses["passed"]))
    selected_code, passed_code = quoted(statuses["selected"]), quoted(statuses["passed"])
    crosses_in, stays = (
        f"case when l.is_strict then {sign} * (c.score - l.{line}) > 0 else {sign} * (c.score - l.{line}) >= 0 end"
        for line in ("in_at", "stays_at")
    )
    cte = f"""changed_{code} as (
        select household_id, offer, score, is_inside, flips
            , bool_or(flips) over (partition by household_id) as any_flips
            -- Of those that cross the line the smallest change first; of those that do not, the largest.
            , row_number() over (
                partition by household_id
                order by flips desc, abs(score - own_score) * case when flips then 1 else -1 end, offer
            ) as place
        from (
            select d.household_id, c.offer, c.score, s.score as own_score, d.is_inside
                , case when d.is_inside then not ({stays}) else {crosses_in} end as flips
            from (
                select *, status = {selected_code} as is_inside from decided
                where programme = '{code}' and status in ({selected_code}, {passed_code}) and not is_in_grace
                    and not is_by_hand
            ) as d
            inner join scored as s on d.household_id = s.household_id and s.scorecard = '{card_name}'
            inner join answers_{card_name} as a on d.household_id = a.household_id
            cross join line_{code} as l
            cross join lateral (
                select o.offer, s.score - o.points_now + o.points_then as score
                from (values {", ".join(offered)}) as o (offer, points_then, points_now)
                where o.points_now is not null
                    and sign(o.points_then - o.points_now) = case when d.is_inside then -({sign}) else {sign} end
            ) as c
        ) as tried
    )"""
    joined = (
        f"from changed_{code} as d inner join answers_{card_name} as a on d.household_id = a.household_id"
    )
    text = words.say(
        "change_item",
        label=label,
        alternative=alternative_text,
        value=value_now,
        score=words.points("d.score", "genitive"),
        status=f"case when d.is_inside then {passed} else {selected} end",
    )
    none = words.say(
        "change_none" if tries_all else "change_none_listed",
        label=label,
        alternative=alternative_text,
        score=words.points("d.score", "genitive"),
    )
    decided = f"from decided as d where d.programme = '{code}'"
    lines = [
        _line("change", "100 + d.place", text, f"{joined} where d.flips and d.place <= {_NEAREST}", code),
        _line("change", "900", words.say("caveat"), decided, code),
        _line("change", "100", none, f"{joined} where d.place = 1 and not d.any_flips", code),
    ]
    return [cte], lines


def _alternatives(
    words: _Words,
    card: Scorecard,
    name: str,
    rows: Sequence[Mapping[str, Any]],
    column: Mapping[str, Any],
    renderer: Renderer,
) -> list[_Alternative]:
    if card.method == "additive":
        points = [r["points"] for r in rows]
    elif card.method == "alkire_foster":
        points = [str(rows[0]["numerator"])]
    else:
        return _terms(words, card, name, rows, column)
    conditions = [renderer.macro("policy_condition", r["condition"]) for r in rows]
    spoken = [_spoken(words, name, c, conditions[:i], column) for i, c in enumerate(conditions)]
    found = [_Alternative(name, p, quoted(w)) for p, w in zip(points, spoken, strict=True) if w is not None]
    rest = _otherwise(words, name, conditions, column)
    if rest is not None:
        found.append(_Alternative(name, "0", quoted(rest)))
    return found


def _terms(
    words: _Words, card: Scorecard, name: str, rows: Sequence[Mapping[str, Any]], column: Mapping[str, Any]
) -> list[_Alternative]:
    """Answers of a proxy means test's indicator: yes and no, or the texts that its terms name, and any other text.

    The terms of one answer add up, by stratum where they differ. A quantity that counts by its amount has no answers to
    choose from.
    """
    held: list[list[str]] = []
    for row in rows:
        condition = row.get("condition") or ""
        if row.get("transform"):
            return []
        if column["type"] == "boolean":
            tree = parse(condition).unnest() if condition else None
            held.append(["no" if isinstance(tree, exp.Not) else "yes"])
        elif column["type"] == "text" and isinstance(parse(condition or "null").unnest(), exp.EQ | exp.In):
            held.append(answers(condition))
        else:
            return []
        if not held[-1]:
            return []
    known = (
        ["yes", "no"] if column["type"] == "boolean" else list(dict.fromkeys(a for of in held for a in of))
    )
    found = []
    for answer in [*known, *([] if column["type"] == "boolean" else [""])]:
        terms = [row for row, of in zip(rows, held, strict=True) if answer in of]
        sums = [
            f"case when a.{card.stratum} = {quoted(row['stratum'])} then {row['coefficient']} else 0 end"
            if row.get("stratum")
            else f"({row['coefficient']})"
            for row in terms
        ]
        if column["type"] == "boolean":
            said = words.word(answer)
        else:
            said = words.labels.value(name, answer, words.language) if answer else words.word("other")
        found.append(_Alternative(name, " + ".join(sums) or "0", quoted(said)))
    return found


def _comparison(condition: str) -> tuple[str, float] | None:
    """Operator and number of a condition such as `x < 20`, or None."""
    try:
        tree = parse(condition).unnest()
    except (sqlglot.errors.SqlglotError, ValueError):
        return None
    signs: dict[type[exp.Expression], str] = {
        exp.LT: "<",
        exp.LTE: "<=",
        exp.GT: ">",
        exp.GTE: ">=",
        exp.EQ: "=",
    }
    sign = next((text for kind, text in signs.items() if type(tree) is kind), None)
    right = tree.args.get("expression")
    if sign is None or not isinstance(tree.this, exp.Column):
        return None
    return (sign, float(right.this)) if isinstance(right, exp.Literal) and not right.is_string else None


def _spoken(
    words: _Words, name: str, condition: str, before: Sequence[str], column: Mapping[str, Any]
) -> str | None:
    """A condition in words; None where it has none. Answers of an earlier condition are not this one's."""
    if column["type"] == "boolean":
        negated = isinstance(parse(condition).unnest(), exp.Not)
        return words.word("no" if negated else "yes")
    if column["type"] == "text":
        listed = answers(condition)
        if not listed:
            return None
        return words.word("or").join(words.labels.value(name, v, words.language) for v in listed)
    compared = _comparison(condition)
    if compared is None:
        return None
    operator, limit = compared
    unit = words.labels.units.get(("indicator", name), "")
    if column["type"] in ("integer", "bigint") and (operator, limit) in (("<=", 0), ("<", 1)):
        return _plain(words, 0, unit)
    earlier = [c for c in map(_comparison, before) if c is not None]
    same = [x for o, x in earlier if o[0] == operator[0]]
    a = _plain(words, limit, unit)
    if operator == "=":
        return words.word("exactly").format(a=a)
    if operator[0] == "<":
        if same:
            return words.word("between").format(a=_plain(words, max(same), unit), b=a)
        return words.word("below" if operator == "<" else "at_most").format(a=a)
    if same:
        return words.word("between").format(a=a, b=_plain(words, min(same), unit))
    return words.word("above" if operator == ">" else "at_least").format(a=a)


def _otherwise(words: _Words, name: str, conditions: Sequence[str], column: Mapping[str, Any]) -> str | None:
    """What is left when no condition holds."""
    if column["type"] == "boolean":
        negated = isinstance(parse(conditions[0]).unnest(), exp.Not)
        return words.word("yes" if negated else "no")
    if column["type"] == "text":
        return words.word("other")
    compared = [c for c in map(_comparison, conditions) if c is not None]
    if len(compared) != len(conditions):
        return None
    unit = words.labels.units.get(("indicator", name), "")
    signs = {operator[0] for operator, _ in compared}
    if signs == {"<"}:
        operator, limit = max(compared, key=lambda c: c[1])
        return words.word("at_least" if operator == "<" else "above").format(a=_plain(words, limit, unit))
    if ">" in signs and signs <= {">", "="}:
        operator, limit = min(compared, key=lambda c: c[1])
        if column["type"] in ("integer", "bigint") and (operator, limit) in ((">", 0), (">=", 1)):
            return _plain(words, 0, unit)
        return words.word("at_most" if operator == ">" else "below").format(a=_plain(words, limit, unit))
    return None


def _plain(words: _Words, value: float, unit: str) -> str:
    """A number of the policy with its unit, as text."""
    if unit == "share":
        percent: str = texts(words.language)["numbers"]["percent"]
        return plain_number(value * 100, words.language, words.style) + percent
    text = plain_number(value, words.language, words.style)
    if not unit:
        return text
    from sijill.policy.wording import noun_forms

    forms = noun_forms(unit, words.language, words.currency)
    if "few" not in forms:
        below_two = texts(words.language)["numbers"]["singular_below_two"]
        single = abs(value) < 2 if below_two else value == 1
        return f"{text} {forms['one' if single else 'other']}"
    if value == 0 and "zero" in forms:
        return forms["zero"]
    if value == 1:
        return forms["one"]
    if value == 2:
        return forms.get("two_genitive", forms["two"])
    rest = value % 100
    form = "other" if value != int(value) else "few" if 3 <= rest <= 10 else "many" if rest >= 11 else "other"
    return f"{text} {forms[form]}"


def _contradiction_line(words: _Words, code: str, where: str) -> str:
    """Where declaration and register cannot both be true: what they say, and which of the two counted."""
    codes = sorted({row.values["reason"] for row in words.policy.tables["contradictions"]})
    reason = "case c.reason " + " ".join(
        f"when {quoted(c)} then {quoted(words.policy.reasons.get(c, {}).get(words.language) or f'[{c}]')}"
        for c in codes
    )
    source = (
        "from decided as d inner join (select household_id, reason, taken, row_number() over (partition by"
        f" household_id order by reason) as place from decision.contradiction where {where}"
        " group by household_id, reason, taken) as c on d.household_id = c.household_id"
        f" where d.programme = '{code}'"
    )
    by_register, by_declaration = (
        words.say(f"contradiction_{taken}", reason=f"{reason} else '[' || c.reason || ']' end")
        for taken in ("register", "declaration")
    )
    text = f"case c.taken when 'register' then {by_register} else {by_declaration} end"
    return _line("source", "500 + c.place", text, source, code)


def _sources(
    words: _Words, renderer: Renderer, programme: Mapping[str, Any], received: Mapping[str, str]
) -> list[str]:
    """One sentence a source: its day, and the facts of the rules and of the score that came from it."""
    code, card = programme["code"], programme.get("scorecard")
    read: list[tuple[set[str], str]] = []
    for kind in ("criteria", "conditions"):
        for row in renderer.macro("policy_rows", kind, code):
            read.append((columns_of(row["fact"]), words.labels.text("fact", row["code"], words.language)))
    if card:
        columns = {c["indicator"]: c for c in renderer.macro("scorecard_columns", card)}
        for name in renderer.macro("scorecard_indicators", card):
            if name != "constant":
                label = words.labels.text("indicator", name, words.language)
                read.append((columns_of(columns[name]["expression"]), label))
    by_entity: dict[str, dict[str, None]] = {}
    for names, label in read:
        for entity in sorted({_ENTITY_OF.get(name, "survey") for name in names}) or ["survey"]:
            by_entity.setdefault(entity, {})[label] = None
    found: list[tuple[str, str]] = []
    for place, (entity, labels) in enumerate(sorted(by_entity.items(), key=lambda item: item[0] != "survey")):
        listed = quoted(words.word("comma").join(labels))
        register = words.labels.texts.get(("evidence", entity), {}).get(words.language)
        register = register or texts(words.language)["evidence"].get(entity, f"[{entity}]")
        if entity == "survey":
            text = words.say("source_survey", date=day("f.surveyed_on"), labels=listed)
        else:
            on = received.get(entity)
            slots = {"register": quoted(register), "labels": listed}
            text = (
                words.say("source_register", date=day(f"date '{on}'"), **slots)
                if on
                else words.say("source_undated", **slots)
            )
        found.append((str(place), text))
    if not found:
        return []
    joined = f"from decided as d inner join facts as f on d.household_id = f.household_id where d.programme = '{code}'"
    return [_lines("source", found, joined, code)]
