"""Running one cycle from the command line: the whole graph in this process, a live line a stage."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field

import dagster as dg
from dagster._core.utils import make_new_run_id
from rich.console import Console

from orchestration import cycles
from sijill.progress import done_line

STAGES = ("landing", "identity", "registry", "decision", "entitlement", "finance")


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended.

    Attributes:
        succeeded: every asset was made, and no blocking check failed.
        run_id: Dagster's own.
        problems: what failed, in words, in the order in which it happened.
        seconds: wall seconds by stage, `start-up` included.
    """

    succeeded: bool
    run_id: str
    problems: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


def run_cycle(cycle: str, console: Console) -> RunOutcome:
    """Materialise every asset of a cycle of the served installation, in this process.

    The environment must have been activated (`orchestration.environment.activate`).
    """
    begin = time.monotonic()
    with console.status("start-up: loading the asset graph"):
        from orchestration.definitions import CYCLE_JOB, defs
        from orchestration.preload import start_parsing

        definitions = defs()
        job = definitions.resolve_job_def(CYCLE_JOB)
        asset_graph = definitions.resolve_asset_graph()
        stage_of_step = _stages(job, asset_graph)
        start_parsing()
    started = time.monotonic()
    console.print(done_line("start-up", "the asset graph is loaded", started - begin), highlight=False)

    run_id = make_new_run_id()
    with dg.DagsterInstance.get() as instance, console.status("…") as status:
        watcher = _Watcher(console, status, stage_of_step, started)
        instance.add_event_listener(run_id, watcher)
        result = job.execute_in_process(
            instance=instance,
            run_id=run_id,
            partition_key=cycles.partition_of(cycle),
            raise_on_error=False,
            tags={"sijill/cycle": cycle, "sijill/started_by": "command line"},
            # the lines of this module say what happens; the page has the log
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    watcher.close()
    seconds = {"start-up": started - begin, **watcher.seconds}
    return RunOutcome(result.success and not watcher.problems, run_id, watcher.problems, seconds)


def _stages(job: dg.JobDefinition, asset_graph: object) -> dict[str, str]:
    """The stage (asset group) of each step of the job; a check's stage is that of its asset."""
    stages: dict[str, str] = {}
    for node in job.nodes:
        definition = job.asset_layer.get_assets_def_for_node(
            dg._core.definitions.dependency.NodeHandle(node.name, None)
        )
        if definition is None:
            continue
        keys = list(definition.keys) or [key.asset_key for key in definition.check_keys]
        groups = {asset_graph.get(key).group_name for key in keys}  # type: ignore[attr-defined]
        stages[node.name] = sorted(groups, key=_order)[-1]
    return stages


def _order(stage: str) -> int:
    return STAGES.index(stage) if stage in STAGES else -1


_WARNINGS_SHOWN = 5


class _Watcher:
    """Listens to a run's events: prints a line when a stage's last step has ended, keeps what failed."""

    def __init__(
        self, console: Console, status: object, stage_of_step: dict[str, str], started: float
    ) -> None:
        self._console = console
        self._status = status
        self._stage_of_step = stage_of_step
        self._left = {stage: sum(1 for s in stage_of_step.values() if s == stage) for stage in STAGES}
        self._since = started
        self._rows: dict[str, int] = defaultdict(int)
        self._tables: dict[str, int] = defaultdict(int)
        self._checks: dict[str, int] = defaultdict(int)
        self._warned: dict[str, list[str]] = defaultdict(list)
        self._told: dict[str, list[str]] = defaultdict(list)
        self.problems: list[str] = []
        self.seconds: dict[str, float] = {}

    def __call__(self, entry: dg.EventLogEntry) -> None:
        event = entry.dagster_event
        if event is None or event.step_key is None:
            return
        stage = self._stage_of_step.get(event.step_key.split("[")[0].split(".")[0], "")
        kind = event.event_type
        if kind == dg.DagsterEventType.STEP_START:
            self._status.update(f"{stage}: {event.step_key}")  # type: ignore[attr-defined]
        elif kind == dg.DagsterEventType.ASSET_MATERIALIZATION:
            materialization = event.step_materialization_data.materialization
            rows = materialization.metadata.get("dagster/row_count")
            self._tables[stage] += 1
            if rows is not None and isinstance(rows.value, int):
                self._rows[stage] += rows.value
            if summary := materialization.metadata.get("summary"):
                self._told[stage].append(str(summary.value))
        elif kind == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            evaluation = event.asset_check_evaluation_data
            self._checks[stage] += 1
            if not evaluation.passed:
                key = f"{evaluation.asset_key.to_user_string()}: {evaluation.check_name}"
                blocks = evaluation.blocking and evaluation.severity == dg.AssetCheckSeverity.ERROR
                summary = evaluation.metadata.get("summary")
                told = f"{key}: {summary.value}" if summary else key
                if blocks:
                    self.problems.append(told)
                else:
                    self._warned[stage].append(told)
        elif kind in (dg.DagsterEventType.STEP_SUCCESS, dg.DagsterEventType.STEP_FAILURE):
            if kind == dg.DagsterEventType.STEP_FAILURE:
                self._note_failure(event)
            self._finish(stage, failed=kind == dg.DagsterEventType.STEP_FAILURE)

    def _note_failure(self, event: dg.DagsterEvent) -> None:
        error = event.step_failure_data.error
        while error is not None and error.cause is not None:
            error = error.cause
        if error is not None and error.cls_name != "DagsterAssetCheckFailedError":
            text = error.message.partition(": ")[2] or error.message
            self.problems.append(f"{event.step_key}: {text.strip()}")

    def _finish(self, stage: str, *, failed: bool) -> None:
        if stage not in self._left:
            return
        self._left[stage] -= 1
        if self._left[stage] == 0 or failed:
            now = time.monotonic()
            if stage not in self.seconds:
                self.seconds[stage] = now - self._since
                text = (
                    f"{self._tables[stage]} tables, {self._rows[stage]:,} rows, {self._checks[stage]} checks"
                )
                warned = self._warned[stage]
                mark = "[red]✗[/red]" if failed else "[yellow]![/yellow]" if warned else "[green]✓[/green]"
                if warned:
                    text += f"; {len(warned)} with warnings, the cycle goes on"
                self._console.print(
                    done_line(stage, text, self.seconds[stage], mark), highlight=False, soft_wrap=True
                )
                for told in [*self._told[stage], *warned[:_WARNINGS_SHOWN]]:
                    self._console.print(f"    {told}", markup=False, highlight=False, soft_wrap=True)
                if len(warned) > _WARNINGS_SHOWN:
                    self._console.print(f"    {len(warned) - _WARNINGS_SHOWN} more: see the quality reports")
            self._since = now

    def close(self) -> None:
        """Say which stages were not reached."""
        if self.problems:
            missing = [stage for stage in STAGES if self._left.get(stage) and stage not in self.seconds]
            if missing:
                self._console.print(f"  not run: {', '.join(missing)}", style="dim", highlight=False)
