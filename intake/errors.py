"""What intake refuses."""

from __future__ import annotations

from sijill.errors import SijillError


class ContractError(SijillError):
    """Source contracts that cannot be used; every problem is listed with its file and property."""


class DeliveryRefused(SijillError):
    """A delivery that is refused whole: missing, not what it says, or too far from its contract."""
