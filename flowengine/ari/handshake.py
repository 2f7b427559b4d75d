"""From nothing to a websocket that is known to work: connect, find the way for requests, set the event filter.

Every failure here is a mistake somebody can mend, so each says what was met and what to change. (Statuses:
`ast_ari_invoke` in Asterisk's res_ari.c.)
"""

import asyncio
from collections.abc import Callable
from typing import Literal, TypeAlias

import aiohttp

from flowengine.ari.connection import AriConnection
from flowengine.ari.errors import AriRefused, AriTimeout, AriUnavailable
from flowengine.ari.messages import AnyEvent
from flowengine.ari.pacing import Clock
from flowengine.ari.rest import build
from flowengine.ari.settings import AriSettings
from flowengine.ari.stats import AriStats

Transport: TypeAlias = Literal["websocket", "http"]


def credentials(settings: AriSettings) -> dict[str, str]:
    """The header that says who we are. Never `?api_key=`: addresses end up in logs, headers do not."""
    return {"Authorization": aiohttp.encode_basic_auth(settings.username, settings.password, "utf-8")}


async def open_websocket(
    session: aiohttp.ClientSession,
    settings: AriSettings,
    clock: Clock,
    stats: AriStats,
    on_event: Callable[[AnyEvent], None],
) -> AriConnection:
    """A live connection on our application, or `AriUnavailable` saying what to mend."""
    target = build("GET", "events", {"app": settings.app, "subscribeAll": False})
    try:
        async with asyncio.timeout(settings.connect_timeout_s):
            websocket = await session.ws_connect(
                f"{settings.rest_url}/{target.uri}",
                autoping=False,
                decode_text=False,
                max_msg_size=settings.max_frame_bytes,
            )
    except aiohttp.WSServerHandshakeError as error:
        raise AriUnavailable(_mend(error.status, settings)) from None
    except TimeoutError:
        raise AriUnavailable(await _why_silent(session, settings)) from None
    except (aiohttp.ClientError, OSError) as error:
        raise AriUnavailable(
            f"Asterisk cannot be reached at {settings.url} ({type(error).__name__}): is it running, and does "
            "http.conf say enabled=yes with this bindaddr and bindport?"
        ) from None
    return AriConnection(websocket, settings, clock, stats, on_event)


async def find_transport(connection: AriConnection, settings: AriSettings) -> Transport:
    """How requests may travel: an Asterisk too old for REST over the websocket reads the question and is silent."""
    try:
        await connection.send(build("GET", "asterisk/ping"), settings.probe_timeout_s)
    except AriTimeout:
        return "http"
    except AriRefused:
        pass  # any answer at all came by the websocket
    return "websocket"


def explain_filter(refused: AriRefused, settings: AriSettings) -> str:
    """What to mend when Asterisk refuses the event filter, our first request that changes something."""
    if refused.status == 403:
        return f"ARI user {settings.username!r} may only read: set read_only=no in its section of ari.conf"
    return f"Asterisk refused the event filter ({refused.status}): {refused.reason}"


async def _why_silent(session: aiohttp.ClientSession, settings: AriSettings) -> str:
    """No word on a websocket: whether Asterisk as a whole does not answer, or only our application is stuck there."""
    where, wait_s = settings.url, settings.connect_timeout_s
    target = build("GET", "asterisk/ping")
    try:
        async with asyncio.timeout(min(wait_s, settings.probe_timeout_s)):
            async with session.get(f"{settings.rest_url}/{target.uri}"):
                pass
    except (TimeoutError, aiohttp.ClientError, OSError):
        return f"Asterisk at {where} did not answer within {wait_s:g} s"
    return (
        f"Asterisk at {where} answers requests, but gave application {settings.app!r} no websocket within "
        f"{wait_s:g} s: if this goes on, it has locked itself up over an earlier connection; restart Asterisk "
        "(docs/asterisk-notes.md, 'Device states that lock Asterisk up')"
    )


def _mend(status: int, settings: AriSettings) -> str:
    user, where = settings.username, settings.url
    match status:
        case 401:
            return (
                f"user {user!r} or its password is wrong at {where}: make them the same as section [{user}] "
                "(type=user) of ari.conf, then `asterisk -rx 'module reload res_ari.so'`"
            )
        case 403:
            return f"user {user!r} may not connect from here: see permit and deny of [{user}] in ari.conf"
        case 404:
            return (
                f"there is no ARI at {where}: load res_ari.so and res_ari_events.so, set enabled=yes in "
                "[general] of ari.conf, and compare prefix in http.conf with the url"
            )
        case 503:
            return "Asterisk is starting or stopping"
        case _:
            return f"no websocket at {where}: is that Asterisk's HTTP server?"
