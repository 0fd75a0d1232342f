"""Sijill: the command line, and what every room shares: countries, installations, errors.

What belongs here: reading `country.yaml`, deciding where files live, and the `sijill` command.
What does not: any stage's work (each has its own room) and anything of Dagster (`orchestration`).
"""

__version__ = "0.1.0"
