"""The port to whoever takes money, and the default that takes none itself: an operator books what was paid.

A provider is asked with the id of the purchase as its idempotency key: asked again with the same key, it answers the
same and takes nothing twice. What it cannot answer in time is asked again later.
"""

from typing import Literal, NamedTuple, Protocol


class PaymentOrder(NamedTuple):
    """What is to be paid. `price` is in the smallest coin of `currency`."""

    id: str
    """The purchase; the provider's idempotency key, and what its webhooks should name."""
    account: str
    price: int
    currency: str
    description: str


class Answer(NamedTuple):
    """How a payment went, or that it is under way and a webhook will tell."""

    outcome: Literal["paid", "declined", "pending"]
    ref: str = ""
    """What the provider calls the payment."""
    problem: str = ""
    """Why it was declined, fit to be shown to the buyer."""


class OutcomeUnknown(Exception):
    """The provider did not say whether it has taken the money. The same order is asked again."""


class PaymentProvider(Protocol):
    """Takes money."""

    @property
    def name(self) -> str:
        """Stored with each purchase, at most 40 characters."""

    @property
    def can_be_asked(self) -> bool:
        """Whether asking again about a pending payment may tell something new."""

    async def charge(self, order: PaymentOrder) -> Answer:
        """Take the price of an order, once for its id; again, it says what became of it.

        Raises:
            OutcomeUnknown: it may or may not have been taken.
        """


class ManualPayment:
    """Bank transfers and invoices: a purchase waits until an operator books it with a reference."""

    name = "manual"
    can_be_asked = False

    async def charge(self, order: PaymentOrder) -> Answer:
        """See `PaymentProvider.charge`: an operator will tell."""
        del order
        return Answer("pending")
