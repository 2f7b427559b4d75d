"""The port to whoever has telephone numbers, and the default: a list that the operator imports.

A carrier is asked outside of any transaction, with the id of the order as its idempotency key: asked again it answers
the same. What it cannot answer in time is asked again later.
"""

from collections.abc import Sequence
from typing import Protocol

from flowengine.store.offered import Offer


class CarrierRefused(Exception):
    """The carrier does not hand a number over, or does not take it back; the message says why, fit for the buyer.

    `is_gone`: it does not have the number any more.
    """

    def __init__(self, message: str, *, is_gone: bool = False) -> None:
        super().__init__(message)
        self.is_gone = is_gone


class CarrierUnreachable(Exception):
    """The carrier did not say whether it has done what was asked."""


class Carrier(Protocol):
    """Has numbers, hands them over and takes them back."""

    @property
    def name(self) -> str:
        """Stored with each offer, at most 40 characters."""

    async def offers(self) -> Sequence[Offer] | None:
        """All numbers it offers now; None: they are imported by hand.

        Raises:
            CarrierUnreachable: it does not answer.
        """

    async def order(self, offer: Offer, order: str) -> None:
        """Hand a number over, once for this order.

        Raises:
            CarrierRefused: somebody else has it, or it is not to be had.
            CarrierUnreachable: it is not known.
        """

    async def release(self, offer: Offer) -> None:
        """Take a number back; one that it has already is fine.

        Raises:
            CarrierRefused: it does not want it back.
            CarrierUnreachable: it is not known.
        """


class Inventory:
    """Numbers of the operator's own: a list that is imported (`flowengine.shop.inventory`). It always agrees."""

    name = "inventory"

    async def offers(self) -> Sequence[Offer] | None:
        """See `Carrier.offers`."""
        return None

    async def order(self, offer: Offer, order: str) -> None:
        """See `Carrier.order`."""
        del offer, order

    async def release(self, offer: Offer) -> None:
        """See `Carrier.release`."""
        del offer
