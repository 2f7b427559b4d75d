"""What a notification says, in a sentence for a mail or a chat."""

from collections.abc import Mapping
from typing import Any

from flowengine.shop.words import money_words


def words(kind: str, data: Mapping[str, Any]) -> str:
    """A sentence for a notification; kinds that are not known here are told by their name."""
    match kind:
        case "storage_80" | "storage_95":
            return (
                f"{data['percent']} % of the storage plan are used: {_minutes(data['stored_ms'])} of"
                f" {_minutes(data['plan_ms'])} minutes. Delete recordings or choose a larger plan."
            )
        case "storage_100":
            return (
                f"The storage plan of {_minutes(data['plan_ms'])} minutes is used up: new recordings are not saved"
                " until recordings are deleted or a larger plan is chosen. Calls go on."
            )
        case "voicemail":
            whom = f" for {data['user']}" if data["user"] else ""
            return f"New message{whom} from {data['caller']} to {data['number']}, {_seconds(data['duration_ms'])} s."
        case "voicemail_transcript":
            return f"The message from {data['caller']} to {data['number']} was written down."
        case "recording_lost":
            return f"A recording of {data['caller']} to {data['number']} is lost: {data['problem']}."
        case "retention_deleted":
            return f"{data['many']} recordings older than {data['months']} months were deleted."
        case _:
            return money_words(kind, data) or f"{kind}."


def _minutes(ms: int) -> str:
    return f"{ms // 60_000:,}"


def _seconds(ms: int) -> str:
    return f"{ms / 1_000:.0f}"
