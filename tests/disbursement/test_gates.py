"""No payment while a gate is shut, whatever ran or did not run before."""

from __future__ import annotations

from typing import Any

import pytest

from disbursement import GATES, GateError, instruct

pytestmark = pytest.mark.postgres


def refused(world: Any) -> str:
    with pytest.raises(GateError) as caught:
        instruct(world.warehouse, world.installation, world.cycle)
    assert not world.ledger()
    assert not world.files()
    return str(caught.value)


def test_with_no_gate_evaluated_every_one_is_listed(world: Any, case: Any) -> None:
    world.add(case("1"))
    message = refused(world)
    assert "5 of 5 gates" in message
    assert all(f"{stage} was never evaluated" in message for stage in GATES)


@pytest.mark.parametrize("stage", GATES)
def test_each_missing_gate_refuses(world: Any, case: Any, stage: str) -> None:
    world.add(case("1"))
    world.open_gates([other for other in GATES if other != stage])
    message = refused(world)
    assert "1 of 5 gates" in message
    assert f"{stage} was never evaluated" in message


@pytest.mark.parametrize("stage", GATES)
def test_each_failed_gate_refuses_and_says_what_to_do(world: Any, case: Any, stage: str) -> None:
    world.add(case("1"))
    for each in GATES:
        world.open_gates([each], passed=each != stage)
    message = refused(world)
    assert f"{stage} failed: 2 critical expectation(s)" in message
    assert "Data Docs" in message


def test_a_gate_of_another_cycle_opens_nothing(world: Any, case: Any) -> None:
    world.add(case("1"))
    world.open_gates()
    with pytest.raises(GateError, match="5 of 5 gates"):
        instruct(world.warehouse, world.installation, "2026-12")


@pytest.mark.parametrize(
    "change",
    [
        "update decision.entitlement set amount = amount",
        "delete from decision.entitlement where entitlement_id = 'E-2'",
        "insert into decision.entitlement select * from decision.entitlement limit 1",
        "create table decision.copy as select * from decision.entitlement;"
        " drop table decision.entitlement; alter table decision.copy rename to entitlement",
    ],
)
def test_a_gate_is_stale_once_its_table_changed(world: Any, case: Any, change: str) -> None:
    world.add(case("1"), case("2"))
    world.open_gates()
    world.warehouse.execute(change)
    message = refused(world)
    assert message.count("is stale: its tables changed") == 5


def test_a_gate_is_stale_once_the_stage_before_changed(world: Any, case: Any) -> None:
    world.add(case("1"))
    world.open_gates()
    world.warehouse.execute("update decision.entitlement set amount = amount")
    world.open_gates(["landing", "identity", "decision", "entitlement"])
    message = refused(world)
    assert "registry is stale: its tables changed" in message
    assert "decision is stale: 'registry' changed" not in message
    world.open_gates(["registry"])
    message = refused(world)
    assert "decision is stale: 'registry' changed after it was evaluated" in message
    world.open_gates(["decision", "entitlement"])
    assert instruct(world.warehouse, world.installation, world.cycle).added.count == 1


def test_the_latest_evaluation_counts(world: Any, case: Any) -> None:
    world.add(case("1"))
    world.open_gates(passed=False)
    world.open_gates()
    assert instruct(world.warehouse, world.installation, world.cycle).added.count == 1
