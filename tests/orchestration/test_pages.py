"""The pages people look at, in a real browser: the Dagster UI and the quality reports."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from orchestration.environment import free_port
from tests.orchestration.conftest import CYCLE, Cycle
from tests.orchestration.test_cycle import DERIVED, LEDGERS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.slow,
    pytest.mark.xdist_group("cycle"),
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser.new_page(viewport={"width": 1600, "height": 1000})
        browser.close()


@pytest.fixture(scope="module")
def address(cycle: Cycle) -> Iterator[str]:
    """`sijill ui`, as a user starts it."""
    port = free_port(3400)
    home = cycle.installation.home
    process = subprocess.Popen(
        [sys.executable, "-m", "sijill.cli", "ui", "--country", "tunisia", "--port", str(port)],
        env={**os.environ, "SIJILL_HOME": str(home)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(180):
            try:
                urllib.request.urlopen(f"{url}/server_info", timeout=2).read()
                break
            except OSError:
                assert process.poll() is None, process.stdout.read().decode() if process.stdout else ""
                time.sleep(0.5)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def ask(address: str, query: str, **variables: Any) -> dict[str, Any]:
    """A GraphQL request, as the page itself makes them."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"{address}/graphql", body, {"Content-Type": "application/json"})
    answer = json.loads(urllib.request.urlopen(request, timeout=60).read())
    assert "errors" not in answer, answer
    return dict(answer["data"])


def test_the_asset_graph_shows_every_stage(address: str, page: Any) -> None:
    page.goto(f"{address}/asset-groups")
    for stage in ("landing", "identity", "registry", "decision", "entitlement", "finance"):
        page.get_by_text(stage, exact=True).first.wait_for(timeout=30_000)
    assert page.get_by_text("Join the Dagster community").count() == 0


def test_an_assets_page_shows_its_rows_numbers_and_checks(address: str, page: Any, cycle: Cycle) -> None:
    page.goto(f"{address}/assets/identity/person_crosswalk")
    page.get_by_text("Row count").first.wait_for(timeout=30_000)
    page.get_by_text("survey_member").first.wait_for()
    page.goto(f"{address}/assets/decision/household_decision")
    page.get_by_text("limited_income").first.wait_for(timeout=30_000)
    rows = cycle.warehouse.scalar("select count(*) from decision.household_decision")
    page.get_by_text(f"{rows:,}").first.wait_for()
    page.goto(f"{address}/assets/decision/household_decision?view=checks")
    page.get_by_text("decision_gate").first.wait_for(timeout=30_000)


def test_the_quality_reports_open_without_a_network_and_lead_to_each_stage(page: Any, cycle: Cycle) -> None:
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    index = cycle.installation.reports / "data_docs" / "index.html"
    page.goto(index.as_uri())
    page.get_by_role("link", name=re.compile(CYCLE)).first.click()
    for stage in ("landing", "identity", "registry", "decision", "entitlement"):
        page.get_by_text(stage).first.wait_for()
    page.get_by_role("link", name=re.compile("entitlement")).first.click()
    assert "expect" in page.inner_text("body").lower()
    assert [url for url in fetched if not url.startswith("file:")] == []


LAUNCH = """
mutation ($job: String!, $location: String!, $tags: [ExecutionTag!]!) {
  launchRun(executionParams: {
    selector: {jobName: $job, repositoryLocationName: $location, repositoryName: "__repository__"}
    runConfigData: {}, mode: "default", executionMetadata: {tags: $tags}
  }) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } }
}"""
STATUS = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"


def test_a_run_launched_from_the_page_gives_the_same_tables(address: str, cycle: Cycle) -> None:
    before = {table: cycle.fingerprint(table) for table in (*DERIVED, *LEDGERS)}
    tags = [{"key": "dagster/partition", "value": f"{CYCLE}-01"}]
    launched = ask(address, LAUNCH, job="cycle", location="sijill", tags=tags)["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    status = "STARTING"
    for _ in range(240):
        status = ask(address, STATUS, id=launched["run"]["runId"])["runOrError"]["status"]
        if status in ("SUCCESS", "FAILURE", "CANCELED"):
            break
        time.sleep(1)
    assert status == "SUCCESS"
    assert {table: cycle.fingerprint(table) for table in before} == before
