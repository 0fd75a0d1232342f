"""The suites, one a stage, as plain data: no database, network or Great Expectations needed to read them.

Each expectation says why it is there. What follows from a contract or a policy is generated from it;
a tolerance says what it rests on. `critical` blocks the next stage, `warning` is shown and goes on.

`_observed` cites the rates of the simulated country's cycle 2026-11 at two sizes. They are to be replaced
by those of three real cycles.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from sijill.cycle import first_day, parse_cycle
from sijill.errors import SijillError
from sijill.installation import Installation

Severity = Literal["critical", "warning"]

LARGEST_HOUSEHOLD = 40
"""Members. A larger entry is taken for an institution or a keying error."""


def _observed(small: str, large: str) -> str:
    """A sentence for a note: what was measured at 2,000 and at 20,000 households."""
    if small == large:
        return f" Observed in the simulated country (2026-11-22): {small} at 2,000 and 20,000 households."
    return f" Observed in the simulated country (2026-11-22): {small} at 2,000 households, {large} at 20,000."


@dataclass(frozen=True)
class Expectation:
    """One expectation, by the name of its Great Expectations class.

    Attributes:
        kind: class in `great_expectations.expectations`, or `Rule` for a query that must return no row.
        title: what is expected, as a sentence.
        notes: why, and what a tolerance rests on.
        where: (column, value) when it is of some rows only.
    """

    kind: str
    title: str
    notes: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    severity: Severity = "critical"
    where: tuple[str, str] | None = None


@dataclass(frozen=True)
class Checked:
    """A table, or a query standing for one, and what is expected of it.

    Attributes:
        name: `schema.table`, or the name under which the query appears in the pages.
        query: None for the table itself.
        is_figures: the query gives a few rows, each a text `source` and numbers; it is run once.
    """

    name: str
    expectations: Sequence[Expectation]
    query: str | None = None
    is_figures: bool = False


@dataclass(frozen=True)
class Suite:
    """What must be true after a stage.

    Attributes:
        watched: tables that the stage's gate speaks for; a change in one makes the gate stale.
    """

    stage: str
    title: str
    watched: Sequence[str]
    checked: Sequence[Checked]


def rule(title: str, query: str, notes: str, severity: Severity = "critical") -> Expectation:
    """A query that must return no row. `{batch}` is the checked table, under the alias `subselect`.

    Select a constant or a key, never a personal column: only the number of rows is kept.
    """
    if re.search(r"\bjoin\b", query):
        # Great Expectations gives the alias itself, except in a query with a join
        query = query.replace("{batch}", "{batch} as subselect")
    return Expectation("Rule", title, notes, {"unexpected_rows_query": query}, severity)


def not_null(
    column: str, notes: str, severity: Severity = "critical", *, mostly: float | None = None
) -> Expectation:
    """Every row has a value in the column, or at least the share `mostly` of the rows."""
    if mostly is None:
        return Expectation(
            "ExpectColumnValuesToNotBeNull", f"{column} is never missing", notes, {"column": column}, severity
        )
    return Expectation(
        "ExpectColumnValuesToNotBeNull",
        f"{column} is there in at least {_percent(mostly)} of rows",
        notes,
        {"column": column, "mostly": mostly},
        severity,
    )


def one_of(column: str, values: Sequence[str], notes: str, severity: Severity = "critical") -> Expectation:
    """Every value of the column is in the list."""
    return Expectation(
        "ExpectColumnValuesToBeInSet",
        f"{column} is one of {', '.join(values)}",
        notes,
        {"column": column, "value_set": list(values)},
        severity,
    )


def between(
    column: str,
    low: float | int | None,
    high: float | int | None,
    notes: str,
    severity: Severity = "critical",
    *,
    mostly: float | None = None,
) -> Expectation:
    """Every value of the column is from `low` to `high`, in at least the share `mostly` of the rows."""
    share = f" in at least {_percent(mostly)} of rows" if mostly is not None else ""
    arguments: dict[str, Any] = {"column": column, "min_value": low, "max_value": high}
    if mostly is not None:
        arguments["mostly"] = mostly
    return Expectation(
        "ExpectColumnValuesToBeBetween", f"{column} {_range(low, high)}{share}", notes, arguments, severity
    )


def unique(columns: Sequence[str], notes: str, severity: Severity = "critical") -> Expectation:
    """No two rows are equal in the columns."""
    if len(columns) == 1:
        return Expectation(
            "ExpectColumnValuesToBeUnique",
            f"{columns[0]} appears once",
            notes,
            {"column": columns[0]},
            severity,
        )
    return Expectation(
        "ExpectCompoundColumnsToBeUnique",
        f"{', '.join(columns)} appear once together",
        notes,
        {"column_list": list(columns)},
        severity,
    )


def not_empty(notes: str, severity: Severity = "critical") -> Expectation:
    """The table has rows."""
    return Expectation("ExpectTableRowCountToBeBetween", "has rows", notes, {"min_value": 1}, severity)


def figure(
    column: str,
    low: float | None,
    high: float | None,
    title: str,
    notes: str,
    severity: Severity = "warning",
    where: tuple[str, str] | None = None,
) -> Expectation:
    """The smallest value of a column of figures is in range; on one row, the figure itself."""
    return Expectation(
        "ExpectColumnMinToBeBetween",
        title,
        notes,
        {"column": column, "min_value": low, "max_value": high},
        severity,
        where,
    )


@dataclass(frozen=True)
class Source:
    """What the landing suite needs of a table contract."""

    name: str
    entity: str | None
    is_optional: bool
    may_be_empty: bool


@dataclass(frozen=True)
class Scope:
    """What suites are generated from: the cycle, the country's settings, contracts and policy.

    Attributes:
        statuses: every status a decision may have.
        paying: statuses that some benefit pays.
        refusals: reasons that make a household ineligible.
        scores: scorecard to its lowest and highest possible score.
        unscored: scorecards that may leave a household without a score.
    """

    cycle: str
    country: str
    currency: str
    decimals: int
    spine: str
    surveys: tuple[str, ...]
    sources: tuple[Source, ...] = ()
    programmes: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    paying: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    scores: Mapping[str, tuple[Decimal, Decimal]] = field(default_factory=dict)
    unscored: tuple[str, ...] = ()

    @classmethod
    def of(cls, installation: Installation, cycle: str) -> Scope:
        """Read the country's contracts and policy.

        Raises:
            ContractError, PolicyError: the country's folder is not in order.
        """
        from intake import load_contracts
        from sijill.policy import load_policy

        country = installation.country
        policy = load_policy(country.policy_folder)
        on = first_day(parse_cycle(cycle))
        in_force = {
            kind: [row.values for row in rows if row.in_force(on)] for kind, rows in policy.tables.items()
        }
        # A programme whose term is over decides nobody.
        terms = policy.tables["terms"]
        programmes = [
            programme
            for programme in policy.settings.programmes
            if not any(row.values["programme"] == programme.code for row in terms)
            or any(row["programme"] == programme.code for row in in_force["terms"])
        ]
        return cls(
            cycle=parse_cycle(cycle),
            country=country.code,
            currency=country.currency,
            decimals=country.currency_decimals,
            spine=country.spine,
            surveys=tuple(country.surveys),
            sources=tuple(
                Source(table.name, table.entity, table.is_optional, table.may_be_empty)
                for contract in load_contracts(country)
                for table in contract.tables
            ),
            programmes=tuple(programme.code for programme in programmes),
            statuses=_distinct(
                status
                for programme in programmes
                for status in (
                    programme.statuses.selected,
                    programme.statuses.passed,
                    programme.statuses.failed,
                    programme.statuses.waiting,
                    programme.statuses.suspended,
                    programme.statuses.pending,
                )
            ),
            paying=_distinct(
                status
                for row in in_force["benefits"]
                if row["frequency"] == "monthly"
                for status in row["statuses"].split("|")
            ),
            refusals=_distinct(
                row["reason"]
                for kind in ("criteria", "exclusions", "terms")
                for row in in_force[kind]
                if row["reason"]
            ),
            scores={
                # An index predicts a logarithm: nothing bounds it.
                card: _score_range(row for row in in_force["scorecard"] if row["scorecard"] == card)
                if settings.method == "additive"
                else (Decimal(0), Decimal(1))
                for card, settings in policy.settings.scorecards.items()
                if settings.method != "proxy_means"
            },
            unscored=tuple(
                card for card, settings in policy.settings.scorecards.items() if settings.on_missing != "zero"
            ),
        )


def build_suite(stage: str, scope: Scope) -> Suite:
    """The suite of a stage.

    Raises:
        SijillError: there is no such stage.
    """
    if stage not in _SUITES:
        raise SijillError(
            f"There is no stage '{stage}' with a suite.", expected=f"one of {', '.join(_SUITES)}"
        )
    return _SUITES[stage](scope)


def _landing(scope: Scope) -> Suite:
    # A source's latest use in the cycle counts; the one before is that of the cycle before it.
    listed = ", ".join(f"({_text(source.name)})" for source in scope.sources) or "(null)"
    counted = "\n            union all ".join(
        f"select {_text(source.name)} as source, count(*) as rows_landed from landing.{_name(source.name)}"
        for source in scope.sources
    )
    query = f"""
        with contract (source) as (values {listed}),
        used as (
            select
                u.table_name, u.cycle, d.delivery_id, d.rows_read, d.rows_accepted, d.rows_rejected,
                row_number() over (partition by u.table_name, u.cycle order by u.used_at desc, d.delivery_id desc)
                    as recency
            from audit.cycle_delivery as u
            inner join audit.delivery as d on d.delivery_id = u.delivery_id
            where d.status = 'accepted'
        ),
        previous as (
            select distinct on (table_name) table_name, rows_accepted
            from used
            where cycle < {_text(scope.cycle)} and recency = 1
            order by table_name, cycle desc
        ),
        landed as (
            {counted or "select null::text as source, 0 as rows_landed"}
        )
        select
            contract.source,
            (used.delivery_id is not null)::integer as deliveries,
            coalesce(used.rows_accepted, 0) as rows_accepted,
            landed.rows_landed - coalesce(used.rows_accepted, 0) as rows_unaccounted,
            coalesce(used.rows_rejected::double precision / nullif(used.rows_read, 0), 0) as rejected_share,
            coalesce(used.rows_accepted::double precision / nullif(previous.rows_accepted, 0), 1) as volume_ratio
        from contract
        left join used
            on used.table_name = contract.source and used.cycle = {_text(scope.cycle)} and used.recency = 1
        left join previous on previous.table_name = contract.source
        left join landed on landed.source = contract.source
    """
    expectations: list[Expectation] = []
    for source in scope.sources:
        only = ("source", source.name)
        if not source.is_optional:
            expectations.append(
                figure(
                    "deliveries", 1, 1, f"{source.name} was delivered for {scope.cycle}",
                    "Its contract says that a cycle does not go on without it.", "critical", only,
                )
            )  # fmt: skip
            if not source.may_be_empty:
                expectations.append(
                    figure(
                        "rows_accepted", 1, None, f"{source.name} has rows",
                        "An empty register reads as 'nobody has any': families without income, houses or cars.",
                        "critical", only,
                    )
                )  # fmt: skip
        expectations.append(
            figure(
                "rows_unaccounted", 0, 0, f"landing.{source.name} holds every accepted row, and no other",
                "Rows in = rows out + rows set aside: read = accepted + rejected + filtered is the delivery's own"
                " constraint, accepted = landed is this one.", "critical", only,
            )
        )  # fmt: skip
        is_survey = bool(source.entity and source.entity.startswith("survey_"))
        if not is_survey:
            expectations.append(
                figure(
                    "volume_ratio", 0.5, 2, f"{source.name} has from half to twice the rows of its last delivery",
                    "A register cut in half on its way makes people look poorer than they are, and pays them."
                    " A survey may grow by any factor while the campaign runs, so it only warns.",
                    "critical", only,
                )
            )  # fmt: skip
        expectations.append(
            figure(
                "volume_ratio", 0.8, 1.25,
                f"{source.name} has from 80% to 125% of the rows of its last delivery",
                "A register that changes by more in a month deserves a question to the institution. No change has"
                " been observed yet: there is one cycle (2026-11-22).",
                "warning", only,
            )
        )  # fmt: skip
        expectations.append(
            figure(
                "rejected_share", 0, 0.02, f"At most 2% of the rows of {source.name} were rejected",
                "Rows out of contract are set aside, not lost. Intake refuses the delivery whole above the"
                " contract's own limit." + _observed("at most 0.59% of a source", "at most 0.31%"),
                "warning", only,
            )
        )  # fmt: skip
    return Suite(
        "landing",
        "What was delivered, as it landed",
        ("audit.cycle_delivery", "audit.landing_content"),
        (Checked("landing.deliveries", expectations, query, is_figures=True),),
    )


def _identity(scope: Scope) -> Suite:
    surveys = _texts(scope.surveys)
    spine = _text(scope.spine)
    people = Checked(
        "identity.person_crosswalk",
        (
            not_empty("Without links nobody has an identifier, and every later stage is empty."),
            rule(
                "Every survey member has a social identifier",
                f"select 1 from {{batch}} where source in ({surveys}) and social_id is null",
                "A member who links to nothing gets a provisional identifier: nobody who was surveyed drops out.",
            ),
            rule(
                "Every record with a person in it was given a link or a reason to have none",
                "select 1 from landing.canonical_person_record as r where not exists"
                " (select 1 from {batch} where subselect.source = r.source and subselect.source_key = r.source_key)",
                "Rows in = rows out: a record that linkage forgot would count as 'no income' or 'no house'.",
            ),
            rule(
                "The crosswalk names no record that was not delivered",
                "select 1 from {batch} where not exists (select 1 from landing.canonical_person_record as r"
                " where r.source = subselect.source and r.source_key = subselect.source_key)",
                "A link from an earlier delivery would give a family somebody else's register rows.",
            ),
            rule(
                "Every social identifier has its form and its check digits",
                "select 1 from {batch} where social_id is not null"
                f" and not coalesce({_VALID_SOCIAL_ID}, false)",
                "An identifier that fails its own check (ISO 7064) was not made by the ledger.",
            ),
            rule(
                "Each person of the population register has an identifier of their own",
                f"select social_id from {{batch}} where source = {spine} and social_id is not null"
                " group by social_id having count(*) > 1"
                f" union all select null from {{batch}} where source = {spine} and social_id is null",
                "The population register holds each person once; two of its records on one identifier would"
                " give one person the rights, and the income, of two.",
            ),
            rule(
                "A linked record has the identifier of exactly one person of the population register",
                "select 1 from {batch} where band = 'link' and not exists"
                " (select 1 from identity.person_crosswalk as s"
                f" where s.source = {spine} and s.source_key = subselect.spine_key"
                " and s.social_id = subselect.social_id)",
                "One best link a record: the crosswalk's key allows one row, this says that it leads somewhere.",
            ),
            rule(
                "A link in doubt or absent gives nobody's identifier away",
                "select 1 from {batch} where band in ('review', 'none') and exists"
                " (select 1 from identity.person_crosswalk as s"
                f" where s.source = {spine} and s.social_id = subselect.social_id)",
                "A doubtful link waits for a clerk; until then its identifier is provisional, or none.",
            ),
            between(
                "match_probability", 0, 1, "It is a probability; a value outside comes from a broken model."
            ),
        ),
    )
    shares = Checked(
        "identity.links by source",
        (
            *(figure(
                "share_linked", 0.8, 1, f"At least 80% of the members in {survey} are linked",
                "Below 80% a column has shifted or the model does not fit the delivery."
                + _observed("99.8%", "99.8%"), "warning", ("source", survey),
            ) for survey in scope.surveys),
            figure(
                "share_linked", 0.3, 1, "At least 30% of the records of every source with people are linked",
                "A register may cover people outside the population register, but one that hardly links has"
                " lost its identifying columns."
                + _observed("88% of the source that links least, electricity meters", "85%"),
            ),
            Expectation(
                "ExpectColumnMaxToBeBetween",
                "At most 10% of the records of any source wait for a clerk",
                "Each is a clerk's decision; more than that is a question to the model or the source."
                + _observed(
                    "at most 7.6%, in electricity meters (405 records)", "at most 8.6% (4,595 records)"
                ),
                {"column": "share_in_review", "min_value": 0, "max_value": 0.1},
                "warning",
            ),
        ),
        f"""
        select
            source,
            (count(*) filter (where band = 'link'))::double precision / count(*) as share_linked,
            (count(*) filter (where band = 'review'))::double precision / count(*) as share_in_review
        from identity.person_crosswalk
        where source <> {spine}
        group by source
        """,
        is_figures=True,
    )  # fmt: skip
    return Suite(
        "identity",
        "Who is who",
        ("identity.person_crosswalk", "identity.social_id"),
        (people, shares),
    )


def _registry(_: Scope) -> Suite:
    households = Checked(
        "registry.household",
        (
            not_empty("A registry without households decides nothing; an empty survey is an error upstream."),
            unique(("household_id",), "One decision and one payment a household rest on it."),
            not_null(
                "head_social_id",
                "The head answers for the household and is usually paid; without one, the oldest adult is. A"
                " census extract that nobody here wrote has none in 2.8% of households (2020-04); at 10% the"
                " column that names the relationship was lost." + _observed("0.30%", "0.28%"),
                mostly=0.9,
            ),
            not_null(
                "head_social_id",
                "As above: 1% is over three times what was observed, and more is a question to the survey team.",
                "warning",
                mostly=0.99,
            ),
            between(
                "n_members", 1, None, "A household without a living member is set aside, and paid nothing."
            ),
            between(
                "n_members",
                None,
                LARGEST_HOUSEHOLD,
                f"More than {LARGEST_HOUSEHOLD} living members are taken for an institution or a keying error, and"
                " multiply every amount paid per member. A census extract holds 0.15% of such (2020-04)."
                + _observed("none, the largest has 10", "none, the largest has 10"),
                mostly=0.995,
            ),
            between(
                "n_members",
                None,
                LARGEST_HOUSEHOLD,
                "Each of them deserves a look: institutions are not households.",
                "warning",
            ),
            not_null(
                "region",
                "The score and the payment plan depend on the region. A census extract has none in 1.0% of"
                " households (2020-04); at 5% a column was lost." + _observed("0%", "0%"),
                mostly=0.95,
            ),
            rule(
                "The region is one in which the population register has people",
                "select 1 from {batch} where region is not null and not exists"
                " (select 1 from landing.canonical_person as p where p.region = subselect.region)"
                " and exists (select 1 from landing.canonical_person as q where q.region is not null)",
                "A region where nobody of the register lives is a spelling of another one, and splits it."
                " Only a warning: a register may code regions in its own way." + _observed("none", "none"),
                "warning",
            ),
            rule(
                "Rows in = rows out + rows set aside",
                "select 1 from (select"
                " (select count(*) from landing.canonical_survey_household) as delivered,"
                " (select count(*) from {batch}) as kept,"
                " (select count(*) from registry.household_set_aside) as set_aside) as t"
                " where delivered <> kept + set_aside",
                "No surveyed household may vanish: it is in the registry, or set aside with a reason.",
            ),
            rule(
                "The head is a member of the household",
                "select 1 from {batch} where head_social_id is not null and not exists"
                " (select 1 from registry.member as m where m.household_id = subselect.household_id"
                " and m.social_id = subselect.head_social_id)",
                "A head who is not among the members cannot answer for them.",
            ),
            rule(
                "n_members is the number of living members",
                "select 1 from {batch} left join (select household_id, count(*) as n from registry.member"
                " where is_living group by household_id) as m on m.household_id = subselect.household_id"
                " where coalesce(m.n, 0) <> subselect.n_members",
                "Ceilings and amounts go by the size; it must be that of the list.",
            ),
            Expectation(
                "ExpectColumnMeanToBeBetween",
                "Households have from 1.5 to 8 members on average",
                "Outside this range members were lost or doubled." + _observed("3.41", "3.31"),
                {"column": "n_members", "min_value": 1.5, "max_value": 8},
                "warning",
            ),
        ),
    )
    members = Checked(
        "registry.member",
        (
            unique(("social_id",), "A person in two households would be helped twice."),
            not_null("household_id", "A member belongs to a household."),
            rule(
                "Every member's household is in the registry",
                "select 1 from {batch} where not exists (select 1 from registry.household as h"
                " where h.household_id = subselect.household_id)",
                "A member without a household is counted nowhere.",
            ),
            between(
                "age_years", 0, 120,
                "Ages decide supplements; an impossible one comes from a misread date."
                + _observed("all from 0 to 97", "all from 0 to 100"),
                "warning", mostly=0.999,
            ),
            rule(
                "From 40% to 60% of members are women",
                "select 1 from (select avg((sex = 'female')::integer) as share, count(*) as n from {batch}) as t"
                " where n >= 1000 and (share < 0.4 or share > 0.6)",
                "A share far from a half means that codes were swapped or a column lost. Among a few hundred"
                " members chance alone may do it." + _observed("52.1%", "51.9%"), "warning",
            ),
        ),
    )  # fmt: skip
    set_aside = Checked(
        "registry.household_set_aside",
        (
            not_null("reason", "What is set aside says why, or nobody can put it right."),
            rule(
                "At most 10% of the surveyed households are set aside",
                "select 1 from (select (select count(*) from {batch}) as n,"
                " (select count(*) from landing.canonical_survey_household) as delivered) as t"
                " where n > 0.1 * delivered",
                "Households that were surveyed twice, or have no living member; more points at the survey's keys."
                + _observed("2.7%, of which 2.4 points surveyed twice", "2.5%, of which 2.4 points"),
                "warning",
            ),
        ),
    )
    return Suite(
        "registry",
        "Households and members as known now",
        ("registry.household", "registry.member", "registry.household_set_aside"),
        (households, members, set_aside),
    )


def _decision(scope: Scope) -> Suite:
    cycle = _text(scope.cycle)
    scores = Checked(
        "scoring.household_score",
        (
            *(
                rule(
                    f"The score '{card}' is from {low} to {high}",
                    f"select 1 from {{batch}} where scorecard = {_text(card)}"
                    f" and ({'' if card in scope.unscored else 'score is null or '}score < {low} or score > {high})",
                    "The lowest and highest sums that the scorecard in force can give; anything else is not its sum.",
                )
                for card, (low, high) in scope.scores.items()
            ),
            between("decile", 1, 10, "The poorest decile gets the transfer; there are ten."),
            unique(("household_id", "scorecard"), "One score a household and scorecard."),
            rule(
                "Every household of the registry is scored",
                "select 1 from registry.household as h where not exists"
                " (select 1 from {batch} where subselect.household_id = h.household_id)",
                "A household without a score would be refused by silence.",
            ),
        ),
        f"select * from scoring.household_score where cycle = {cycle}",
    )
    programmes = " , ".join(f"({_text(programme)})" for programme in scope.programmes) or "(null)"
    refusals = _array(scope.refusals)
    decisions = Checked(
        "decision.household_decision",
        (
            not_empty("Nobody decided is an error, not a result."),
            one_of("status", scope.statuses, "The statuses that the programme's policy file defines."),
            unique(("programme", "household_id"), "One decision a household, programme and cycle."),
            rule(
                "Every household of the registry has a decision in every programme",
                f"select 1 from registry.household as h cross join (values {programmes}) as p (programme)"
                " where not exists (select 1 from {batch}"
                " where subselect.household_id = h.household_id and subselect.programme = p.programme)",
                "A household that asked is answered.",
            ),
            rule(
                "Every decision is of a household of the registry",
                "select 1 from {batch} where not exists (select 1 from registry.household as h"
                " where h.household_id = subselect.household_id)",
                "A decision on nobody could be paid to anybody.",
            ),
            rule(
                "No eligible household fails a criterion",
                f"select 1 from {{batch}} where is_eligible and reasons && {refusals}",
                "A criterion in law that is failed excludes, whatever the score.",
            ),
            rule(
                "Every household that is not eligible is told which criterion it fails",
                f"select 1 from {{batch}} where not is_eligible and not reasons && {refusals}"
                " and not rules && array['adjudication:refuse']",
                "A refusal without a reason cannot be contested; a human refusal has its own.",
            ),
            rule(
                "Every decision has a reason",
                "select 1 from {batch} where reasons is null or cardinality(reasons) = 0",
                "A citizen is told why, also when the answer is yes.",
            ),
            not_null("policy_version", "A decision that does not name its policy cannot be recomputed."),
            not_null("input_hash", "A decision that does not name its inputs cannot be recomputed."),
            rule(
                "One policy version decided the whole cycle",
                "select 1 from (select count(distinct policy_version) as n from {batch}) as t where n > 1",
                "Two equal families are treated alike.",
            ),
            rule(
                "From 1% to 95% of the households are eligible",
                "select 1 from (select avg(is_eligible::integer) as share, count(*) as n from {batch}) as t"
                " where n >= 200 and (share < 0.01 or share > 0.95)",
                "Nearly all or nearly none points at a criterion that reads an empty register."
                + _observed("86%", "84%"),
                "warning",
            ),
        ),
        f"select * from decision.household_decision where cycle = {cycle}",
    )
    return Suite(
        "decision",
        "Scores, eligibility and status",
        ("scoring.household_score", "decision.household_decision"),
        (scores, decisions),
    )


def _entitlement(scope: Scope) -> Suite:
    cycle = _text(scope.cycle)
    entitlements = Checked(
        "decision.entitlement",
        (
            not_null("amount", "An entitlement is an amount."),
            rule(
                "Every amount is positive",
                "select 1 from {batch} where amount <= 0",
                "Nothing is owed, or something is; a negative amount is a recovery, which is another entry.",
            ),
            rule(
                f"Every amount has at most {scope.decimals} decimals",
                f"select 1 from {{batch}} where amount <> round(amount, {scope.decimals})",
                f"The smallest unit of {scope.currency}; a bank would round, and totals would differ.",
            ),
            rule(
                "No amount is more than 20 times the cycle's median",
                "select 1 from {batch} where amount > 20 * (select percentile_disc(0.5) within group"
                " (order by e.amount) from decision.entitlement as e"
                f" where e.cycle = {cycle} and e.programme = subselect.programme)",
                "A larger one is a unit error, such as millimes taken for dinars."
                + _observed("at most 1.6 times", "at most 1.6 times"),
            ),
            one_of("currency", (scope.currency,), "A country pays in its own currency."),
            unique(("programme", "household_id"), "A household is entitled once in a programme and cycle."),
            unique(("entitlement_id",), "One instruction an entitlement, for ever."),
            rule(
                "Every entitlement of the month has an eligible decision of the same policy",
                "select 1 from {batch} where regular_amount > 0 and not exists"
                " (select 1 from decision.household_decision as d"
                f" where d.cycle = {cycle} and d.programme = subselect.programme"
                " and d.household_id = subselect.household_id and d.is_eligible"
                " and d.policy_version = subselect.policy_version)",
                "Money follows a decision, and the one that is in force.",
            ),
            rule(
                "Every household whose status is paid has an entitlement",
                "select 1 from decision.household_decision as d"
                f" where d.cycle = {cycle} and d.status in ({_texts(scope.paying)}) and not exists"
                " (select 1 from {batch} where subselect.household_id = d.household_id"
                " and subselect.programme = d.programme)",
                "A family that was told yes is paid. A warning: a status may have a benefit only for some.",
                "warning",
            ),
            rule(
                "A payee is missing only where the payment is held for it",
                "select 1 from {batch} where payee_social_id is null and hold_reason is null",
                "Money without a name goes nowhere; it is held, not lost.",
            ),
            rule(
                "Every payee is a living member of the household",
                "select 1 from {batch} where payee_social_id is not null and not exists"
                " (select 1 from registry.member as m where m.social_id = subselect.payee_social_id"
                " and m.household_id = subselect.household_id and m.is_living)",
                "A dead payee's account is the oldest way to lose a transfer.",
            ),
            rule(
                "At most 15% of the entitlements are held for want of a sure payee",
                "select 1 from (select avg((hold_reason is not null)::integer) as share, count(*) as n"
                " from {batch}) as t where n >= 100 and share > 0.15",
                "Holds are families that wait; many of them point at linkage."
                + _observed("0.5% (1 entitlement)", "0.3% (7 entitlements)"),
                "warning",
            ),
        ),
        f"select * from decision.entitlement where cycle = {cycle}",
    )
    return Suite(
        "entitlement",
        "What is owed to whom",
        ("decision.entitlement",),
        (entitlements,),
    )


def _payment(scope: Scope) -> Suite:
    cycle = _text(scope.cycle)
    instructions = Checked(
        "finance.payment_instruction",
        (
            rule(
                "Every instruction pays an entitlement of its own amount, household and payee",
                "select 1 from {batch} where not exists (select 1 from decision.entitlement as e"
                " where e.entitlement_id = subselect.entitlement_id and e.amount = subselect.amount"
                " and e.household_id = subselect.household_id"
                " and e.payee_social_id = subselect.payee_social_id)",
                "Money ties back to a decision. A warning: an entitlement that changed after it was paid is"
                " corrected by a new entry, never by rewriting the ledger.",
                "warning",
            ),
            rule(
                "No payee is dead in the population register",
                "select 1 from {batch} where exists (select 1 from identity.person_crosswalk as c"
                " inner join landing.canonical_person as p on p.source = c.source and p.source_key = c.source_key"
                f" where c.source = {_text(scope.spine)} and c.social_id = subselect.payee_social_id"
                " and p.died_on is not null)",
                "A death that arrives after the instruction stops the payment before it is sent.",
            ),
            rule(
                "Entitled = instructed + held",
                "select 1 from decision.entitlement as e"
                f" where e.cycle = {cycle}"
                " and not exists (select 1 from {batch} where subselect.entitlement_id = e.entitlement_id)"
                " and not exists (select 1 from finance.payment_held as h"
                f" where h.cycle = {cycle} and h.entitlement_id = e.entitlement_id)",
                "Nobody's payment is forgotten.",
            ),
            rule(
                "Each batch's control totals are those of its instructions",
                "select 1 from finance.payment_batch as b left join (select batch_id, count(*) as n,"
                " sum(amount) as total from {batch} group by batch_id) as i on i.batch_id = b.batch_id"
                f" where b.cycle = {cycle} and (i.n, i.total) is distinct from (b.n_instructions, b.total_amount)",
                "The file that a bank gets says what the ledger says.",
            ),
            rule(
                "No account receives more than 3 payments in a cycle",
                "select account_token from {batch} where account_token is not null"
                " group by account_token having count(*) > 3",
                "A couple may share an account; many families on one is how money is collected for others."
                + _observed("at most 1", "at most 1"),
                "warning",
            ),
        ),
        f"select * from finance.payment_instruction where cycle = {cycle}",
    )
    return Suite("payment", "What was instructed", ("finance.payment_instruction",), (instructions,))


# Ten digits and two check digits (ISO 7064 MOD 97-10): a mistyped identifier of the right form fails too.
_VALID_SOCIAL_ID = (
    "case when social_id ~ '^[0-9]{{12}}$' then cast(social_id as bigint) % 97 = 1 else false end"
)

_SUITES: dict[str, Callable[[Scope], Suite]] = {
    "landing": _landing,
    "identity": _identity,
    "registry": _registry,
    "decision": _decision,
    "entitlement": _entitlement,
    "payment": _payment,
}
STAGES = tuple(_SUITES)
"""Stages with a suite, in the order of the chain."""


def _percent(share: float) -> str:
    return f"{100 * share:.4g}%"


def _range(low: float | int | None, high: float | int | None) -> str:
    if low is None:
        return f"is at most {high}"
    if high is None:
        return f"is at least {low}"
    return f"is {low}" if low == high else f"is from {low} to {high}"


def _text(value: str) -> str:
    """A literal for SQL inside an expectation's query; braces are the query's own placeholders."""
    return "'" + value.replace("'", "''").replace("{", "{{").replace("}", "}}") + "'"


def _texts(values: Sequence[str]) -> str:
    return ", ".join(_text(value) for value in values) or "null"


def _array(values: Sequence[str]) -> str:
    return f"cast(array[{', '.join(_text(value) for value in values)}] as text[])"


def _name(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


def _distinct(values: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def _score_range(rows: Any) -> tuple[Decimal, Decimal]:
    """Of each indicator one item counts, the first that fits, or none."""
    by_indicator: dict[str, list[Decimal]] = {}
    for row in rows:
        by_indicator.setdefault(row["indicator"], [Decimal(0)]).append(Decimal(row["points"]))
    return (
        sum((min(points) for points in by_indicator.values()), Decimal(0)),
        sum((max(points) for points in by_indicator.values()), Decimal(0)),
    )
