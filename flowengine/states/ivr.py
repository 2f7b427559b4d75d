"""IVR: a menu of keys."""

from flowengine.call.call import Call
from flowengine.flow.document import Ivr


async def ivr(call: Call, node: Ivr) -> str:
    """Play the prompt and take one key; leave by the key, or by `timeout` after silence (product rules, 3).

    A key counts even when it was pressed before or into the prompt. A key the menu does not have plays the
    menu again, `attempts` times in all; then the call leaves by `invalid` if that is connected, else by
    `timeout`.
    """
    call.answer()
    for _ in range(node.attempts):
        key = await call.key_after(node.prompt.sound(call.manner), node.timeout_s)
        if key is None:
            return "timeout"
        if node.connections.get(key):
            return key
    return "invalid" if node.connections.get("invalid") else "timeout"
