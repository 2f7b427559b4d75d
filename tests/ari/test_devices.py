"""Accounts that the engine writes, against a book of accounts that answers and refuses as Asterisk does."""

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from flowengine.ari.devices import (
    BadDevice,
    DeviceError,
    DeviceNameTaken,
    DeviceProvisioner,
    DeviceRefused,
    DeviceSpec,
    LineSettings,
    NoDeviceStore,
    Report,
    digest_of,
    new_secret,
)
from flowengine.ari.errors import AriError, AriRefused, AriTimeout, AriUnavailable
from flowengine.ari.rest import AriResponse, Method

DIGEST = "1f654c05cda313c8dfe0c5aa70f2a52a"
"""md5sum of aiko:asterisk:abcdefghijkl"""
ENDPOINTS = "endpoints/PJSIP"
KINDS = ("aor", "auth", "endpoint")


class Book:
    """Asterisk's book: `written` may be changed through ARI, `static` is pjsip.conf's. `fail` decides who fails."""

    def __init__(self) -> None:
        self.static = {("endpoint", "desk"): {"context": "own"}, ("aor", "hall"): {"max_contacts": "1"}}
        self.written: dict[tuple[str, str], dict[str, str]] = {}
        self.modules = {"codec_opus_open_source.so": "Running"}
        self.asked: list[str] = []
        self.how: set[tuple[str, str]] = set()
        self.fail: Callable[[str], AriError | None] = lambda asked: None

    @property
    def changes(self) -> list[str]:
        """What was asked beside questions, as `PUT aor/aiko`."""
        return [each for each in self.asked if not each.startswith("GET")]

    def hear_again(self) -> None:
        self.asked.clear()

    async def request(
        self,
        method: Method,
        path: str,
        query: None = None,
        body: Mapping[str, Any] | None = None,
        *,
        lane: str = "",
        over: str = "auto",
    ) -> AriResponse:
        await asyncio.sleep(0)
        asked = f"{method} {path.removeprefix('asterisk/config/dynamic/res_pjsip/')}"
        self.asked.append(asked)
        self.how.add((lane, over))
        if (error := self.fail(asked)) is not None:
            raise error
        return AriResponse(200, content=msgspec.json.encode(self._answer(method, path, body)))

    def _answer(self, method: Method, path: str, body: Mapping[str, Any] | None) -> object:
        if path == ENDPOINTS:
            names = [name for kind, name in {**self.static, **self.written} if kind == "endpoint"]
            return [{"technology": "PJSIP", "resource": name, "state": "offline"} for name in names]
        *_, kind, name = path.split("/")
        if kind == "modules":
            if name not in self.modules:
                raise AriRefused(404, "Module could not be found in running modules")
            return {"name": name, "status": self.modules[name]}
        key = (kind, name)
        there = self.written.get(key) or self.static.get(key)
        match method:
            case "GET" | "DELETE" if there is None:
                raise AriRefused(404, f"Object with id '{name}' not found")
            case "GET":
                pass
            case "DELETE" if key in self.static:
                raise AriRefused(403, f"Could not delete object with id '{name}'")
            case "DELETE":
                del self.written[key]
            case _ if key in self.static:
                raise AriRefused(403, f"Cannot update sorcery objects of type '{kind}'")
            case _:
                assert body is not None
                there = {**(there or {}), **self._read(body)}
                self.written[key] = there
        return [{"attribute": each, "value": value} for each, value in (there or {}).items()]

    @staticmethod
    def _read(body: Mapping[str, Any]) -> dict[str, str]:
        given = {each["attribute"]: each["value"] for each in body["fields"]}
        if "allow" in given:
            assert given["allow"].startswith("!all,"), "codecs would be added to those that are there"
            given["allow"] = f"({'|'.join(given['allow'].split(',')[1:])})"
        return given


def device(name: str = "aiko", digest: str = DIGEST, **settings: Any) -> DeviceSpec:
    return DeviceSpec(name=name, digest=digest, **settings)


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
def devices(book: Book) -> DeviceProvisioner:
    return DeviceProvisioner(book)


# What an account may be


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"name": ""}, "name"),
        ({"name": "a" * 65}, "name"),
        ({"name": ".."}, "name"),
        ({"name": "."}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": "a;b"}, "name"),
        ({"name": "a,b"}, "name"),
        ({"name": "a&b"}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "aiko\n"}, "name"),
        ({"name": "あ"}, "name"),
        ({"digest": "secret"}, "digest"),
        ({"digest": DIGEST.upper()}, "digest"),
        ({"digest": DIGEST + "\n"}, "digest"),
        ({"kind": "fax"}, "kind"),
        ({"max_contacts": 0}, "phones"),
        ({"max_contacts": 11}, "phones"),
        ({"caller_number": "0312345678"}, "caller number"),
        ({"caller_number": "+81312345678>"}, "caller number"),
        ({"caller_number": "+" + "1" * 16}, "caller number"),
        ({"caller_name": 'A" <+1>'}, "caller name"),
        ({"caller_name": "A\r\nX: y"}, "caller name"),
        ({"caller_name": "a;b"}, "caller name"),
        ({"caller_name": " A"}, "caller name"),
        ({"caller_name": "x" * 65}, "caller name"),
        ({"codecs": ("ulaw,all",)}, "codecs"),
        ({"codecs": ("g729",)}, "codecs"),
        ({"codecs": ("ulaw", "ulaw")}, "codecs"),
    ],
)
def test_what_no_account_can_be(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(BadDevice, match=f"its {problem}|1 to 10 {problem}") as bad:
        device(**{"name": "aiko", **settings})
    assert bad.value.device == settings.get("name", "aiko")
    assert settings.get("digest", "none") not in str(bad.value)


@pytest.mark.parametrize("name", ["a", "a" * 64, "Aiko_2.desk-1", "..a", "-", "_"])
def test_names_that_can_be(name: str) -> None:
    assert device(name).endpoint == f"PJSIP/{name}"


@given(st.text(max_size=70))
def test_no_text_breaks_out_of_a_name_or_a_caller_id(text: str) -> None:
    for settings in ({"name": text}, {"caller_name": text}, {"caller_number": text}):
        try:
            spec = device(**{"name": "aiko", **settings})
        except BadDevice:
            continue
        assert re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", spec.name)
        assert not set(spec.name) <= {"."}
        shown = f'"{spec.caller_name}" <{spec.caller_number}>'
        assert re.fullmatch(r'"[^"<>\\;\x00-\x1f\x7f]{0,64}" <(\+[0-9]{2,15})?>', shown)


@pytest.mark.parametrize(
    "settings",
    [
        {"sip_transport": "a b"},
        {"browser_transport": ""},
        {"context": "from-phone\n"},
        {"language": "en;de"},
        {"media_address": "example.com"},
        {"shortest_registration_s": 0},
        {"shortest_registration_s": 700},
        {"longest_registration_s": 86_401},
        {"check_every_s": -1},
    ],
)
def test_what_no_line_can_be(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="line"):
        LineSettings(**settings)


# Secrets


def test_secrets_are_long_random_and_easy_to_type() -> None:
    made = {new_secret() for _ in range(200)}
    assert len(made) == 200
    assert all(re.fullmatch("[a-kmnp-z2-9]{24}", secret) for secret in made)
    assert len(set("".join(made))) == 32


def test_the_digest_is_that_of_the_standard() -> None:
    assert digest_of("aiko", "abcdefghijkl") == DIGEST
    assert digest_of("aiko2", "abcdefghijkl") != DIGEST


@pytest.mark.parametrize("secret", ["", "short", "with a space in it", "パスワードパスワードパス", "x" * 129])
def test_secrets_that_phones_or_people_get_wrong(secret: str) -> None:
    with pytest.raises(BadDevice, match="new_secret") as bad:
        digest_of("aiko", secret)
    assert not secret or secret not in str(bad.value)


async def test_a_digest_is_in_no_text_that_is_shown(book: Book, devices: DeviceProvisioner) -> None:
    assert DIGEST not in repr(device()) + str(device())
    with structlog.testing.capture_logs() as logs:
        await devices.reconcile([device()])
        book.fail = lambda asked: AriRefused(400, "no") if asked.startswith("PUT") else None
        with pytest.raises(DeviceRefused) as refused:
            await devices.provision(device(max_contacts=2))
    assert DIGEST not in str(logs) + str(refused.value) + repr(refused.value)
    assert logs == [
        {
            "event": "devices reconciled",
            "log_level": "info",
            "created": 1,
            "updated": 0,
            "removed": 0,
            "unchanged": 0,
            "refused": 0,
        }
    ]


# What is asked of Asterisk


async def test_an_account_is_three_objects_the_endpoint_last(book: Book, devices: DeviceProvisioner) -> None:
    await devices.provision(device())
    assert book.changes == ["PUT aor/aiko", "PUT auth/aiko", "PUT endpoint/aiko"]
    assert book.how == {("devices", "http")}
    assert book.written["auth", "aiko"] == {
        "auth_type": "md5",
        "username": "aiko",
        "realm": "asterisk",
        "md5_cred": DIGEST,
    }
    endpoint = book.written["endpoint", "aiko"]
    assert endpoint["allow"] == "(ulaw|alaw)"
    assert endpoint["callerid"] == '"aiko" <aiko>'
    assert endpoint["aors"] == endpoint["auth"] == "aiko"
    assert endpoint["context"] == "from-phone"


async def test_the_same_twice_is_only_looked_at(book: Book, devices: DeviceProvisioner) -> None:
    await devices.provision(device(caller_number="+81300000001", caller_name="相子"))
    assert book.written["endpoint", "aiko"]["callerid"] == '"相子" <+81300000001>'
    book.hear_again()
    await devices.provision(device(caller_number="+81300000001", caller_name="相子"))
    assert book.changes == []


@pytest.mark.parametrize(
    ("change", "asked"),
    [
        ({"max_contacts": 2}, ["PUT aor/aiko"]),
        ({"codecs": ("g722", "ulaw")}, ["PUT endpoint/aiko"]),
        ({"caller_name": "Aiko"}, ["PUT endpoint/aiko"]),
        ({"digest": "0" * 32}, ["DELETE aor/aiko", "PUT aor/aiko", "PUT auth/aiko"]),
        ({"kind": "browser"}, [f"{how} {kind}/aiko" for how in ("DELETE", "PUT") for kind in KINDS]),
    ],
)
async def test_only_what_differs_is_written(
    book: Book, devices: DeviceProvisioner, change: dict[str, Any], asked: list[str]
) -> None:
    await devices.provision(device())
    book.hear_again()
    assert await devices.reconcile([device(**change)]) == Report(updated=("aiko",))
    assert book.changes == asked
    assert await devices.reconcile([device(**change)]) == Report(unchanged=("aiko",))


async def test_settings_that_somebody_else_changed_are_put_right(
    book: Book, devices: DeviceProvisioner
) -> None:
    await devices.provision(device())
    book.written["endpoint", "aiko"]["context"] = "anywhere"
    assert await devices.reconcile([device()]) == Report(updated=("aiko",))
    assert book.written["endpoint", "aiko"]["context"] == "from-phone"


async def test_many_are_written_kind_by_kind(book: Book, devices: DeviceProvisioner) -> None:
    await devices.reconcile([device("a"), device("b")])
    assert book.changes == [f"PUT {kind}/{name}" for kind in KINDS for name in "ab"]
    book.hear_again()
    await devices.reconcile([])
    assert book.changes == [f"DELETE {kind}/{name}" for name in "ab" for kind in KINDS]
    assert book.written == {}


@pytest.mark.parametrize(
    ("modules", "codecs"),
    [
        ({"codec_opus_open_source.so": "Running"}, "(opus|ulaw|alaw)"),
        ({"codec_opus.so": "Running"}, "(opus|ulaw|alaw)"),
        ({"codec_opus.so": "Not Running"}, "(ulaw|alaw)"),
        ({}, "(ulaw|alaw)"),
    ],
)
async def test_browsers_speak_opus_where_asterisk_can(
    book: Book, devices: DeviceProvisioner, modules: dict[str, str], codecs: str
) -> None:
    book.modules = modules
    await devices.provision(device(kind="browser"))
    assert book.written["endpoint", "aiko"]["allow"] == codecs
    assert book.written["endpoint", "aiko"]["webrtc"] == "yes"
    assert book.written["endpoint", "aiko"]["transport"] == "transport-ws"


async def test_opus_by_name_needs_an_asterisk_that_can(book: Book, devices: DeviceProvisioner) -> None:
    book.modules = {}
    with pytest.raises(DeviceRefused, match=r"'aiko'.*opus.*codec_opus"):
        await devices.provision(device(codecs=("opus",)))
    assert book.written == {}


# What is not ours


async def test_accounts_of_others_are_left_alone(book: Book, devices: DeviceProvisioner) -> None:
    book.written["endpoint", "by-hand"] = {"context": "own"}
    for name in ("desk", "by-hand"):
        with pytest.raises(DeviceNameTaken, match=f"'{name}'.*another name"):
            await devices.provision(device(name))
        with pytest.raises(DeviceNameTaken, match=f"'{name}'"):
            await devices.remove(name)
    report = await devices.reconcile([device("desk")])
    assert [type(each) for each in report.refused] == [DeviceNameTaken]
    assert await devices.reconcile([]) == Report()
    assert await devices.list_provisioned() == ()
    assert book.changes == []


async def test_a_part_of_pjsip_conf_keeps_its_name(book: Book, devices: DeviceProvisioner) -> None:
    with pytest.raises(DeviceNameTaken, match="'hall'"):
        await devices.provision(device("hall"))
    with pytest.raises(DeviceNameTaken, match="'hall'"):
        await devices.remove("hall")
    assert book.written == {}


async def test_removing_takes_leftovers_and_what_is_gone(book: Book, devices: DeviceProvisioner) -> None:
    await devices.remove("aiko")
    await devices.provision(device())
    del book.written["endpoint", "aiko"]
    await devices.remove("aiko")
    assert book.written == {}
    with pytest.raises(BadDevice):
        await devices.remove("../trunk")


# Refusals


@pytest.mark.parametrize(
    ("asked", "status", "kind", "mend"),
    [
        ("PUT auth/aiko", 400, DeviceRefused, "its auth"),
        ("PUT endpoint/aiko", 409, DeviceRefused, "its endpoint"),
        ("PUT endpoint/aiko", 500, DeviceRefused, "its endpoint"),
        ("PUT aor/aiko", 403, NoDeviceStore, "sorcery.conf"),
        ("PUT aor/aiko", 404, NoDeviceStore, "res_ari_asterisk"),
        ("GET auth/aiko", 403, NoDeviceStore, "ari.conf"),
    ],
)
async def test_what_asterisk_refuses_says_how_to_mend_it(
    book: Book, devices: DeviceProvisioner, asked: str, status: int, kind: type[DeviceError], mend: str
) -> None:
    book.fail = lambda each: AriRefused(status, "its own words") if each == asked else None
    with pytest.raises(
        kind, match=f"'aiko'.*{status}, its own words.*{mend}|'aiko'.*{mend}.*{status}, its own"
    ):
        await devices.provision(device())


async def test_an_asterisk_without_pjsip_is_said_to_be_so(book: Book, devices: DeviceProvisioner) -> None:
    book.fail = lambda each: AriRefused(404, "invalid tech PJSIP") if ENDPOINTS in each else None
    with pytest.raises(NoDeviceStore, match=r"^Asterisk keeps no accounts.*chan_pjsip"):
        await devices.reconcile([device()])


@pytest.mark.parametrize("kind", KINDS)
async def test_one_that_is_refused_stops_nobody(book: Book, devices: DeviceProvisioner, kind: str) -> None:
    book.fail = lambda each: AriRefused(400, "no") if each == f"PUT {kind}/b" else None
    report = await devices.reconcile([device("a"), device("b"), device("c")])
    assert report.created == ("a", "c")
    assert [error.device for error in report.refused] == ["b"]
    book.fail = lambda each: AriRefused(500, "no") if each == "DELETE auth/a" else None
    report = await devices.reconcile([device("b"), device("c")])
    assert (report.created, report.unchanged) == (("b",), ("c",))
    assert [str(error) for error in report.refused] == [
        "device 'a': Asterisk does not remove its auth (500, no): run `module reload res_pjsip.so` on its"
        " command line, and try again"
    ]


async def test_a_name_can_be_wanted_once(book: Book, devices: DeviceProvisioner) -> None:
    with pytest.raises(BadDevice, match=r"'aiko'.*twice"):
        await devices.reconcile([device(), device("ben"), device(max_contacts=2)])
    assert book.asked == []


async def test_asterisk_may_not_let_go_of_what_is_ours(book: Book, devices: DeviceProvisioner) -> None:
    await devices.provision(device())
    book.fail = lambda each: AriRefused(403, "Could not delete") if each.startswith("DELETE") else None
    for refused in (devices.remove("aiko"), devices.provision(device(digest="0" * 32))):
        with pytest.raises(DeviceRefused, match="does not remove its aor"):
            await refused


# Interruptions


@pytest.mark.parametrize("error", [AriUnavailable("lost"), AriTimeout("late")])
@pytest.mark.parametrize("step", range(27))
async def test_whatever_was_interrupted_is_put_right_by_the_next(
    book: Book, devices: DeviceProvisioner, error: AriError, step: int
) -> None:
    wanted = [device("a", digest="0" * 32), device("b", kind="browser"), device("d")]
    await devices.reconcile([device("a"), device("b"), device("c")])
    book.hear_again()
    book.fail = lambda _: error if len(book.asked) > step else None
    with pytest.raises(type(error)):
        await devices.reconcile(wanted)
    book.fail = lambda _: None
    await devices.reconcile(wanted)
    assert {name for _, name in book.written} == {"a", "b", "d"}
    assert await devices.reconcile(wanted) == Report(unchanged=("a", "b", "d"))


_SPECS = st.dictionaries(
    st.sampled_from(["a", "b", "c", "desk"]),
    st.fixed_dictionaries(
        {
            "digest": st.sampled_from(["0" * 32, "1" * 32]),
            "kind": st.sampled_from(["sip", "browser"]),
            "max_contacts": st.integers(1, 3),
            "codecs": st.sampled_from([(), ("alaw",), ("opus", "ulaw")]),
        }
    ),
)


@given(st.lists(_SPECS, max_size=5))
def test_whatever_was_there_before_the_wanted_is_what_comes_out(
    history: list[dict[str, dict[str, Any]]],
) -> None:
    async def live() -> None:
        book, fresh = Book(), Book()
        for wanted in history:
            specs = [device(name, **settings) for name, settings in wanted.items()]
            await DeviceProvisioner(book).reconcile(specs)
            fresh = Book()
            await DeviceProvisioner(fresh).reconcile(specs)
        assert book.written == fresh.written
        assert book.static == Book().static

    asyncio.run(live())


async def test_a_device_made_while_all_are_reconciled_stays(book: Book, devices: DeviceProvisioner) -> None:
    stored = [device("a")]

    async def read() -> list[DeviceSpec]:
        found = list(stored)
        for _ in range(20):  # a database takes its time
            await asyncio.sleep(0)
        return found

    reconciling = asyncio.create_task(devices.reconcile(read))
    await asyncio.sleep(0)
    stored.append(device("b"))
    await asyncio.gather(reconciling, devices.provision(device("b")))
    assert await devices.list_provisioned() == ("a", "b")
