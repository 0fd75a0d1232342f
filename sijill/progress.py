"""One live line a stage."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

NAME_WIDTH = 12


def done_line(stage: str, text: str, seconds: float, mark: str = "[green]✓[/green]") -> str:
    """A finished stage, in rich markup."""
    return f"{mark} {stage:<{NAME_WIDTH}} [dim]{seconds:6.1f} s[/dim]  {text}"


@contextmanager
def stage_line(console: Console, stage: str, text: str) -> Iterator[Callable[[str], None]]:
    """Show a spinner with `text`; the function given replaces it; at the end, the line with its time stays."""
    latest = [text]
    begin = time.monotonic()
    with console.status(f"{stage}: {text}") as status:

        def say(words: str) -> None:
            latest[0] = words
            status.update(f"{stage}: {words}")

        try:
            yield say
        except BaseException:
            status.stop()
            console.print(
                done_line(stage, latest[0], time.monotonic() - begin, "[red]✗[/red]"), highlight=False
            )
            raise
    console.print(done_line(stage, latest[0], time.monotonic() - begin), highlight=False)
