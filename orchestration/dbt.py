"""dbt inside the run's own process, its results as Dagster events.

Starting dbt as a process costs about 7 s of imports each time; a cycle calls it once a stage. It is
imported once here, the project is parsed once, and each stage's build reuses both. The translation of
dbt's events to Dagster's is dagster-dbt's own.
"""

import hashlib
import json
import os
import queue
import threading
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, dbt_assets
from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage

from orchestration import cycles, figures
from orchestration.site import Site, served_installation
from sijill.country import Country
from sijill.errors import SijillError
from sijill.installation import PROJECT_FOLDER
from sijill.policy import load_policy
from warehouse import Warehouse

PROJECT = PROJECT_FOLDER / "dbt_project"
_PROJECT_FILES = ("*.sql", "*.yml", "*.yaml", "*.csv")


class RegistryTranslator(DagsterDbtTranslator):
    """Keys are [schema, table]; the group is the stage, which is the schema."""

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: Any) -> dg.AssetSpec:
        spec = super().get_asset_spec(manifest, unique_id, project)
        props = self.get_resource_props(manifest, unique_id)
        if props["resource_type"] == "source":
            return spec
        return spec.replace_attributes(
            key=dg.AssetKey([props["schema"], props.get("alias") or props["name"]]),
            group_name=stage_of(props["tags"]),
            kinds={"dbt", "postgres"},
            owners=["team:policy"] if props["schema"] in ("scoring", "decision") else ["team:registry"],
        )


_PARSING = threading.Lock()  # the preloading thread and the run may both want it first

# The tags of each stage's models. Scores are made with the decision: no gate stands between.
STAGE_TAGS = {"registry": ("registry",), "decision": ("scoring", "decision"), "entitlement": ("entitlement",)}


def stage_of(tags: list[str]) -> str:
    """The stage that a model's tags say."""
    return next(stage for stage, names in STAGE_TAGS.items() if set(names) & set(tags))


TRANSLATOR = RegistryTranslator(settings=DagsterDbtTranslatorSettings(enable_source_tests_as_checks=False))


def target_folder() -> Path:
    """Where dbt keeps its manifest and compiled SQL: in the data folder, not among the sources.

    One for each installation, as a manifest names the database it was parsed for.
    """
    return served_installation().folder / "dbt"


@cache
def manifest_path() -> Path:
    """The project's manifest, parsed anew when any of its files changed. Needs no database."""
    digest = hashlib.sha256()
    for pattern in _PROJECT_FILES:
        for file in sorted(PROJECT.rglob(pattern)):
            digest.update(file.relative_to(PROJECT).as_posix().encode())
            digest.update(file.read_bytes())
    target = target_folder()
    stamp = target / "manifest.sha256"
    path = target / "manifest.json"
    if not (path.exists() and stamp.exists() and stamp.read_text() == digest.hexdigest()):
        _parse()
        stamp.write_text(digest.hexdigest())
    return path


def _parse() -> Any:
    """dbt's own manifest object, which every build of this process shares."""
    with _PARSING:
        return _parsed()


@cache
def _parsed() -> Any:
    from dbt.cli.main import dbtRunner

    target_folder().mkdir(parents=True, exist_ok=True)
    with _environment(Warehouse.address(served_installation())):
        result = dbtRunner().invoke(["--quiet", "parse", *_places()])
    if not result.success:
        raise SijillError(
            f"dbt cannot parse {PROJECT}: {result.exception or result.result}", action="correct the project"
        )
    return result.result


def preload() -> None:
    """Import dbt and parse the project; called ahead of need, while other stages wait for their engines."""
    _parse()


def stage_assets(stage: str, country: Country) -> dg.AssetsDefinition:
    """The models tagged with a stage, as assets; their data tests are checks on them."""

    @dbt_assets(
        manifest=manifest_path(),
        select=" ".join(f"tag:{tag}" for tag in STAGE_TAGS[stage]),
        exclude="resource_type:unit_test",
        name=f"{stage}_models",
        partitions_def=cycles.partitions(country),
        backfill_policy=cycles.ONE_AT_A_TIME,
        dagster_dbt_translator=TRANSLATOR,
    )
    def models(context: dg.AssetExecutionContext, site: Site) -> Iterator[Any]:
        yield from build(context, site.warehouse, variables(site.country, cycles.cycle_of(context)))

    return models


def variables(country: Country, cycle: str) -> dict[str, Any]:
    """What the models are compiled with: the cycle, the country's money and its dated policy."""
    return {
        "cycle": cycle,
        "country": country.code,
        "currency": country.currency,
        "currency_decimals": country.currency_decimals,
        "policy": load_policy(country.policy_folder).as_vars(),
    }


def build(
    context: dg.AssetExecutionContext, warehouse: Warehouse, variables: Mapping[str, Any]
) -> Iterator[Any]:
    """Run `dbt build` for the assets selected in this step, yielding Dagster events as models finish.

    Raises:
        SijillError: a model failed; failed tests are check results and do not raise here.
    """
    from dbt.cli.main import dbtRunner
    from dbt_common.events.base_types import EventMsg
    from dbt_common.events.functions import msg_to_dict

    manifest = json.loads(manifest_path().read_text(encoding="utf-8"))
    selected = {TRANSLATOR.get_asset_key(props): unique_id for unique_id, props in manifest["nodes"].items()
                if props["resource_type"] == "model"}  # fmt: skip
    names = sorted(manifest["nodes"][selected[key]]["name"] for key in context.selected_asset_keys)
    events: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    outcome: list[Any] = []

    def on_event(message: EventMsg) -> None:
        if message.info.name in ("LogModelResult", "LogTestResult", "LogSeedResult"):
            events.put(msg_to_dict(message))

    def work() -> None:
        try:
            runner = dbtRunner(manifest=_parse(), callbacks=[on_event])
            arguments = ["--quiet", "build", *_places(), "--exclude-resource-type", "unit_test"]
            arguments += ["--vars", json.dumps(variables), "--select", *names]
            outcome.append(runner.invoke(arguments))
        except BaseException as error:
            outcome.append(error)
        finally:
            events.put(None)

    with _environment(warehouse.url):
        thread = threading.Thread(target=work, name="dbt")
        thread.start()
        while (event := events.get()) is not None:
            message = DbtCoreCliEventMessage(raw_event=event, event_history_metadata={})
            for made in message.to_default_asset_events(manifest, TRANSLATOR, context, target_folder()):
                if isinstance(made, dg.Output):
                    node = manifest["nodes"][event["data"]["node_info"]["unique_id"]]
                    yield made.with_metadata(
                        {**made.metadata, **_figures(warehouse, node, variables["cycle"])}
                    )
                else:
                    yield made
        thread.join()
    result = outcome[0]
    if isinstance(result, BaseException):
        raise result
    if result.exception:
        raise SijillError(f"dbt stopped: {result.exception}", action="read the run's log")
    failed = [r for r in result.result if r.node.resource_type == "model" and r.status == "error"]
    if failed:
        raise SijillError(
            "; ".join(f"{r.node.schema}.{r.node.alias}: {r.message}" for r in failed),
            expected="every model to build",
            action="correct the model or its data, then run the cycle again",
        )


def _figures(warehouse: Warehouse, node: Mapping[str, Any], cycle: str) -> dict[str, Any]:
    kind = node["config"]["materialized"]
    if kind not in ("table", "incremental"):
        return {}
    return figures.of_table(
        warehouse, node["schema"], node.get("alias") or node["name"], cycle, by_cycle=kind == "incremental"
    )


def _places() -> list[str]:
    return [
        "--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT),
        "--target-path", str(target_folder()), "--log-path", str(target_folder() / "logs"),
    ]  # fmt: skip


class _environment:
    """The connection in the environment that `profiles.yml` reads, for the time of a call."""

    def __init__(self, url: str) -> None:
        self._values = {**connection_variables(url), "DO_NOT_TRACK": "1"}
        self._before: dict[str, str | None] = {}

    def __enter__(self) -> None:
        for name, value in self._values.items():
            self._before[name] = os.environ.get(name)
            os.environ[name] = value

    def __exit__(self, *exception: object) -> None:
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def connection_variables(url: str) -> dict[str, str]:
    """The parts of a libpq URI, as `dbt_project/profiles.yml` names them."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    return {
        "SIJILL_PG_HOST": (query.get("host") or [parts.hostname or "localhost"])[0],
        "SIJILL_PG_PORT": str((query.get("port") or [parts.port or 5432])[0]),
        "SIJILL_PG_USER": unquote(parts.username or (query.get("user") or [""])[0]),
        "SIJILL_PG_PASSWORD": unquote(parts.password or (query.get("password") or [""])[0]),
        "SIJILL_PG_DATABASE": unquote(parts.path.lstrip("/")),
    }
