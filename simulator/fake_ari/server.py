"""The fake ARI: the simulated world, served over HTTP and websocket in real time as Asterisk's REST interface.

So the whole product runs without Asterisk, and so does any other client of ARI. Beside ARI there is a small control
side under `/sim`, by which a terminal or a test lets people call (`control`).
"""

import asyncio
import base64
import binascii
import hmac
import json
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import unquote

import structlog
from aiohttp import web

from simulator.fake_ari.control import Control
from simulator.fake_ari.exchange import VERSION, Exchange, ObservedWorld
from simulator.fake_ari.operations import TABLES
from simulator.fake_ari.real_time import RealTime
from simulator.fake_ari.rest import MAX_BODY_BYTES, METHODS, Answer, Ask, NotAllowed, Refused, Routes, refusal
from simulator.fake_ari.script import LoggedCaller
from simulator.fake_ari.session import Session
from simulator.fake_ari.swagger import documents
from simulator.phones import SILENT, AgentPhone, Behaviour, Step
from simulator.things import Leg

log = structlog.get_logger(__name__)

HOST: Final = "127.0.0.1"
MAX_FRAME_BYTES: Final = 65_520
"""Longer frames close the websocket with 1009, as Asterisk does."""
CLOSE_S: Final = 1.0
_ROUTES: Final = Routes(TABLES)
_T = TypeVar("_T")
_UPGRADE: Final = "Upgrade Required"


class FakeAri:
    """A switch that is none. Use as `async with FakeAri() as ari:`, or `start` and `stop`.

    Args:
        user, password: who may use it, by HTTP basic authentication or `?api_key=USER:PASSWORD`.
        app: the application that every call enters.
        port: 0 for a free one.
        speed: how many seconds of the world a second of the clock is; greater than 0.
        heard_as: what a telephone hears of a media URI, so that scripts can wait for words. Without, the URI.
    """

    def __init__(
        self,
        *,
        user: str = "flowengine",
        password: str = "flowengine",  # noqa: S107 - of a thing on loopback that guards nothing
        app: str = "flowengine",
        port: int = 0,
        speed: float = 1.0,
        heard_as: Callable[[str], str] = str,
    ) -> None:
        if not speed > 0:
            raise ValueError("speed: give how many simulated seconds a second is, greater than 0")
        self._credentials = f"{user}:{password}".encode()
        self._port = port
        self._speed = speed
        self._exchange = Exchange(app, time.time_ns() // 1_000, heard_as)
        self._sessions: set[Session] = set()
        self._documents: dict[str, dict[str, Any]] = {}
        self._time: RealTime | None = None
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, and let time run. Raises OSError when the port is taken."""
        server = web.Application(middlewares=[self._guard])
        server.router.add_route("*", "/ari/events", self._events)
        server.router.add_route("*", "/ari{tail:(/.*)?}", self._rest)
        Control(self).add_to(server.router)
        self._runner = web.AppRunner(server, access_log=None, shutdown_timeout=CLOSE_S)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self._documents = documents(TABLES, f"{self.url}/ari")
        self._exchange.world.run(until=time.time_ns() // 1_000)
        self._time = RealTime(self._exchange.world, self._speed, _report)

    async def stop(self) -> None:
        """Let go of everybody; the world stands still from here on."""
        if self._time is not None:
            self._time.stop()
        self._exchange.closing = True
        for channel in self._exchange.channels.values():
            channel.wake()
        await asyncio.gather(*(session.close() for session in self._sessions))
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def url(self) -> str:
        """The address, without `/ari`: what the engine's ARI settings want as `url`."""
        return f"http://{HOST}:{self._port}"

    @property
    def world(self) -> ObservedWorld:
        """The world behind it. Change it through `act`, so that what comes of it is told in time."""
        return self._exchange.world

    def act(self, do: Callable[[], _T]) -> _T:
        """Let somebody in the world do something now; returns what `do` returns."""
        self._catch_up()
        try:
            return do()
        finally:
            self._catch_up()

    def place_call(
        self,
        number: str,
        caller: str,
        script: Sequence[Step],
        *,
        caller_name: str = "",
    ) -> Leg:
        """Let somebody call and follow a script, from the dialling on; `leg.phone` is a `LoggedCaller`."""
        phone = LoggedCaller(self.world, script)
        return self.act(lambda: phone.call(number, caller, caller_name))

    def add_phone(
        self, endpoint: str, behaviours: Sequence[Behaviour] = (SILENT,), *, registered: bool = True
    ) -> AgentPhone:
        """Put a telephone into the world, such as `PJSIP/hanako`; one that is there gets other behaviours."""
        phone = self.world.phones.get(endpoint)
        if isinstance(phone, AgentPhone):
            phone.behaviours, phone.rung = behaviours, 0
        else:
            phone = AgentPhone(self.world, endpoint, behaviours, registered=False)
        if phone.registered is not registered:
            self.act(lambda: self.world.register(endpoint, registered))
        return phone

    # Requests

    async def carry(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Answer:
        """Carry out one request of ARI; `path` is what follows `/ari/`, still quoted. Never raises."""
        self._catch_up()
        try:
            return await self._carry(method, path, query, body)
        except NotAllowed as refused:
            answer = refusal(refused)
            if method == "OPTIONS":
                return Answer(status=204, allow=refused.methods)
            return Answer(answer.content, answer.status, allow=refused.methods)
        except Refused as refused:
            return refusal(refused)
        except Exception as error:
            _report(error)
            return Answer({"message": "Internal Server Error"}, 500)

    async def _carry(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Answer:
        if path.endswith("/") and path != "/":
            raise Refused(404, f"ARI URLs do not end with a slash. Try /ari/{path.rstrip('/')}")
        segments = [unquote(each) for each in path.split("/")]
        if segments[0] == "":
            raise NotAllowed(METHODS)
        if segments[0] == "api-docs":
            return self._document(segments)
        operation, found = _ROUTES.find(method, segments)
        return await operation.handler(self._exchange, Ask(operation, found, query, body))

    def _document(self, segments: Sequence[str]) -> Answer:
        name = "/".join(segments[1:])
        document = self._documents.get(name.removesuffix(".json"))
        if document is None or not name.endswith(".json"):
            raise Refused(404, "Resource not found")
        return Answer(document)

    async def _rest(self, request: web.Request) -> web.StreamResponse:
        path = request.rel_url.raw_path.removeprefix("/ari").removeprefix("/")
        query = {name: value for name, value in request.query.items() if name != "api_key"}
        try:
            body = await _body_of(request)
            if request.content_type == "application/x-www-form-urlencoded":
                query |= {name: str(value) for name, value in (await request.post()).items()}
            answer = await self.carry(request.method, path, query, body)
        except Refused as refused:
            answer = refusal(refused)
        finally:
            if self._time is not None:
                self._time.soon()
        return await _sent(request, answer)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=("ari",), max_msg_size=MAX_FRAME_BYTES, compress=False)
        if request.method != "GET":
            return await _sent(request, refusal(NotAllowed(("OPTIONS", "GET"))))
        if not socket.can_prepare(request):
            return web.Response(status=426, reason=_UPGRADE, text=_UPGRADE)
        apps = [each for each in request.query.get("app", "").split(",") if each]
        if not apps:
            return await _sent(request, refusal(Refused(400, "Missing parameter app")))
        await socket.prepare(request)
        session = Session(request, socket, apps, self._exchange, self.carry)
        self._sessions.add(session)
        try:
            self._connect(session, apps, request.query.get("subscribeAll") == "true")
            await session.serve(self._catch_up)
        finally:
            self._exchange.apps.disconnect(session)
            self._sessions.discard(session)
            await session.close()
        return socket

    def _connect(self, session: Session, apps: list[str], everything: bool) -> None:
        self._catch_up()
        for app in apps:
            for replaced in self._exchange.apps.connect([app], session, everything):
                if replaced is not session:
                    replaced.tell(self._exchange.event("ApplicationReplaced", app, {}))

    # Inside

    @web.middleware
    async def _guard(self, request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
        if not self._may(request):
            answer = web.json_response({"message": "Authentication required"}, status=401)
            answer.headers["WWW-Authenticate"] = 'Basic realm="Asterisk REST Interface"'
            return answer
        response: web.StreamResponse = await handler(request)
        return response

    def _may(self, request: web.Request) -> bool:
        given = request.query.get("api_key", "").encode()
        kind, _, told = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "basic":
            try:
                given = base64.b64decode(told, validate=True)
            except binascii.Error:
                return False
        return hmac.compare_digest(given, self._credentials)

    def _catch_up(self) -> None:
        if self._time is not None:
            self._time.catch_up()


async def _body_of(request: web.Request) -> Any:
    """The JSON of a request, None for none. Raises `Refused` (400, 413)."""
    if request.content_type != "application/json":
        return None
    content = await request.content.read(MAX_BODY_BYTES + 1)
    while len(content) <= MAX_BODY_BYTES and not request.content.at_eof():
        content += await request.content.read(MAX_BODY_BYTES + 1)
    if len(content) > MAX_BODY_BYTES:
        raise Refused(413, "Request body too large", "Request Entity Too Large")
    if not content:
        return None
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise Refused(400, "Error parsing request body") from None


async def _sent(request: web.Request, answer: Answer) -> web.StreamResponse:
    headers = {"Server": f"Asterisk/{VERSION}", "Cache-Control": "no-cache, no-store"}
    if answer.allow:
        headers["Allow"] = answer.allow
    if answer.pieces:
        stream = web.StreamResponse(headers=headers | {"Content-Type": answer.content_type})
        stream.content_length = answer.length
        await stream.prepare(request)
        for piece in answer.pieces:
            await stream.write(piece)
        await stream.write_eof()
        return stream
    if answer.content is not None:
        headers["Content-Type"] = answer.content_type
    return web.Response(
        status=answer.status, reason=answer.reason, body=answer.text.encode() or None, headers=headers
    )


def _report(error: Exception) -> None:
    """A fault of ours, where it happened; without its text, which may hold a number."""
    where = "".join(traceback.format_tb(error.__traceback__))
    log.error("fake_ari.fault", error=type(error).__name__, stack=where)
