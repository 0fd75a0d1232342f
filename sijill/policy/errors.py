"""The error that lists every fault of a pack."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sijill.errors import SijillError


class PolicyError(SijillError):
    """A policy folder that cannot be used; `problems` lists every fault with file and line."""

    def __init__(self, folder: Path, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        count = f"{len(problems)} problem" + ("s" if len(problems) != 1 else "")
        super().__init__(
            f"The policy in {folder} has {count}:\n" + "\n".join(f"  - {problem}" for problem in problems),
            expected="a policy folder as docs/policy.md describes it",
            action="correct the lines named above",
        )
