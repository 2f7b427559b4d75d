"""Users' SIP accounts, written into Asterisk through ARI: nobody edits pjsip.conf.

`reconcile` runs at every connect: an Asterisk that lost its database gets all accounts back, one that has them
hears only questions. What this engine did not make is never touched. Where the connection is lost, `AriUnavailable`
or `AriTimeout` is raised, and the next `reconcile` puts things right: every step may be repeated.

Around it: `device_spec.py` (what an account is, and the tree of failures), `device_store.py` (how it is written).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TypeAlias

import structlog

from flowengine.ari.device_spec import (
    KINDS,
    MARK,
    BadDevice,
    DeviceError,
    DeviceNameTaken,
    DeviceRefused,
    DeviceSpec,
    Kind,
    LineSettings,
    NoDeviceStore,
    Objects,
    check_name,
    digest_of,
    new_secret,
    objects_of,
)
from flowengine.ari.device_store import Ari, Attributes, DeviceStore, taken

__all__ = [
    "BadDevice",
    "DeviceError",
    "DeviceNameTaken",
    "DeviceProvisioner",
    "DeviceRefused",
    "DeviceSpec",
    "LineSettings",
    "NoDeviceStore",
    "Report",
    "digest_of",
    "new_secret",
]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Report:
    """What `reconcile` did, by names of devices; `refused` says why others could not be as wanted."""

    created: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    refused: tuple[DeviceError, ...] = ()


Wanted: TypeAlias = Sequence[DeviceSpec] | Callable[[], Awaitable[Sequence[DeviceSpec]]]


@dataclass(frozen=True, slots=True)
class _Work:
    """One device: the objects it has to become, and those which are there."""

    name: str
    goal: Objects
    found: Mapping[Kind, Attributes]

    @property
    def is_new(self) -> bool:
        return self.found["endpoint"] is None

    @property
    def is_done(self) -> bool:
        return all(self.agrees(kind, *self.goal[kind]) for kind in KINDS)

    @property
    def stale(self) -> tuple[Kind, ...]:
        """What has to go first, as changing it would not do."""
        if self.found["endpoint"] is not None and not self.agrees("endpoint", "webrtc"):
            # `webrtc` leaves a dozen settings behind, and what registered is another kind of phone.
            return KINDS
        if self.found["auth"] is not None and not self.agrees("auth", "md5_cred"):
            # With its registrations: who knew the old secret must get no more calls.
            return ("aor",)
        return ()

    def agrees(self, kind: Kind, *attributes: str) -> bool:
        """Whether these attributes are there as they should be."""
        found = self.found[kind] or {}
        return all(found.get(each) == self.goal[kind][each] for each in attributes)


class DeviceProvisioner:
    """The accounts on one Asterisk; `line` is what they share there."""

    def __init__(self, ari: Ari, line: LineSettings | None = None) -> None:
        self._store = DeviceStore(ari)
        self._line = line or LineSettings()
        self._turn = asyncio.Lock()

    async def provision(self, device: DeviceSpec) -> None:
        """Make the account, or make it what it should be; one that is so already is not touched.

        A new secret, or a change between phone and browser, ends the registrations made so far. Calls go on.
        Raises `DeviceError`, and `AriError` without Asterisk.
        """
        async with self._turn:
            there = await self._store.get("endpoint", device.name)
            report = await self._make([device], {device.name: there})
        if report.refused:
            raise report.refused[0]

    async def remove(self, name: str) -> None:
        """End the account and its registrations; its calls go on. One that is not there is removed already.

        Raises `DeviceError`, as for an account that is not the engine's, and `AriError` without Asterisk.
        """
        check_name(name)
        async with self._turn:
            await self._remove(name, await self._store.get("endpoint", name))

    async def list_provisioned(self) -> tuple[str, ...]:
        """The names of all accounts the engine made, sorted. Raises `DeviceError`, `AriError`."""
        async with self._turn:
            return _ours(await self._store.endpoints())

    async def reconcile(self, wanted: Wanted) -> Report:
        """Make Asterisk's accounts those `wanted`: make what is missing, change what differs, remove the rest.

        An account which cannot be is in the report, and stops nobody else. Where accounts may change meanwhile,
        give `wanted` as a function that reads them: it is called when no `provision` or `remove` is under way,
        so that none of these is undone. Raises `BadDevice` if a name is wanted twice, `NoDeviceStore`, and
        `AriError` without Asterisk.
        """
        async with self._turn:
            devices = await wanted() if callable(wanted) else wanted
            names = _each_once(devices)
            endpoints = await self._store.endpoints()
            removed, refused = [], []
            for name in _ours(endpoints):
                if name not in names:
                    try:
                        await self._remove(name, endpoints[name])
                        removed.append(name)
                    except (DeviceNameTaken, DeviceRefused) as error:
                        refused.append(error)
            made = await self._make(devices, endpoints)
        report = replace(made, removed=tuple(removed), refused=(*refused, *made.refused))
        log.info(
            "devices reconciled", **{each.name: len(getattr(report, each.name)) for each in fields(report)}
        )
        return report

    async def _make(self, devices: Sequence[DeviceSpec], endpoints: Mapping[str, Attributes]) -> Report:
        opus = any(map(_asks_for_opus, devices)) and await self._store.transcodes_opus()
        refused: dict[str, DeviceError] = {}
        work: list[_Work] = []
        for device in devices:
            try:
                work.append(await self._look(device, endpoints.get(device.name), opus))
            except (DeviceNameTaken, DeviceRefused) as error:
                refused[device.name] = error
        to_do = [each for each in work if not each.is_done]
        # Kind by kind and not device by device: for each aor Asterisk goes through all endpoints it has.
        steps: list[Callable[[_Work], Awaitable[None]]] = [self._clear]
        steps += [partial(self._write, kind) for kind in KINDS]
        for step in steps:
            for each in to_do:
                if each.name not in refused:
                    try:
                        await step(each)
                    except (DeviceNameTaken, DeviceRefused) as error:
                        refused[each.name] = error
        made = [each for each in to_do if each.name not in refused]
        return Report(
            created=tuple(each.name for each in made if each.is_new),
            updated=tuple(each.name for each in made if not each.is_new),
            unchanged=tuple(each.name for each in work if each.is_done),
            refused=tuple(refused.values()),
        )

    async def _look(self, device: DeviceSpec, endpoint: Attributes, opus: bool) -> _Work:
        _check_ours(device.name, endpoint)
        if "opus" in device.codecs and not opus:
            raise DeviceRefused(
                device.name, "this Asterisk cannot transcode opus: take it out, or load codec_opus.so there"
            )
        found: dict[Kind, Attributes] = {
            "aor": await self._store.get("aor", device.name),
            "auth": await self._store.get("auth", device.name),
            "endpoint": endpoint,
        }
        return _Work(device.name, objects_of(device, self._line, opus=opus), found)

    async def _clear(self, work: _Work) -> None:
        for kind in work.stale:
            await self._store.delete(kind, work.name, is_ours=not work.is_new)

    async def _write(self, kind: Kind, work: _Work) -> None:
        is_new = work.found[kind] is None or kind in work.stale
        if is_new or not work.agrees(kind, *work.goal[kind]):
            await self._store.put(kind, work.name, work.goal[kind], is_new=is_new)

    async def _remove(self, name: str, endpoint: Attributes) -> None:
        _check_ours(name, endpoint)
        for kind in KINDS:
            await self._store.delete(kind, name, is_ours=endpoint is not None)


def _ours(endpoints: Mapping[str, Attributes]) -> tuple[str, ...]:
    return tuple(sorted(name for name, found in endpoints.items() if found is not None and MARK in found))


def _check_ours(name: str, endpoint: Attributes) -> None:
    if endpoint is not None and MARK not in endpoint:
        raise taken(name)


def _each_once(devices: Sequence[DeviceSpec]) -> set[str]:
    names: set[str] = set()
    for device in devices:
        if device.name in names:
            raise BadDevice(device.name, "it is wanted twice: rename one, or leave one out")
        names.add(device.name)
    return names


def _asks_for_opus(device: DeviceSpec) -> bool:
    return "opus" in device.codecs or (device.kind == "browser" and not device.codecs)
