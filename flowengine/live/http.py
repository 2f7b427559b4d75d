"""The live picture over HTTP, beside health: a snapshot, changes over a websocket, and what an operator does by hand.

GET /live                            everything now
GET /live/events                     websocket: a snapshot, then every change; after a gap a snapshot again
POST /live/agents/{account}/{user}   {"wish": "work" | "pause" | "leave"}
POST /live/calls/{call}/recording    {"paused": true | false}: leave what is said now out of the recording, or go on
DELETE /live/calls/{call}            hang up, for everybody in the call

Only this machine is answered, and only with the token of this run (`flowengine.live.client` keeps it in a note).
Telephone numbers are masked. Complaints are problem details (RFC 9457).
"""

import asyncio
import contextlib
import hmac
from collections.abc import Awaitable, Callable
from ipaddress import IPv6Address, ip_address
from typing import Final, Literal, Protocol

import msgspec
import structlog
from aiohttp import web

from flowengine.alarms import Alarms
from flowengine.call.events import Instant
from flowengine.live.changes import Change, Gap, Subscription
from flowengine.live.picture import LivePicture
from flowengine.live.views import Snapshot, masked, masked_snapshot
from flowengine.routing.agents import Agent, Wish

log = structlog.get_logger(__name__)

MOST_WATCHERS: Final = 50
"""How many may follow the changes at the same time."""
HEARTBEAT_S: Final = 20.0
"""A follower who does not answer a ping for half of this is gone."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Wishing = Callable[[str, str, Wish], Agent]
"""Does what somebody wishes for a user of an account; raises KeyError when there is no such user."""

_json = msgspec.json.Encoder().encode


class Wished(msgspec.Struct, forbid_unknown_fields=True):
    """What is asked for an agent."""

    wish: Wish


class Pausing(msgspec.Struct, forbid_unknown_fields=True):
    """What is asked for the recording of a call."""

    paused: bool


class Told(msgspec.Struct, frozen=True):
    """A call was told something. What comes of it is seen in the picture."""

    call: str
    told: Literal["pause", "resume", "hang_up"]


class Calls(Protocol):
    """What an operator may do to a running call (`Engine`); False when there is no such call."""

    def pause_recording(self, call: str, *, paused: bool) -> bool:
        """Leave what is said now out of its recording, or go on with it."""
        ...

    def kill(self, call: str) -> bool:
        """End it."""
        ...


class Whole(msgspec.Struct, frozen=True):
    """A snapshot among the changes, in the shape of one."""

    seq: int
    at: Instant
    about: Snapshot
    kind: Literal["snapshot"] = "snapshot"


class Refusal(Exception):
    """A request that is not served."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code


class LiveRoutes:
    """The routes of one engine.

    Args:
        picture: what is shown.
        wishing: does what an operator wishes for an agent.
        calls: does what an operator decides for a call.
        alarms: are shown.
        token: whoever has it may look and wish.
    """

    def __init__(
        self, picture: LivePicture, wishing: Wishing, calls: Calls, alarms: Alarms, token: str
    ) -> None:
        self._picture = picture
        self._wishing = wishing
        self._calls = calls
        self._alarms = alarms
        self._token = token
        self._sockets: set[web.WebSocketResponse] = set()

    def add_to(self, app: web.Application) -> None:
        """Serve them here."""
        app.router.add_get("/live", self._guarded(self._snapshot))
        app.router.add_get("/live/events", self._guarded(self._events))
        app.router.add_post("/live/agents/{account}/{user}", self._guarded(self._agent))
        app.router.add_post("/live/calls/{call}/recording", self._guarded(self._recording))
        app.router.add_delete("/live/calls/{call}", self._guarded(self._hang_up))
        app.on_shutdown.append(self._close)

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                self._admit(request)
                return await handler(request)
            except Refusal as refusal:
                body = {"status": refusal.status, "code": refusal.code, "title": str(refusal)}
                headers = {"WWW-Authenticate": "Bearer"} if refusal.status == 401 else None
                return web.json_response(
                    body, status=refusal.status, headers=headers, content_type="application/problem+json"
                )

        return guarded

    def _admit(self, request: web.Request) -> None:
        if not _is_here(request.remote):
            raise Refusal(403, "not_from_here", "the live picture is shown on this machine only")
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(
            given.strip().encode(), self._token.encode()
        ):
            raise Refusal(401, "token_needed", "send the token of the note in the data folder: Bearer TOKEN")

    async def _snapshot(self, _: web.Request) -> web.Response:
        return _answer(self._now())

    async def _agent(self, request: web.Request) -> web.Response:
        account, user = request.match_info["account"], request.match_info["user"]
        try:
            wish = msgspec.json.decode(await request.read(), type=Wished).wish
        except msgspec.DecodeError:
            raise Refusal(
                400, "no_wish", 'send {"wish": "work"}, {"wish": "pause"} or {"wish": "leave"}'
            ) from None
        try:
            agent = self._wishing(account, user, wish)
        except KeyError:
            raise Refusal(404, "unknown_agent", f"account {account} has no user {user}") from None
        log.info("agent told by hand", account=account, user=user, wish=wish, state=agent.state)
        self._picture.agent_changed(account, user, agent)
        return _answer(self._picture.agent(account, user))

    async def _recording(self, request: web.Request) -> web.Response:
        call = request.match_info["call"]
        try:
            paused = msgspec.json.decode(await request.read(), type=Pausing).paused
        except msgspec.DecodeError:
            raise Refusal(400, "no_pause", 'send {"paused": true} or {"paused": false}') from None
        if not self._calls.pause_recording(call, paused=paused):
            raise _unknown(call)
        log.info("recording told by hand", call=call, paused=paused)
        return _answer(Told(call, "pause" if paused else "resume"))

    async def _hang_up(self, request: web.Request) -> web.Response:
        call = request.match_info["call"]
        if not self._calls.kill(call):
            raise _unknown(call)
        log.info("call ended by hand", call=call)
        return _answer(Told(call, "hang_up"))

    async def _events(self, request: web.Request) -> web.WebSocketResponse:
        if len(self._sockets) >= MOST_WATCHERS:
            raise Refusal(503, "too_many", f"{MOST_WATCHERS} follow the picture already")
        socket = web.WebSocketResponse(heartbeat=HEARTBEAT_S, compress=False, max_msg_size=1024)
        if not socket.can_prepare(request).ok:
            raise Refusal(
                426, "websocket_needed", "the changes are told over a websocket: ask for an upgrade"
            )
        self._sockets.add(socket)
        try:
            await socket.prepare(request)
            with self._picture.subscribe() as changes:
                telling = asyncio.create_task(self._tell(socket, changes), name="live changes")
                try:
                    async for _ in socket:
                        pass  # what a follower says is not listened to; the end of it is
                finally:
                    telling.cancel()
                    await asyncio.gather(telling, return_exceptions=True)
        finally:
            self._sockets.discard(socket)
        return socket

    async def _tell(self, socket: web.WebSocketResponse, changes: Subscription) -> None:
        """Tell everything in order, beginning with a snapshot. Ends with the socket."""
        with contextlib.suppress(ConnectionError):
            shown = await self._show(socket)
            async for change in changes:
                match change:
                    case Gap():
                        await socket.send_str(_json(change).decode())
                        shown = await self._show(socket)
                    case Change(seq=seq, about=about) if seq > shown:
                        plain = msgspec.structs.replace(change, about=masked(about))
                        await socket.send_str(_json(plain).decode())

    async def _show(self, socket: web.WebSocketResponse) -> int:
        """Send a snapshot; gives the number of the last change in it."""
        snapshot = self._now()
        await socket.send_str(_json(Whole(snapshot.seq, snapshot.at, snapshot)).decode())
        return snapshot.seq

    def _now(self) -> Snapshot:
        snapshot = masked_snapshot(self._picture.snapshot())
        return msgspec.structs.replace(snapshot, alarms=dict(self._alarms.standing))

    async def _close(self, _: web.Application) -> None:
        """The engine ends: tell followers, who would hold the server open."""
        await asyncio.gather(
            *(socket.close(code=1001, message=b"the engine ends") for socket in list(self._sockets))
        )


def _answer(value: msgspec.Struct | None) -> web.Response:
    return web.Response(body=_json(value), content_type="application/json")


def _unknown(call: str) -> Refusal:
    return Refusal(404, "unknown_call", f"no call {call} is running here: it may be over")


def _is_here(remote: str | None) -> bool:
    """Whether the other side is this machine."""
    try:
        address = ip_address(remote or "")
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback
