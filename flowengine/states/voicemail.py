"""Voicemail: ask for a message and record it."""

from flowengine.call.call import BEEP, Call
from flowengine.flow.document import Voicemail

LONGEST_S = 120.0
"""No message is longer, whatever the document says (product rules, section 3)."""


async def voicemail(call: Call, node: Voicemail) -> str:
    """Play the prompt and a tone, then record; `timeout` when the limit was reached, `recorded` otherwise.

    `#`, silence and hanging up end the message and keep it; under a second of sound is thrown away. When the
    storage plan is used up the caller is told so instead of being asked for a message that would be lost.
    """
    call.answer()
    message = await call.room_for_message(min(node.max_duration_s, LONGEST_S))
    if message is None:
        await call.refuse_message()
        return "timeout"
    await call.play(node.prompt.sound(call.manner))
    if node.beep:
        await call.play(BEEP)
    end = await call.record_message(message, node.silence_s)
    return "timeout" if end == "limit" else "recorded"
