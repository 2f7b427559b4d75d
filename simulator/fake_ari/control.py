"""The control side, beside ARI: let people call and telephones be there, over HTTP, for a terminal or a demo.

POST   /sim/calls            {"to", "from", "name", "script"}      somebody calls
GET    /sim/calls            all calls          GET /sim/calls/ID  what one heard, how it ended
POST   /sim/calls/ID/steps   {"script"}         more steps for a call, done from now on
DELETE /sim/calls/ID                            the caller hangs up
POST   /sim/phones           {"endpoint", "behaviour" or "behaviours", "registered"}
GET    /sim/phones           all telephones
"""

import json
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from simulator.fake_ari.script import BadScript, LoggedCaller, behaviour_of, steps_of, text
from simulator.phones import SILENT, AgentPhone
from simulator.sounds import spoken_text

if TYPE_CHECKING:
    from simulator.fake_ari.server import FakeAri

MOST_CALLS: Final = 1_000
"""Calls that are remembered; the oldest is forgotten first."""
MAX_BODY_BYTES: Final = 256 * 1024
ANONYMOUS: Final = "anonymous"


class Control:
    """The handlers under `/sim`."""

    def __init__(self, ari: "FakeAri") -> None:
        self._ari = ari
        self._calls: OrderedDict[str, LoggedCaller] = OrderedDict()

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Put the addresses into a server."""
        router.add_post("/sim/calls", self._call)
        router.add_get("/sim/calls", self._list)
        router.add_get("/sim/calls/{id}", self._show)
        router.add_delete("/sim/calls/{id}", self._hang_up)
        router.add_post("/sim/calls/{id}/steps", self._more)
        router.add_post("/sim/phones", self._phone)
        router.add_get("/sim/phones", self._phones)

    async def _call(self, request: web.Request) -> web.Response:
        try:
            asked = await _asked(request, {"to", "from", "name", "script"})
            to = text("to", asked.get("to"))
            caller = text("from", asked.get("from", ANONYMOUS))
            name = asked.get("name", "")
            if not isinstance(name, str):
                raise BadScript("name: give a text")
            steps = steps_of(asked.get("script", []))
        except BadScript as bad:
            return _bad(bad)
        leg = self._ari.place_call(to, caller, steps, caller_name=name)
        assert isinstance(leg.phone, LoggedCaller)
        self._calls[leg.id] = leg.phone
        while len(self._calls) > MOST_CALLS:
            self._calls.popitem(last=False)
        return web.json_response(_shown(leg.id, leg.phone), status=201)

    async def _list(self, _: web.Request) -> web.Response:
        return web.json_response([_shown(id, caller) for id, caller in self._calls.items()])

    async def _show(self, request: web.Request) -> web.Response:
        caller = self._find(request)
        return web.json_response(_shown(request.match_info["id"], caller)) if caller else _missing()

    async def _hang_up(self, request: web.Request) -> web.Response:
        caller = self._find(request)
        if caller is None:
            return _missing()
        self._ari.act(lambda: self._ari.world.leave(caller.leg))
        return web.Response(status=204)

    async def _more(self, request: web.Request) -> web.Response:
        caller = self._find(request)
        if caller is None:
            return _missing()
        try:
            steps = steps_of((await _asked(request, {"script"})).get("script"))
        except BadScript as bad:
            return _bad(bad)
        self._ari.act(lambda: caller.go_on_with(steps))
        return web.json_response(_shown(request.match_info["id"], caller))

    async def _phone(self, request: web.Request) -> web.Response:
        try:
            asked = await _asked(request, {"endpoint", "behaviour", "behaviours", "registered"})
            endpoint = text("endpoint", asked.get("endpoint"))
            technology, _, resource = endpoint.partition("/")
            if technology != "PJSIP" or not resource or endpoint == "PJSIP/trunk":
                raise BadScript("endpoint: give PJSIP/NAME; the trunk is taken")
            registered = asked.get("registered", True)
            if not isinstance(registered, bool):
                raise BadScript("registered: give true or false")
            given = asked.get("behaviours", [asked["behaviour"]] if "behaviour" in asked else [])
            if not isinstance(given, list):
                raise BadScript(
                    "behaviours: give a list, one for each ringing; the last is for all further ones"
                )
            behaviours = [behaviour_of(each) for each in given] or [SILENT]
        except BadScript as bad:
            return _bad(bad)
        self._ari.add_phone(endpoint, behaviours, registered=registered)
        return web.json_response(self._telephone(endpoint), status=201)

    async def _phones(self, _: web.Request) -> web.Response:
        return web.json_response([self._telephone(endpoint) for endpoint in self._ari.world.phones])

    def _telephone(self, endpoint: str) -> dict[str, Any]:
        phone = self._ari.world.phones[endpoint]
        shown: dict[str, Any] = {"endpoint": endpoint, "registered": phone.registered}
        if isinstance(phone, AgentPhone):
            shown |= {"rung": phone.rung, "on_call": phone.leg is not None and phone.leg.up}
        return shown

    def _find(self, request: web.Request) -> LoggedCaller | None:
        return self._calls.get(request.match_info["id"])


def _shown(id: str, caller: LoggedCaller) -> dict[str, Any]:
    state = "over" if caller.cause is not None else "up" if caller.leg.up else "ringing"
    return {
        "id": id,
        "to": caller.leg.number,
        "from": caller.leg.caller,
        "state": state,
        "heard": [spoken_text(sound) for sound in caller.sounds],
        "hearing": None if caller.hearing is None else spoken_text(caller.hearing),
        "cause": caller.cause,
        "ended_by": None if caller.cause is None else "caller" if caller.hung_up_first else "switch",
        "log": [
            {"at_s": round(line.at_s, 3), "what": line.what}
            | ({"sound": spoken_text(line.sound)} if line.sound else {})
            for line in caller.log
        ],
    }


async def _asked(request: web.Request, known: set[str]) -> dict[str, Any]:
    """The object in the body. Raises `BadScript`."""
    content = await request.content.read(MAX_BODY_BYTES)
    if not request.content.at_eof():
        raise BadScript(f"the body is longer than {MAX_BODY_BYTES} bytes")
    try:
        asked = json.loads(content)
    except (ValueError, RecursionError):
        raise BadScript("the body is no JSON") from None
    if not isinstance(asked, dict):
        raise BadScript(f"give an object with {', '.join(sorted(known))}")
    for name in asked:
        if name not in known:
            raise BadScript(f"there is no {name[:40]!r}: use {', '.join(sorted(known))}")
    return asked


def _bad(bad: BadScript) -> web.Response:
    return web.json_response({"message": str(bad)}, status=400)


def _missing() -> web.Response:
    return web.json_response({"message": "there is no such call, or it is too long ago"}, status=404)
