"""What a run prints of a stage: what a table has to say, and what a warning saw."""

import time
from io import StringIO

import dagster as dg
from rich.console import Console

from orchestration.run import _Watcher


@dg.asset(
    group_name="landing",
    check_specs=[dg.AssetCheckSpec("landing_gate", asset="delivered")],
)
def delivered():
    yield dg.MaterializeResult(metadata={"dagster/row_count": 8, "summary": "8 of 10 linked"})
    yield dg.AssetCheckResult(
        check_name="landing_gate",
        passed=False,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"summary": "64 expectations, 1 failed\n    warning: half the rows of wages were rejected"},
    )


def test_a_warning_is_printed_with_what_was_seen_and_does_not_stop_the_cycle() -> None:
    printed = StringIO()
    console = Console(file=printed, width=200)
    with dg.DagsterInstance.ephemeral() as instance, console.status("…") as status:
        watcher = _Watcher(console, status, {"delivered": "landing"}, time.monotonic())
        result = dg.materialize([delivered], instance=instance, raise_on_error=False)
        for entry in instance.all_logs(result.run_id):
            watcher(entry)
    assert not watcher.problems
    assert "8 rows, 1 checks; 1 with warnings, the cycle goes on" in printed.getvalue()
    assert "    8 of 10 linked\n" in printed.getvalue()
    assert "warning: half the rows of wages were rejected" in printed.getvalue()
