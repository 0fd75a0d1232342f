"""The Dagster code location: assets, checks, partitions, resources, schedules and sensors.

One module a stage. Thin: each asset calls its room's public function and publishes what it returned.
What does not belong here: arithmetic, SQL on registry data, or reading files. No other room imports dagster.
"""
