"""Where Asterisk is, who we are there, and how long we wait for what."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

MAX_APP_NAME = 512
"""Characters in a Stasis application's name; Asterisk refuses a longer one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AriSettings:
    """One engine's access to one Asterisk. Times are seconds.

    `app` is the Stasis application, one an engine: a second websocket on it silences the first.
    Asterisk answers pings on the same thread that carries out requests of the websocket, and some
    requests wait there for a prompt to end (answer, set a variable, add to or remove from a bridge). So
    silence means `silent_after_s` while nothing is asked, and `stalled_after_s` while an answer is due.
    """

    app: str
    username: str
    password: str = field(repr=False)
    url: str = "http://127.0.0.1:8088"

    connect_timeout_s: float = 5.0
    request_timeout_s: float = 10.0
    probe_timeout_s: float = 2.0
    resync_timeout_s: float = 60.0
    close_timeout_s: float = 1.0

    ping_every_s: float = 5.0
    silent_after_s: float = 12.0
    stalled_after_s: float = 40.0

    reconnect_first_s: float = 0.25
    reconnect_cap_s: float = 10.0
    displaced_first_s: float = 60.0
    displaced_cap_s: float = 900.0

    max_in_flight: int = 4096
    max_frame_bytes: int = 16 * 1024 * 1024
    http_connections: int = 16

    disallowed_events: tuple[str, ...] = (
        "ChannelVarset",
        "ChannelDialplan",
        "ChannelCallerId",
        "ChannelConnectedLine",
    )

    def __post_init__(self) -> None:
        """Refuse, by name, what could only fail later and less clearly."""
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("ARI url: write it as http://HOST:8088 or https://HOST:8089")
        if parts.username is not None or parts.password is not None or parts.query:
            raise ValueError("ARI url: give user and password in their own settings, not in the url")
        if not self.app or len(self.app) > MAX_APP_NAME or any(c in ",&? /" or c < " " for c in self.app):
            raise ValueError(
                "ARI app: name one Stasis application, as in Stasis(NAME) of extensions.conf, without commas"
            )
        if not self.username or ":" in self.username:
            raise ValueError("ARI username: give the section name of a type=user in ari.conf, without ':'")
        if not self.password:
            raise ValueError("ARI password: give the password of that user in ari.conf")
        if "RESTResponse" in self.disallowed_events:
            raise ValueError(
                "ARI disallowed_events: take RESTResponse out, it would silence answers to requests"
            )
        if not self.ping_every_s < self.silent_after_s <= self.stalled_after_s:
            raise ValueError("ARI timings: ping_every_s < silent_after_s <= stalled_after_s must hold")

    @property
    def rest_url(self) -> str:
        """The root of the REST resources, without a slash at its end; `url` may name it or the server."""
        return f"{self.url.rstrip('/').removesuffix('/ari')}/ari"
