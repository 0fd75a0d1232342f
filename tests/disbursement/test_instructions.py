"""Entitlements become instructions once, exactly, and nothing is lost on the way."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stdnum.iso7064 import mod_97_10

from disbursement import DisbursementError, PaymentFileError, instruct

pytestmark = pytest.mark.postgres
GENESIS = "0" * 64


def run(world: Any, progress: Any = None) -> Any:
    return instruct(world.warehouse, world.installation, world.cycle, progress)


def rows_of(path: Any) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_entitlement_is_instructed_or_held_with_its_reason(world: Any, mixed: Any) -> None:
    world.add(*mixed)
    world.open_gates()
    result = run(world)
    assert (result.entitled.count, result.added.count, result.already.count) == (13, 3, 0)
    assert {reason: total.count for reason, total in result.held.items()} == {
        "no_payee": 1,
        "payee_dead": 1,
        "identity_in_review": 1,
        "payee_not_identified": 1,
        "payee_unknown": 1,
        "amount_not_payable": 1,
        "payee_shared": 2,
        "currency_unknown": 1,
        "payee_unconfirmed": 1,
    }
    assert result.entitled.amount == result.instructed.amount + result.held_back.amount
    assert {channel: total.amount for channel, total in result.channels.items()} == {
        "bank": Decimal("280.000"),
        "cash": Decimal("0.001"),
        "post": Decimal("280.000"),
    }


def test_a_household_entitled_twice_is_held_in_full(world: Any, case: Any) -> None:
    world.add(case("1", household="H"), case("2", household="H"), case("3"))
    world.open_gates()
    result = run(world)
    assert result.added.count == 1
    assert result.held["household_repeated"].count == 2


def test_running_again_adds_nothing_and_rewrites_nothing(world: Any, mixed: Any) -> None:
    world.add(*mixed)
    world.open_gates()
    run(world)
    ledger, files = world.ledger(), world.files()
    times = {path: path.stat().st_mtime_ns for path in world.folder.iterdir()}
    holds = world.warehouse.scalar("select count(*) from finance.payment_hold")
    again = run(world)
    assert (again.added.count, again.already.count) == (0, 3)
    assert again.already.amount == Decimal("560.001")
    assert world.ledger() == ledger
    assert world.files() == files
    assert {path: path.stat().st_mtime_ns for path in world.folder.iterdir()} == times
    assert world.warehouse.scalar("select count(*) from finance.payment_hold") == holds


def test_a_hold_that_ends_is_paid_in_a_second_batch(world: Any, case: Any) -> None:
    world.add(case("1"), case("2", is_dead=True))
    world.open_gates()
    run(world)
    world.warehouse.execute("update landing.persons set died_on = null")
    result = run(world)
    assert result.added.count == 1
    assert not result.held
    assert [batch.batch_id for batch in result.batches] == [
        "amen_social-2026-11-bank-001",
        "amen_social-2026-11-bank-002",
    ]
    events = world.warehouse.rows("select event from finance.payment_hold order by hold_id")
    assert [row["event"] for row in events] == ["held", "released"]


def test_a_changed_entitlement_is_counted_and_never_rewritten(world: Any, case: Any) -> None:
    world.add(case("1"), case("2"), case("3"), case("4"))
    world.open_gates()
    run(world)
    ledger = world.ledger()
    world.warehouse.execute("update decision.entitlement set amount = 300 where entitlement_id = 'E-1'")
    world.warehouse.execute(
        "update decision.entitlement set payee_social_id = 'S-9' where entitlement_id = 'E-2'"
    )
    world.warehouse.execute("delete from decision.entitlement where entitlement_id = 'E-3'")
    world.open_gates()
    result = run(world)
    assert result.discrepancies == {"amount_changed": 1, "payee_changed": 1, "entitlement_withdrawn": 1}
    assert result.added.count == 0
    assert world.ledger() == ledger


def test_an_entitlement_under_a_new_identifier_does_not_pay_its_household_twice(
    world: Any, case: Any
) -> None:
    world.add(case("1"), case("2"))
    world.open_gates()
    run(world)
    world.warehouse.execute(
        "update decision.entitlement set entitlement_id = 'new-' || entitlement_id,"
        " household_id = case when entitlement_id = 'E-2' then 'H-new' else household_id end"
    )
    world.open_gates()
    result = run(world)
    assert result.added.count == 0
    assert result.held["household_already_instructed"].count == 1
    assert result.held["payee_already_instructed"].count == 1


def test_the_account_is_one_open_on_the_cycles_first_day(world: Any, case: Any) -> None:
    world.add(
        case(
            "1",
            accounts=(
                ("bank", "OLD", "11111111", "2019-01-01", None),
                ("post", "NEW", "22222222", "2022-01-01", None),
                ("bank", "CLOSED", "33333333", "2025-01-01", "2026-11-01"),
                ("bank", "FUTURE", "44444444", "2026-11-02", None),
            ),
        ),
        case("2", accounts=(("bank", "BAD", "=1+1", None, None),)),
    )
    world.open_gates()
    result = run(world)
    assert {channel: total.count for channel, total in result.channels.items()} == {"post": 1, "cash": 1}
    (post,) = [batch for batch in result.batches if batch.channel == "post"]
    assert rows_of(post.path)[0]["account_number"] == "22222222"


def test_an_account_of_an_unsure_link_is_not_paid(world: Any, case: Any) -> None:
    world.add(case("1"))
    world.warehouse.execute(
        "update identity.person_crosswalk set band = 'review' where source = 'accounts_0'"
    )
    world.open_gates()
    assert list(run(world).channels) == ["cash"]


def test_a_token_tells_nothing_of_its_account(world: Any, case: Any) -> None:
    world.add(case("1"), case("2"))
    world.open_gates()
    run(world)
    tokens = {row["account_token"] for row in world.warehouse.rows("select * from finance.payment_account")}
    assert len(tokens) == 1  # one account, whoever owns it
    (token,) = tokens
    assert re.fullmatch(r"A[0-9A-F]{24}", token)
    number = "12345678"
    plain = json.dumps(["bank", "BK01", number])
    assert token[1:].lower() not in hashlib.sha256(plain.encode()).hexdigest()
    assert number not in token


def test_instruction_numbers_are_readable_and_checked(world: Any, case: Any) -> None:
    world.add(*[case(str(number)) for number in range(20)])
    world.open_gates()
    run(world)
    for row in world.warehouse.rows(
        "select instruction_id from finance.payment_instruction order by sequence"
    ):
        programme, cycle, sequence, check = row["instruction_id"].split("-")
        assert programme == "AMENSOCIAL"
        assert len(row["instruction_id"]) <= 35
        assert mod_97_10.is_valid(cycle + sequence + check)


def test_the_files_control_totals_equal_the_ledgers(world: Any, mixed: Any) -> None:
    world.add(*mixed)
    world.open_gates()
    result = run(world)
    for batch in result.batches:
        control = json.loads(batch.path.with_suffix(".control.json").read_text())
        rows = rows_of(batch.path)
        assert control["n_instructions"] == len(rows) == batch.total.count
        assert Decimal(control["total_amount"]) == sum(Decimal(row["amount"]) for row in rows)
        assert control["sha256"] == batch.sha256 == hashlib.sha256(batch.path.read_bytes()).hexdigest()


def test_the_chain_can_be_recomputed_outside_the_database(world: Any, mixed: Any) -> None:
    world.add(*mixed)
    world.open_gates()
    run(world)
    previous = GENESIS
    columns = (
        "sequence", "instruction_id", "entitlement_id", "cycle", "programme", "household_id",
        "payee_social_id", "amount", "currency", "channel", "account_token", "batch_id", "status",
        "policy_version",
    )  # fmt: skip
    batch_columns = (
        "sequence", "batch_id", "cycle", "programme", "channel", "batch_number", "file_name", "sha256",
        "n_instructions", "total_amount", "currency", "last_instruction_hash",
    )  # fmt: skip
    rows = world.warehouse.rows("select * from finance.payment_instruction order by sequence")
    assert rows
    for row in rows:
        content = json.dumps(
            [None if row[name] is None else str(row[name]) for name in columns], ensure_ascii=False
        )
        assert row["previous_hash"] == previous
        previous = hashlib.sha256((previous + content).encode()).hexdigest()
        assert row["row_hash"] == previous
    hashes = {row["row_hash"] for row in rows}
    previous = GENESIS
    for batch in world.warehouse.rows("select * from finance.payment_batch order by sequence"):
        content = json.dumps([str(batch[name]) for name in batch_columns], ensure_ascii=False)
        assert batch["previous_hash"] == previous
        previous = hashlib.sha256((previous + content).encode()).hexdigest()
        assert batch["row_hash"] == previous
        assert batch["last_instruction_hash"] in hashes


def test_hostile_text_is_inert_in_a_file(world: Any, case: Any) -> None:
    names = [
        "=HYPERLINK(1)",
        "+1",
        "-1",
        "@x",
        "\t=1",
        "a\nb\r\nc",
        'q"u,o',
        "' or 1=1; --",
        "\u0645\u062d\u0645\u062f",
    ]
    world.add(*[case(str(number), name=name) for number, name in enumerate(names)])
    world.open_gates()
    (batch,) = run(world).batches
    shown = [row["payee_name"] for row in rows_of(batch.path)]
    assert len(shown) == len(names)
    assert not [name for name in shown if name.lstrip()[:1] in set("=+-@") or re.search(r"[\x00-\x1f]", name)]
    assert 'q"u,o' in shown
    assert "\u0645\u062d\u0645\u062f" in shown
    assert batch.path.read_bytes().count(b"\n") == len(names) + 1


def test_a_national_number_is_only_in_the_cash_file(world: Any, case: Any) -> None:
    world.add(case("71234567"), case("71234568", accounts=()))
    world.open_gates()
    numbers = {batch.channel: rows_of(batch.path)[0]["payee_national_number"] for batch in run(world).batches}
    assert numbers == {"bank": "", "cash": "071234568"}


def test_an_altered_file_stops_everything_and_is_left_as_it_is(world: Any, case: Any) -> None:
    world.add(case("1"))
    world.open_gates()
    path = run(world).batches[0].path
    path.write_bytes(path.read_bytes().replace(b"280.000", b"980.000"))
    world.add(case("2"))
    world.open_gates()
    ledger, altered = world.ledger(), path.read_bytes()
    with pytest.raises(PaymentFileError, match=path.name):
        run(world)
    assert world.ledger() == ledger
    assert path.read_bytes() == altered


def test_a_file_that_no_batch_accounts_for_stops_everything(world: Any, case: Any) -> None:
    world.add(case("1"))
    world.open_gates()
    (world.folder / "amen_social-2026-11-bank-009.csv").write_text("x")
    with pytest.raises(PaymentFileError, match="belongs to no batch"):
        run(world)
    assert not world.ledger()


@pytest.mark.parametrize("suffix", [".csv", ".control.json"])
def test_a_missing_file_comes_back_byte_for_byte(world: Any, mixed: Any, suffix: str) -> None:
    world.add(*mixed)
    world.open_gates()
    run(world)
    files = world.files()
    lost = next(path for path in world.folder.iterdir() if path.name.endswith(suffix))
    lost.unlink()
    world.warehouse.execute("update landing.persons set full_name = 'Other'")
    result = run(world)
    assert result.restored == (lost.name.replace(".control.json", ".csv"),)
    assert world.files() == files


def test_a_ledger_changed_under_its_file_is_noticed(world: Any, case: Any) -> None:
    world.add(case("1"))
    world.open_gates()
    path = run(world).batches[0].path
    path.unlink()
    with world.warehouse.engine.begin() as connection:
        connection.execute(sa.text("set local session_replication_role = replica"))
        connection.execute(sa.text("update finance.payment_instruction set amount = 999"))
    with pytest.raises(PaymentFileError, match="no longer gives the same bytes"):
        run(world)
    assert not path.exists()


@pytest.mark.parametrize(
    "table", ["payment_instruction", "payment_batch", "payment_account", "payment_payee", "payment_hold"]
)
@pytest.mark.parametrize(
    "statement", ["update {} set created_at = now()", "delete from {}", "truncate {} cascade"]
)
def test_the_ledger_refuses_change(world: Any, mixed: Any, table: str, statement: str) -> None:
    world.add(*mixed)
    world.open_gates()
    run(world)
    before = world.ledger()
    column = "instruction_id = instruction_id" if table == "payment_payee" else "created_at = now()"
    with pytest.raises(sa.exc.DBAPIError, match="append-only"):
        world.warehouse.execute(statement.format(f"finance.{table}").replace("created_at = now()", column))
    assert world.ledger() == before


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"entitlement_id": "E-1"}, "pays_an_entitlement_once"),
        ({"household_id": "H-1"}, "pays_a_household_once"),
        ({"payee_social_id": "S-1"}, "pays_a_payee_once"),
        ({"amount": Decimal(0)}, "amount_is_positive"),
        ({"amount": Decimal(-5)}, "amount_is_positive"),
        ({"channel": "cash"}, "has_an_account_unless_cash"),
        ({"status": "paid"}, "payment_instruction_status"),
    ],
)
def test_the_database_itself_refuses_a_second_or_impossible_payment(
    world: Any, case: Any, change: dict[str, Any], constraint: str
) -> None:
    world.add(case("1"))
    world.open_gates()
    run(world)
    row = dict(world.warehouse.rows("select * from finance.payment_instruction")[0])
    row |= {
        "instruction_id": "X",
        "sequence": 2,
        "row_hash": "x",
        "entitlement_id": "E-2",
        "household_id": "H-2",
        "payee_social_id": "S-2",
    }
    row |= change
    columns = ", ".join(row)
    values = ", ".join(f":{name}" for name in row)
    with pytest.raises(sa.exc.IntegrityError, match=constraint):
        world.warehouse.execute(f"insert into finance.payment_instruction ({columns}) values ({values})", row)


def test_interrupted_at_any_step_and_run_again_it_ends_as_if_undisturbed(world: Any, mixed: Any) -> None:
    world.add(*mixed)
    world.open_gates()
    steps: list[str] = []
    run(world, steps.append)
    ledger, files = world.ledger(), world.files()
    assert len(steps) > 8

    class Killed(BaseException):
        pass

    for position in range(len(steps)):
        world.clear()
        world.add(*mixed)
        world.open_gates()
        taken: list[str] = []

        def kill(name: str, taken: list[str] = taken, position: int = position) -> None:
            taken.append(name)
            if len(taken) == position + 1:
                raise Killed

        with pytest.raises(Killed):
            run(world, kill)
        run(world)
        assert world.ledger() == ledger, steps[position]
        assert world.files() == files, steps[position]


def test_a_full_disk_leaves_nothing_behind(world: Any, case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world.add(case("1"))
    world.open_gates()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("disbursement.files.os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            run(world)
    assert not world.ledger()
    assert not world.files()
    assert run(world).added.count == 1


def test_an_error_of_the_database_names_no_person(world: Any, case: Any) -> None:
    world.add(case("1", name="Seeded Name"))
    world.warehouse.execute("update decision.entitlement set policy_version = null")
    world.open_gates()
    with pytest.raises(DisbursementError) as caught:
        run(world)
    assert "Seeded" not in str(caught.value)
    assert not world.ledger()


amounts = st.decimals(min_value=Decimal("-2"), max_value=Decimal("99999999999"), places=3) | st.decimals(
    min_value=0, max_value=Decimal(500), places=4
)
cases = st.lists(
    st.fixed_dictionaries(
        {
            "amount": amounts,
            "has_payee": st.booleans() | st.just(True),
            "is_dead": st.sampled_from([False, False, False, True]),
            "is_provisional": st.sampled_from([False, False, False, True]),
            "is_in_review": st.booleans(),
            "household": st.sampled_from([None, None, None, "H-a", "H-b"]),
            "payee": st.sampled_from([None, None, None, "S-a", "S-b"]),
            "accounts": st.sampled_from(
                [
                    (),
                    (("bank", "B", "1000001", None, None),),
                    (("post", "P", "2000001", "2020-01-01", "2021-01-01"),),
                    (("post", "P", "2000002", None, None),),
                ]
            ),
        }
    ),
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=cases)
def test_totals_are_conserved_to_the_last_unit_for_any_entitlements(
    world: Any, case: Any, drawn: list[dict[str, Any]]
) -> None:
    world.clear()
    shared: dict[str, dict[str, Any]] = {}
    made = []
    for number, fields in enumerate(drawn):
        if fields["payee"]:  # a person has one state, however many entitlements name them
            same = shared.setdefault(fields["payee"], fields)
            fields = fields | {key: same[key] for key in ("is_dead", "is_provisional", "is_in_review")}
        made.append(case(str(number), **fields))
    world.add(*made)
    world.open_gates()
    result = run(world)
    total = sum((c.amount for c in made), Decimal(0))
    assert result.entitled.count == len(made)
    assert result.entitled.amount == total
    assert result.added.count + result.held_back.count == len(made)
    assert result.added.amount + result.held_back.amount == total
    in_files = [row for batch in result.batches for row in rows_of(batch.path)]
    assert len(in_files) == result.added.count
    assert sum((Decimal(row["amount"]) for row in in_files), Decimal(0)) == result.added.amount
    payable = {c.amount for c in made if c.amount > 0 and c.amount == round(c.amount, 3)}
    assert {Decimal(row["amount"]) for row in in_files} <= payable
    again = run(world)
    assert again.added.count == 0
    assert again.already == result.added
