"""A card provider without money: it declines, does not answer, and tells late, early and often."""

from collections.abc import Callable
from typing import NamedTuple

from flowengine.shop.checkout import Webhook
from flowengine.shop.payment import Answer, OutcomeUnknown, PaymentOrder

CardSays = Callable[[PaymentOrder], Answer]


class Charge(NamedTuple):
    """What the provider knows of an order: money is taken once for its id."""

    order: PaymentOrder
    ref: str
    outcome: str


class FakeCard:
    """Plays a card provider. What it does next stands in `plan`, one word a question; at its end it pays.

    paid, declined: says so. pending: tells later. silent: takes the money and does not answer. down: does nothing
    and does not answer.
    """

    name = "card"
    can_be_asked = True

    def __init__(self, *plan: str) -> None:
        self.plan = list(plan)
        self.charges: dict[str, Charge] = {}
        self.asked = 0
        self.before_answer: Callable[[PaymentOrder], object] | None = None

    @property
    def taken(self) -> int:
        """How much money was taken, in coins."""
        return sum(each.order.price for each in self.charges.values() if each.outcome == "paid")

    async def charge(self, order: PaymentOrder) -> Answer:
        self.asked += 1
        word = self.plan.pop(0) if self.plan else ""
        if word == "down":
            raise OutcomeUnknown
        known = self.charges.get(order.id)
        if known is None or (known.outcome == "pending" and word in ("", "paid", "declined")):
            outcome = {"": "paid", "silent": "paid"}.get(word, word)
            known = self.charges[order.id] = Charge(order, f"ch_{order.id}", outcome)
        if self.before_answer is not None:
            await self.before_answer(order)  # type: ignore[misc]
        if word == "silent":
            raise OutcomeUnknown
        return Answer(known.outcome, known.ref, "the card was declined" * (known.outcome == "declined"))  # type: ignore[arg-type]

    def webhook(self, order: str, outcome: str = "paid") -> Webhook:
        """What it would tell of a purchase; it settles it here, too."""
        charge = self.charges[order] = self.charges[order]._replace(outcome=outcome)
        return Webhook(outcome, order, charge.ref)  # type: ignore[arg-type]
