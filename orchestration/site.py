"""Which installation this code location serves, and the resource that opens its warehouse.

Definitions load with no database, network or required environment: the country's folder is data on
disk, and nothing is opened before a run.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Self

import dagster as dg
from pydantic import PrivateAttr

from sijill.country import Country
from sijill.installation import Installation, home
from warehouse import Warehouse


class Site(dg.ConfigurableResource):  # type: ignore[type-arg]
    """An installation and its open warehouse, one connection pool a run."""

    country_folder: str
    name: str

    _warehouse: Warehouse | None = PrivateAttr(default=None)

    @classmethod
    def of(cls, installation: Installation) -> Self:
        return cls(country_folder=str(installation.country.folder), name=installation.name)

    @property
    def country(self) -> Country:
        return Country.load(self.country_folder)

    @property
    def installation(self) -> Installation:
        return Installation(self.country, self.name, home())

    @property
    def warehouse(self) -> Warehouse:
        if self._warehouse is None:
            self._warehouse = Warehouse.open(self.installation)
        return self._warehouse

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator[Self, None, None]:  # noqa: ARG002
        try:
            yield self
        finally:
            if self._warehouse is not None:
                self._warehouse.close()
                self._warehouse = None
