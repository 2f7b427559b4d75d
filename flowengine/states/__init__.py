"""The kinds of state: one explicit table, one file a kind.

A state is a coroutine over `Call`: it awaits only things of the call and returns the name of an outcome which
its document model declares. See docs/adding-a-state.md.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from flowengine.call.call import Call
from flowengine.states.announcement import announcement
from flowengine.states.group_transfer import group_transfer
from flowengine.states.ivr import ivr
from flowengine.states.user_transfer import user_transfer
from flowengine.states.voicemail import voicemail

STATES: Final[dict[str, Callable[[Call, Any], Awaitable[str]]]] = {
    "ivr": ivr,
    "announcement": announcement,
    "voicemail": voicemail,
    "user_transfer": user_transfer,
    "group_transfer": group_transfer,
}
"""By the `type` of the document model."""
