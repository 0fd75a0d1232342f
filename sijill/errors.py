"""Errors that a person can act on."""

from __future__ import annotations


class SijillError(Exception):
    """Something a person must mend: what was seen, what was expected, what to do next.

    The command line prints it without a traceback and ends with exit code 1.
    Never put personal data in any of the three parts: keys, counts and file positions only.
    """

    def __init__(self, seen: str, *, expected: str = "", action: str = "") -> None:
        self.seen = seen
        self.expected = expected
        self.action = action
        super().__init__(str(self))

    def __str__(self) -> str:
        lines = [self.seen]
        if self.expected:
            lines.append(f"Expected: {self.expected}")
        if self.action:
            lines.append(f"What to do: {self.action}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.seen, self.expected, self.action))


def _rebuild(kind: type[SijillError], seen: str, expected: str, action: str) -> SijillError:
    error = kind.__new__(kind)
    SijillError.__init__(error, seen, expected=expected, action=action)
    return error
