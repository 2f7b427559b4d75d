"""Asterisk's own book of SIP accounts, through ARI's dynamic configuration; its refusals in words that help.

Apart from `devices.py`, which decides what to write, as this is only how: one request a question, over HTTP and one
after another. On the websocket, Asterisk would serve the calls after the accounts.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, Protocol, TypeAlias

import msgspec

from flowengine.ari.device_spec import (
    DeviceError,
    DeviceNameTaken,
    DeviceRefused,
    Kind,
    NoDeviceStore,
    is_name,
)
from flowengine.ari.errors import AriRefused
from flowengine.ari.resources import Endpoint
from flowengine.ari.rest import AriResponse, Method

Attributes: TypeAlias = Mapping[str, str] | None
"""Of one object of Asterisk's; None when it is not there."""

_LANE: Final = "devices"
_OPUS_MODULES: Final = ("codec_opus_open_source.so", "codec_opus.so")


class Ari(Protocol):
    """What is needed of `AriClient`."""

    async def request(
        self,
        method: Method,
        path: str,
        query: None = None,
        body: Mapping[str, Any] | None = None,
        *,
        lane: str = "",
        over: Literal["auto", "http"] = "auto",
    ) -> AriResponse:
        """Send and wait for the answer; raises `AriError`."""


class _Attribute(msgspec.Struct, frozen=True):
    attribute: str
    value: str


class _Module(msgspec.Struct, frozen=True):
    status: str = ""


class DeviceStore:
    """Every method raises `DeviceError` for a refusal, and `AriError` without Asterisk."""

    def __init__(self, ari: Ari) -> None:
        self._ari = ari

    async def endpoints(self) -> dict[str, Attributes]:
        """All endpoints of PJSIP that could be devices, those of others too."""
        try:
            answer = await self._ask("GET", "endpoints/PJSIP")
        except AriRefused as no:
            raise _no_store("", no) from None
        names = [each.resource for each in answer.read(list[Endpoint]) if is_name(each.resource)]
        return {name: await self.get("endpoint", name) for name in names}

    async def transcodes_opus(self) -> bool:
        """Whether Asterisk can mix and record what a device sends in opus."""
        for module in _OPUS_MODULES:
            try:
                answer = await self._ask("GET", f"asterisk/modules/{module}")
            except AriRefused:
                continue
            if answer.read(_Module).status == "Running":
                return True
        return False

    async def get(self, kind: Kind, name: str) -> Attributes:
        """One object as it is."""
        try:
            answer = await self._ask("GET", _path(kind, name))
        except AriRefused as no:
            if no.status == 404:
                return None
            raise _no_store(name, no) from None
        return {each.attribute: each.value for each in answer.read(list[_Attribute])}

    async def put(self, kind: Kind, name: str, attributes: Mapping[str, str], *, is_new: bool) -> None:
        """Create or change one object. Attributes that are not given stay as they are."""
        fields = [{"attribute": each, "value": _written(each, value)} for each, value in attributes.items()]
        try:
            await self._ask("PUT", _path(kind, name), {"fields": fields})
        except AriRefused as no:
            raise _not_written(kind, name, no, is_new) from None

    async def delete(self, kind: Kind, name: str, *, is_ours: bool) -> None:
        """Remove one object; one that is not there is removed already."""
        try:
            await self._ask("DELETE", _path(kind, name))
        except AriRefused as no:
            match no.status:
                case 404:
                    return
                case 403 if not is_ours:
                    raise taken(name) from None
                case _:
                    raise DeviceRefused(
                        name,
                        f"Asterisk does not remove its {kind} ({no.status}, {no.reason}): run `module reload"
                        " res_pjsip.so` on its command line, and try again",
                    ) from None

    async def _ask(self, method: Method, path: str, body: Mapping[str, Any] | None = None) -> AriResponse:
        return await self._ari.request(method, path, None, body, lane=_LANE, over="http")


def taken(name: str) -> DeviceNameTaken:
    """The refusal to touch what is not ours."""
    return DeviceNameTaken(
        name, "Asterisk has an account of that name from elsewhere, such as pjsip.conf: take another name"
    )


def _path(kind: Kind, name: str) -> str:
    return f"asterisk/config/dynamic/res_pjsip/{kind}/{name}"


def _written(attribute: str, value: str) -> str:
    """`(ulaw|alaw)` is how Asterisk shows codecs; written so, they would be added to those that are there."""
    return "!all," + value.strip("()").replace("|", ",") if attribute == "allow" else value


def _not_written(kind: Kind, name: str, no: AriRefused, is_new: bool) -> DeviceError:
    match no.status:
        case 403 if not is_new:
            return taken(name)
        case 403 | 404 | 405 | 501:
            return _no_store(name, no)
        case _:
            return DeviceRefused(
                name,
                f"Asterisk does not take its {kind} ({no.status}, {no.reason}): its log names the setting, most"
                " often a codec that it does not know",
            )


def _no_store(name: str, no: AriRefused) -> NoDeviceStore:
    return NoDeviceStore(
        name,
        f"Asterisk keeps no accounts for the engine ({no.status}, {no.reason}): in its sorcery.conf, endpoint,"
        " auth and aor of [res_pjsip] need a second line with astdb; chan_pjsip and res_ari_asterisk have to be"
        " loaded; and the engine's user in ari.conf must not be read_only",
    )
