"""Group transfer: ring the members all at once, or one after another in line order."""

from flowengine.call.call import Call
from flowengine.call.causes import Outcome, exit_after
from flowengine.call.events import AgentsOffered
from flowengine.flow.document import GroupTransfer


async def group_transfer(call: Call, node: GroupTransfer) -> str:
    """Ring the group; `answered` after the talk, else `timeout`, `unavailable` or `busy` (product rules, 3).

    Parallel is one wave of everybody free. Sequential is a wave for each member, with its own ring time; the
    desk is asked again before each wave, so a member who became free meanwhile has a turn. With a waiting line,
    a caller whom nobody could be rung for waits, and is then put through to whoever becomes free.
    """
    await call.notify_of_recording(node)
    outcomes: list[Outcome] = []
    tried: tuple[str, ...] = ()
    while True:
        offer = await call.offer("group", node.group, node.ringing, tried)
        is_last = node.ringing == "parallel"
        if node.queue and offer.busy and not offer.agents and not tried:
            turn = await call.wait_in_line("group", node.group, node.queue)
            if not isinstance(turn, AgentsOffered):
                return "busy" if turn == "full" else "timeout"
            offer, is_last = turn, True
        if not offer.agents:
            return exit_after(outcomes, busy=offer.busy)
        agent, ended = await call.ring(offer.agents, node.ring_timeout_s)
        if agent is not None:
            await call.talk(agent, node)
            return "answered"
        outcomes += ended
        tried += tuple(member.user for member in offer.agents)
        if is_last:
            return exit_after(outcomes, busy=offer.busy)
