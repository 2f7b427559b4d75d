"""Voicemail: ask for a message and record it."""

from flowengine.call.call import BEEP, Call
from flowengine.flow.document import Voicemail

LONGEST_S = 120.0
"""No message is longer, whatever the document says (product rules, section 3)."""


async def voicemail(call: Call, node: Voicemail) -> str:
    """Play the prompt and a tone, then record; `timeout` when the limit was reached, `recorded` otherwise.

    `#`, silence and hanging up end the message and keep it; under a second of sound is thrown away.
    """
    call.answer()
    await call.play(node.prompt.sound(call.language))
    if node.beep:
        await call.play(BEEP)
    end = await call.record_message(min(node.max_duration_s, LONGEST_S), node.silence_s)
    return "timeout" if end == "limit" else "recorded"
