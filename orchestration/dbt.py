"""dbt inside the run's own process, its results as Dagster events.

Starting dbt as a process costs about 7 s of imports each time; a cycle calls it once a stage. It is
imported once here, the project is parsed once, and each stage's build reuses both. The translation of
dbt's events to Dagster's is dagster-dbt's own.
"""

import json
import queue
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, dbt_assets
from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage

from intake import load_contracts
from orchestration import cycles, figures, manifest
from orchestration.site import Site
from sijill.country import Country
from sijill.errors import SijillError
from sijill.policy import load_policy
from warehouse import Warehouse


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


# The tags of each stage's models. Scores are made with the decision: no gate stands between.
STAGE_TAGS = {"registry": ("registry",), "decision": ("scoring", "decision"), "entitlement": ("entitlement",)}


def stage_of(tags: list[str]) -> str:
    """The stage that a model's tags say."""
    return next(stage for stage, names in STAGE_TAGS.items() if set(names) & set(tags))


TRANSLATOR = RegistryTranslator(settings=DagsterDbtTranslatorSettings(enable_source_tests_as_checks=False))


def stage_assets(stage: str, country: Country) -> dg.AssetsDefinition:
    """The models tagged with a stage, as assets; their data tests are checks on them."""

    @dbt_assets(
        manifest=manifest.document(),
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
        "evidence_tables": evidence_tables(country),
    }


def evidence_tables(country: Country) -> dict[str, list[str]]:
    """Delivered tables by canonical entity: a decision says when the register behind a fact was last received."""
    tables: dict[str, list[str]] = {}
    for contract in load_contracts(country):
        for table in contract.tables:
            if table.entity is not None:
                tables.setdefault(table.entity, []).append(table.name)
    return tables


def build(
    context: dg.AssetExecutionContext, warehouse: Warehouse, variables: Mapping[str, Any]
) -> Iterator[Any]:
    """Run `dbt build` for the assets selected in this step, yielding Dagster events as models finish.

    Raises:
        SijillError: a model or a test of severity `error` failed. The test is a failed check too, but
            dbt skips what stands below it, and Dagster alone would call a run with skipped assets a success.
    """
    from dbt.cli.main import dbtRunner
    from dbt_common.events.base_types import EventMsg
    from dbt_common.events.functions import msg_to_dict

    project = manifest.document()
    selected = {TRANSLATOR.get_asset_key(props): unique_id for unique_id, props in project["nodes"].items()
                if props["resource_type"] == "model"}  # fmt: skip
    names = sorted(project["nodes"][selected[key]]["name"] for key in context.selected_asset_keys)
    events: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    outcome: list[Any] = []

    def on_event(message: EventMsg) -> None:
        if message.info.name in ("LogModelResult", "LogTestResult", "LogSeedResult"):
            events.put(msg_to_dict(message))

    def work() -> None:
        try:
            runner = dbtRunner(manifest=manifest.parsed(), callbacks=[on_event])
            arguments = ["--quiet", "build", *manifest.places(manifest.target_folder())]
            arguments += ["--exclude-resource-type", "unit_test"]
            arguments += ["--vars", json.dumps(variables), "--select", *names]
            # A debug log takes a fifth of dbt's time; the manifest that it would write again is the one it was given
            arguments += ["--log-level-file", "error", "--no-write-json"]
            outcome.append(runner.invoke(arguments))
        except BaseException as error:
            outcome.append(error)
        finally:
            events.put(None)

    with manifest.connected(warehouse.url):
        thread = threading.Thread(target=work, name="dbt")
        thread.start()
        while (event := events.get()) is not None:
            message = DbtCoreCliEventMessage(raw_event=event, event_history_metadata={})
            for made in message.to_default_asset_events(
                project, TRANSLATOR, context, manifest.target_folder()
            ):
                if isinstance(made, dg.Output):
                    node = project["nodes"][event["data"]["node_info"]["unique_id"]]
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
    failed = [r for r in result.result if r.status in ("error", "fail")]
    if failed:
        raise SijillError(
            "\n".join(f"{r.node.resource_type} {r.node.schema}.{r.node.alias}: {r.message}" for r in failed),
            expected="every model to build and every test to pass",
            action="correct the model or its data, then run the cycle again",
        )


def _figures(warehouse: Warehouse, node: Mapping[str, Any], cycle: str) -> dict[str, Any]:
    kind = node["config"]["materialized"]
    if kind not in ("table", "incremental"):
        return {}
    return figures.of_table(
        warehouse, node["schema"], node.get("alias") or node["name"], cycle, by_cycle=kind == "incremental"
    )
