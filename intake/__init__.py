"""Deliveries into landing tables: contracts, reading, typing and checking, quarantine.

What belongs here: everything between a file that an institution delivered and a typed table of it with
the common names over it. What does not: who the records are about, and what follows from them.
A source is a contract in `countries/<country>/sources`; adding one takes no code.
"""

from intake.contracts import Column, SourceContract, TableContract, load_contracts
from intake.errors import ContractError, DeliveryRefused
from intake.landing import create_canonical_views
from intake.receiving import Counts, Received, ReceivedTable, receive
from intake.report import DeliverySummary, summary

__all__ = [
    "Column",
    "ContractError",
    "Counts",
    "DeliveryRefused",
    "DeliverySummary",
    "Received",
    "ReceivedTable",
    "SourceContract",
    "TableContract",
    "create_canonical_views",
    "load_contracts",
    "receive",
    "summary",
]
