"""What `sijill run` and `sijill status` say at the end: a few numbers, where things are, what to type next."""

from __future__ import annotations

import textwrap
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from sijill.cycle import first_day
from sijill.installation import Installation

if TYPE_CHECKING:
    from orchestration.run import RunOutcome
    from warehouse import Warehouse

_FIGURES = """
select
    (select sum(d.rows_read - d.rows_filtered) from audit.cycle_delivery as c
     join audit.delivery as d using (delivery_id)
     where c.cycle = :cycle and c.table_name = any(:household_tables)) as surveyed,
    (select count(*) from registry.household) as registered,
    (select count(*) from registry.member) as members,
    (select count(*) from registry.member as m
     join identity.social_id as s using (social_id) where not s.is_provisional) as identified
"""
_STATUSES = """
select programme, status, count(*) as households from decision.household_decision
where cycle = :cycle group by programme, status order by programme, status
"""
_TIERS = """
select programme, tier, count(*) as households from decision.household_decision
where cycle = :cycle and tier is not null group by programme, tier order by programme, tier
"""
_HELD = """
select programme, reason, count(*) as entitlements, sum(amount) as total
from finance.payment_held where cycle = :cycle group by programme, reason order by programme, reason
"""
_MONEY = """
select programme, count(*) as instructions, coalesce(sum(amount), 0) as total
from finance.payment_instruction where cycle = :cycle group by programme order by programme
"""
_OTHER_MONTHS = """
select kind, min(for_month) as first, max(for_month) as last, abs(sum(amount)) as amount
from finance.commitment where cycle = :cycle and kind <> 'regular' group by kind order by kind
"""
_SET_ASIDE = """
select 'row of' as what, r.table_name as place, r.reason, count(*) as rows
from quarantine.rejected_row as r
join audit.cycle_delivery as c using (delivery_id)
where c.cycle = :cycle and r.kind = 'row' group by 2, 3
union all
select 'household,', 'registry', reason, count(*) from registry.household_set_aside group by 3
union all
select 'member,', 'registry', reason, count(*) from registry.member_set_aside group by 3
union all
select 'entitlement,', 'finance', reason, count(*)
from finance.payment_held where cycle = :cycle group by 3
order by 1, 4 desc, 2
"""


_NEW = """
select count(*) as instructions, coalesce(sum(amount), 0) as total
from finance.payment_instruction where cycle = :cycle and sequence > :after
"""


def last_instruction(warehouse: Warehouse) -> int:
    """Sequence of the last payment instruction so far; 0 before the first."""
    if not warehouse.exists("finance", "payment_instruction"):
        return 0
    return int(warehouse.scalar("select coalesce(max(sequence), 0) from finance.payment_instruction") or 0)


def cycle_table(
    warehouse: Warehouse, installation: Installation, cycle: str, *, after: int | None = None
) -> Table:
    """The cycle in a dozen lines: who was surveyed, identified, decided, paid, and what was set aside.

    Args:
        after: the last instruction before the run, to say what the run itself added.
    """
    household_tables = _household_tables(installation)
    figures = warehouse.rows(_FIGURES, {"cycle": cycle, "household_tables": household_tables})[0]
    statuses = warehouse.rows(_STATUSES, {"cycle": cycle})
    tiers = warehouse.rows(_TIERS, {"cycle": cycle})
    money = warehouse.rows(_MONEY, {"cycle": cycle})
    held = warehouse.rows(_HELD, {"cycle": cycle})
    country = installation.country
    programmes = sorted({row["programme"] for row in statuses})
    table = Table(
        title=f"{country.name}, {', '.join(programmes)}, cycle {cycle}",
        show_header=False,
        title_justify="left",
    )
    table.add_column()
    table.add_column(justify="right")
    table.add_row("households surveyed", _count(figures["surveyed"]))
    table.add_row("households in the registry", _count(figures["registered"]))
    table.add_row("people in them", _count(figures["members"]))
    table.add_row(
        "  identified in the population register", _share(figures["identified"], figures["members"])
    )
    decimals, currency = country.currency_decimals, country.currency
    for programme in programmes:
        if len(programmes) > 1:
            table.add_section()
            table.add_row(f"[bold]{programme.replace('_', ' ')}[/bold]", "")
        for row in statuses:
            if row["programme"] == programme:
                table.add_row(f"households {row['status'].replace('_', ' ')}", _count(row["households"]))
        for row in tiers:
            if row["programme"] == programme:
                table.add_row(f"  tier {row['tier'].replace('_', ' ')}", _count(row["households"]))
        for row in money:
            if row["programme"] == programme and len(programmes) > 1:
                table.add_row("payments instructed", _count(row["instructions"]))
                table.add_row("amount", f"{_money(row['total'], decimals)} {currency}")
        for row in held:
            if row["programme"] == programme:
                table.add_row(
                    f"  held back: {row['reason'].replace('_', ' ')}",
                    f"{_count(row['entitlements'])} ({_money(row['total'], decimals)} {currency})",
                )
    if len(programmes) > 1:
        table.add_section()
    table.add_row("payments instructed", _count(sum(row["instructions"] for row in money)))
    total = sum((row["total"] for row in money), Decimal(0))
    table.add_row("total", f"[bold]{_money(total, decimals)} {currency}[/bold]")
    if after is not None:
        new = warehouse.rows(_NEW, {"cycle": cycle, "after": after})[0]
        table.add_row(
            "  of it new in this run",
            f"{_count(new['instructions'])} ({_money(new['total'], decimals)} {currency})",
        )
    said = {"arrears": "of it arrears", "recovery": "kept back for debts", "overpayment": "found overpaid"}
    for row in warehouse.rows(_OTHER_MONTHS, {"cycle": cycle}):
        months = row["first"] if row["first"] == row["last"] else f"{row['first']} to {row['last']}"
        table.add_row(f"  {said[row['kind']]}, for {months}", f"{_money(row['amount'], decimals)} {currency}")
    _add_standing(table, installation, cycle)
    aside = warehouse.rows(_SET_ASIDE, {"cycle": cycle})
    table.add_section()
    table.add_row(f"set aside ({len(aside)} reasons)", _count(sum(int(row["rows"]) for row in aside)))
    for row in aside[:_SHOWN]:
        table.add_row(
            f"  {row['what']} {row['place']}: {row['reason'].replace('_', ' ')}", _count(row["rows"])
        )
    if len(aside) > _SHOWN:
        rest = sum(int(row["rows"]) for row in aside[_SHOWN:])
        table.add_row(f"  {len(aside) - _SHOWN} more reasons, in quarantine.rejected_row", _count(rest))
    return table


_SHOWN = 14


def _add_standing(table: Table, installation: Installation, cycle: str) -> None:
    """How many of the policy's rows are law, official or placeholders, and which numbers are placeholders."""
    from sijill.policy import STANDINGS, load_policy

    on = first_day(cycle)
    policy = load_policy(installation.country.policy_folder)
    in_force = {kind: [row for row in rows if row.in_force(on)] for kind, rows in policy.tables.items()}
    counts = Counter(row.values["standing"] for rows in in_force.values() for row in rows)
    table.add_section()
    table.add_row("policy rows in force", f"{counts.total():,}")
    for standing in STANDINGS:
        table.add_row(f"  {standing}", f"{counts[standing]:,}")
    placeholders = {
        kind: [row for row in rows if row.values["standing"] == "illustrative"]
        for kind, rows in in_force.items()
    }
    for kind, rows in placeholders.items():
        if rows and kind != "parameters":
            table.add_row(f"  illustrative: {kind}", f"{len(rows):,} of {len(in_force[kind]):,}")
    names = sorted(row.values["parameter"] for row in placeholders["parameters"])
    if names:
        share = f"{len(names):,} of {len(in_force['parameters']):,}"
        table.add_row("  illustrative: parameters", share)
        for line in textwrap.wrap(", ".join(names), 44, break_long_words=False):
            table.add_row(f"    [dim]{line}[/dim]", "")


def _household_tables(installation: Installation) -> list[str]:
    import intake

    return [
        table.name
        for contract in intake.load_contracts(installation.country)
        for table in contract.tables
        if table.entity == "survey_household"
    ]


def linkage_accuracy(warehouse: Warehouse, installation: Installation) -> Table | None:
    """Precision and recall by source where the truth is known (a simulated or a test country)."""
    country = installation.country
    if country.settings.truth is None or not (installation.truth / country.settings.truth.file).is_file():
        return None
    from linkage.evaluate import Truth, evaluate

    results = evaluate(warehouse, Truth.of(country, installation.truth), country.spine)
    table = Table(title="Linkage to the population register, against the truth", title_justify="left")
    for name in ("source", "true pairs", "linked", "precision", "recall", "F1"):
        table.add_column(name, justify="left" if name == "source" else "right")
    for row in results:
        table.add_row(
            row.source, _count(row.true_pairs), _count(row.links),
            f"{row.precision:.4f}", f"{row.recall:.4f}", f"{row.f1:.4f}",
        )  # fmt: skip
    return table


def cycles_table(warehouse: Warehouse) -> Table:
    """Every cycle paid so far."""
    table = Table("cycle", "programme", "instructions", "total")
    if warehouse.exists("finance", "payment_instruction"):
        for row in warehouse.rows(
            "select cycle, programme, count(*) as n, sum(amount) as total, max(currency) as currency"
            " from finance.payment_instruction group by 1, 2 order by 1, 2"
        ):
            table.add_row(
                row["cycle"], row["programme"], _count(row["n"]), f"{row['total']:,} {row['currency']}"
            )
    return table


def print_next_steps(console: Console, installation: Installation, cycle: str, outcome: RunOutcome) -> None:
    """Where the results are, or what failed and what to do."""
    if not outcome.succeeded:
        console.print("[red]The cycle stopped.[/red] Nothing after the failed stage was changed.")
        for problem in outcome.problems:
            console.print(f"  • {problem}", markup=False, highlight=False, soft_wrap=True)
        console.print("Look at the reports below, mend the cause, and run the same command again.")
    docs = installation.reports / "data_docs" / cycle / "index.html"
    rows = [
        ("quality reports", _shown(docs)),
        ("payment files", _shown(installation.payments(cycle))),
        ("payment table", 'sijill sql "select * from finance.payment_instruction limit 5"'),
        ("asset graph", "make ui"),
    ]
    # Not a table: it would cut what is to be copied at the width of the window.
    for name, place in rows:
        console.print(f"{name:<17}{place}", markup=False, highlight=False, soft_wrap=True)


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _count(value: object) -> str:
    return f"{int(value or 0):,}"  # type: ignore[call-overload]


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({part / whole:.1%})" if whole else "0"


def _money(value: Decimal, decimals: int) -> str:
    return f"{value:,.{decimals}f}"
