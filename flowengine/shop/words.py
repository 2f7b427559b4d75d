"""What the shop tells admins, in a sentence for a mail or a chat."""

from collections.abc import Mapping
from typing import Any

from flowengine.billing.currencies import written
from flowengine.billing.money import format_credits


def money_words(kind: str, data: Mapping[str, Any]) -> str | None:
    """A sentence for a notification of the shop; None for what is not of the shop."""
    match kind:
        case "number_arrears" if data["days"] >= data["grace_days"]:
            return (
                f"{data['number']} takes no calls, for its monthly fee is not paid for {data['days']} days. The number"
                " is kept: buy credits, or release it."
            )
        case "number_arrears":
            return (
                f"The monthly fee of {data['number']}, {_unpaid(data)} Buy credits: after"
                f" {data['grace_days']} days the number takes no more calls."
            )
        case "number_suspended":
            return (
                f"{data['number']} takes no more calls until its monthly fee is paid. The number is kept: buy credits,"
                " and it works again at once."
            )
        case "number_resumed":
            return f"{data['number']} is paid and takes calls again."
        case "plan_arrears":
            return (
                f"The monthly fee of the storage plan {data['plan']}, {_unpaid(data)} Buy credits: after"
                f" {data['grace_days']} days the free plan holds."
            )
        case "plan_ended":
            return (
                f"The storage plan {data['plan']} was not paid, and the free plan holds now. Nothing is deleted, but"
                " nothing new is recorded until there is room."
            )
        case "recharged":
            return f"Auto-recharge bought {_bought(data)}."
        case "recharge_declined":
            return (
                f"Auto-recharge of {_bought(data)} was declined ({data['problem']}). It is tried again later."
            )
        case "recharge_stopped":
            return (
                f"Auto-recharge of {_bought(data)} was declined ({data['problem']}) too often and is not tried any"
                " more. Correct the means of payment and save the settings again."
            )
        case "recharge_set" if data["below"] is None:
            return f"{data['by']} switched auto-recharge off."
        case "recharge_set":
            below, amount = format_credits(data["below"]), format_credits(data["amount"])
            return f"{data['by']} set auto-recharge: below {below} credits, {amount} are bought."
        case _:
            return None


def _unpaid(data: Mapping[str, Any]) -> str:
    days = f" for {data['days']} days" if data["days"] else ""
    return f"{format_credits(data['fee'])} credits, could not be paid{days}."


def _bought(data: Mapping[str, Any]) -> str:
    return f"{format_credits(data['amount'])} credits for {written(data['price'], data['currency'])} {data['currency']}"
