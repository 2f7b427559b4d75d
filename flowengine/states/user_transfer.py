"""User transfer: ring one person on all their devices, or wait in line for them."""

from flowengine.call.call import Call
from flowengine.call.causes import exit_after
from flowengine.call.events import AgentsOffered
from flowengine.flow.document import UserTransfer


async def user_transfer(call: Call, node: UserTransfer) -> str:
    """Ring the user; `answered` after the talk, else `timeout`, `unavailable` or `busy` (product rules, 3).

    With a waiting line the caller of a busy user waits; a full line is `busy`, a line that took too long
    `timeout`, and a user who went out of reach meanwhile `unavailable`.
    """
    await call.notify_of_recording(node)
    offer = await call.offer("user", node.user)
    if offer.busy and node.queue:
        turn = await call.wait_in_line("user", node.user, node.queue)
        if not isinstance(turn, AgentsOffered):
            return "busy" if turn == "full" else "timeout"
        offer = turn
    if not offer.agents:
        return exit_after([], busy=offer.busy)
    agent, outcomes = await call.ring(offer.agents, node.ring_timeout_s)
    if agent is None:
        return exit_after(outcomes, busy=offer.busy)
    await call.talk(agent, node)
    return "answered"
