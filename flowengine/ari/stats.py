"""What the ARI client counts, for metrics and for the health page."""

from dataclasses import dataclass


@dataclass(slots=True)
class AriStats:
    """Totals since the client was made."""

    connects: int = 0
    """Connections that became ready."""
    drops: int = 0
    """Connections lost after the handshake, ready or not."""
    displaced: int = 0
    """Times another engine took our application."""
    events: int = 0
    """Events given to the sink."""
    unknown: int = 0
    """Events of a type this engine does not read."""
    malformed: int = 0
    """Frames that were no message."""
    sink_errors: int = 0
    """Events at which the sink raised."""
    requests: int = 0
    """Requests sent, either way."""
    refused: int = 0
    """Requests Asterisk answered with 400 or above."""
    timeouts: int = 0
    """Requests without an answer in time."""
    unavailable: int = 0
    """Requests failed for want of a connection."""
    orphans: int = 0
    """Answers nobody waits for: late, repeated, or never asked."""
