"""What must be true after each stage: Great Expectations suites, their runner, and Data Docs.

What belongs here: suites as data (`suites`), evaluating one and recording it as a gate (`runner`),
and its pages (`docs`). What does not: checks of one delivered row, which intake makes, and relations
that dbt tests.

Great Expectations takes 4 to 6 s to import: nothing here imports it until a suite is run, and `worker`
evaluates suites in a process of its own.
"""

from expectations.runner import STAGES, Failure, StageResult, evaluate, preload, run_stage
from expectations.suites import Checked, Expectation, Suite, build_suite

__all__ = [
    "STAGES",
    "Checked",
    "Expectation",
    "Failure",
    "StageResult",
    "Suite",
    "build_suite",
    "evaluate",
    "preload",
    "run_stage",
]
