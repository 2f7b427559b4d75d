"""Inbound channels, from their entry into Stasis to their end: whose they are, and why they ended.

An inbound channel bears Asterisk's own id, so somebody has to remember which call it is the caller of. And it has no
event that tells the cause of its end: the hang-up request before it does, if the other side gave one.
"""

from flowengine.call import causes


class InboundChannels:
    """All inbound channels this engine has seen and not seen end."""

    def __init__(self) -> None:
        self.calls: dict[str, str] = {}
        """The call of each adopted channel."""
        self.unwanted: dict[str, int] = {}
        """Channels that must end, with the cause: rejected, or left over by a call."""
        self._waiting: set[str] = set()
        self._said: dict[str, int] = {}

    def __contains__(self, channel: object) -> bool:
        return channel in self.calls or channel in self._waiting or channel in self.unwanted

    @property
    def idle(self) -> frozenset[str]:
        """Channels without a call."""
        return frozenset(self._waiting) | self.unwanted.keys()

    def arrived(self, channel: str) -> None:
        """A channel waits to be adopted or rejected."""
        self._waiting.add(channel)

    def adopt(self, channel: str, call: str) -> bool:
        """Make the channel the caller of a call; False when it has ended meanwhile."""
        if channel not in self._waiting:
            return False
        self._waiting.discard(channel)
        self.calls[channel] = call
        return True

    def claim(self, channel: str, call: str) -> None:
        """Make the channel the caller of a call, whether it was seen or not."""
        self._waiting.discard(channel)
        self.calls[channel] = call

    def drop(self, channel: str, cause: int) -> None:
        """Nobody wants the channel any more; it is remembered until it has ended."""
        self._waiting.discard(channel)
        self.calls.pop(channel, None)
        self._said.pop(channel, None)
        self.unwanted[channel] = cause

    def hangs_up(self, channel: str, cause: int) -> None:
        """The other side asked for the end of an adopted channel; the first cause counts."""
        if channel in self.calls:
            self._said.setdefault(channel, cause)

    def ended(self, channel: str) -> int:
        """The channel is gone; returns the cause the other side gave, or NORMAL."""
        self._waiting.discard(channel)
        self.unwanted.pop(channel, None)
        self.calls.pop(channel, None)
        return self._said.pop(channel, causes.NORMAL)
