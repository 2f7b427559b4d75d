"""Announcement: say something and go on."""

from flowengine.call.call import Call
from flowengine.flow.document import Announcement


async def announcement(call: Call, node: Announcement) -> str:
    """Play the prompt to its end and leave by `next` (product rules, section 3)."""
    call.answer()
    sound = node.prompt.sound(call.manner)
    if node.tells_of_recording:
        await call.tell_of_recording(sound)
    else:
        await call.play(sound)
    return "next"
