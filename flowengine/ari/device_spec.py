"""A user's SIP account as data: what is wanted, whether it can be, and the objects of Asterisk it becomes.

Pure, apart from drawing a secret. `devices.py` carries it to Asterisk.

Failures:

    DeviceError           names the device and the mend
      BadDevice           the account itself cannot be; Asterisk was not asked
      DeviceNameTaken     an account of that name is there already, and is not the engine's
      DeviceRefused       Asterisk does not take one of its settings
      NoDeviceStore       this Asterisk has no place into which accounts can be written

Asterisk keeps the MD5 digest of name, realm and secret (`auth_type=md5`), and so does the engine: nobody can read
the secret again. The digest lets its holder register (RFC 2617, section 4.13), so it is kept as carefully: out of
logs, `repr` and messages. MD5 because desk phones know no other; a secret of 120 random bits cannot be guessed
back from it.
"""

import hashlib
import ipaddress
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from flowengine.ari.names import display_name

REALM: Final = "asterisk"
"""Part of every digest. Asterisk's own default, which it also shows to names it does not know: with another realm
a stranger could tell from the challenge which accounts exist."""
MARK: Final = "@flowengine"
"""Asterisk keeps attributes with `@` and leaves them alone: by this one the engine knows what it made."""
CODECS: Final = ("ulaw", "alaw", "g722", "gsm", "opus")
MAX_CONTACTS: Final = 10
SHORTEST_SECRET: Final = 12

Kind: TypeAlias = Literal["aor", "auth", "endpoint"]
KINDS: Final[tuple[Kind, ...]] = ("aor", "auth", "endpoint")
"""The order in which they are made, as an endpoint names the other two; also that in which they are removed: while
the endpoint is there, Asterisk still tells that the device went out of reach, and an interrupted removal is seen."""
Objects: TypeAlias = Mapping[Kind, Mapping[str, str]]
"""The attributes of the three objects, each in the form in which Asterisk gives it back."""

_NAME: Final = re.compile(r"(?!\.+$)[A-Za-z0-9_.-]{1,64}")  # in the path of a request, dots alone would climb
_E164: Final = re.compile(r"\+[1-9][0-9]{1,14}")
_DIGEST: Final = re.compile(r"[0-9a-f]{32}")
_SECRET: Final = re.compile(rf"[!-~]{{{SHORTEST_SECRET},128}}")
_WORD: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LETTERS: Final = "abcdefghijkmnpqrstuvwxyz23456789"  # 32; without l, o, 0, 1, as people type it into phones
_SECRET_LETTERS: Final = 24


class DeviceError(Exception):
    """A SIP account cannot be as wanted. `device` is its name, or empty where none can be."""

    def __init__(self, device: str, problem: str) -> None:
        super().__init__(f"device {device[:64]!r}: {problem}" if device else problem)
        self.device = device


class BadDevice(DeviceError):
    """The account itself cannot be."""


class DeviceNameTaken(DeviceError):
    """The name belongs to an account that the engine did not make, as in pjsip.conf; it is left alone."""


class DeviceRefused(DeviceError):
    """Asterisk does not take a setting of the account."""


class NoDeviceStore(DeviceError):
    """Asterisk has no place into which accounts can be written, or does not let us write."""


def new_secret() -> str:
    """A secret for one device, of 120 random bits: shown once to the user, and not kept."""
    return "".join(secrets.choice(_LETTERS) for _ in range(_SECRET_LETTERS))


def digest_of(name: str, secret: str) -> str:
    """What is kept of a secret. Raises `BadDevice` for a secret that phones or people would get wrong."""
    check_name(name)
    if not _SECRET.fullmatch(secret):
        raise BadDevice(
            name,
            f"its secret has to be {SHORTEST_SECRET} to 128 printable ASCII characters without a space:"
            " take one of `new_secret()`",
        )
    return hashlib.md5(f"{name}:{REALM}:{secret}".encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSpec:
    """One SIP account: a telephone of a user, dialled as `PJSIP/name`.

    Raises `BadDevice`.

    Attributes:
        name: what the phone registers as; 1 to 64 of A-Z a-z 0-9 _ . -
        digest: of `digest_of`; never shown.
        kind: a SIP phone, or a browser over the websocket `/ws` of Asterisk's HTTP server.
        max_contacts: how many phones may be registered at once. A further one puts the oldest out. **Asterisk
            rings only one of them**: two phones that shall ring together are two devices.
        caller_number: shown when the device calls: E.164 with `+`; empty shows none.
        caller_name: shown with it; empty shows the device's name.
        codecs: in order of preference; empty for ulaw and alaw, to which a browser prefers opus where Asterisk
            can transcode it.
    """

    name: str
    digest: str = field(repr=False)
    kind: Literal["sip", "browser"] = "sip"
    max_contacts: int = 1
    caller_number: str = ""
    caller_name: str = ""
    codecs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse, by name, whatever could break out of its place or that Asterisk could not take."""
        check_name(self.name)
        if not _DIGEST.fullmatch(self.digest):
            raise BadDevice(self.name, "its digest has to be of `digest_of`: 32 hexadecimal digits")
        if self.kind not in {"sip", "browser"}:
            raise BadDevice(self.name, 'its kind has to be "sip" or "browser"')
        if not 1 <= self.max_contacts <= MAX_CONTACTS:
            raise BadDevice(self.name, f"1 to {MAX_CONTACTS} phones may register with it")
        if self.caller_number and not _E164.fullmatch(self.caller_number):
            raise BadDevice(self.name, "its caller number has to be in E.164, such as +81312345678, or empty")
        if display_name(self.caller_name) != self.caller_name or set(self.caller_name) & set('"<>\\;'):
            raise BadDevice(
                self.name,
                'its caller name has to be one line of at most 64 characters without " < > \\ ; and'
                " without spaces around it",
            )
        if len(set(self.codecs)) < len(self.codecs) or not set(self.codecs) <= set(CODECS):
            raise BadDevice(self.name, f"its codecs have to be some of {', '.join(CODECS)}, each once")

    @property
    def endpoint(self) -> str:
        """How the switch dials it."""
        return f"PJSIP/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSettings:
    """What all devices of one Asterisk share; the names are those of its pjsip.conf and extensions.conf.

    Attributes:
        sip_transport, browser_transport: sections of type `transport`.
        context: where calls from devices enter the dialplan.
        media_address: the address of Asterisk for RTP where it is not the one the calls come to; or empty.
        language: of Asterisk's own sounds and tones.
        shortest_registration_s, longest_registration_s: what a phone may ask for.
        check_every_s: how often a registered phone is asked whether it is there (OPTIONS): the longest time for
            which one that lost its network counts as in reach. A phone that never answers is never in reach;
            0 asks nobody.
    """

    sip_transport: str = "transport-udp"
    browser_transport: str = "transport-ws"
    context: str = "from-phone"
    media_address: str = ""
    language: str = "en"
    shortest_registration_s: int = 60
    longest_registration_s: int = 600
    check_every_s: int = 30

    def __post_init__(self) -> None:
        """Refuse, by name, what Asterisk would take and fail with later."""
        for what in ("sip_transport", "browser_transport", "context", "language"):
            if not _WORD.fullmatch(getattr(self, what)):
                raise ValueError(f"line {what}: use 1 to 64 of A-Z a-z 0-9 _ -")
        if self.media_address:
            try:
                ipaddress.ip_address(self.media_address)
            except ValueError:
                raise ValueError("line media_address: give an IP address, or leave it empty") from None
        if not 1 <= self.shortest_registration_s <= self.longest_registration_s <= 86_400:
            raise ValueError("line registrations: 1 s <= shortest <= longest <= 86,400 s must hold")
        if not 0 <= self.check_every_s <= 86_400:
            raise ValueError("line check_every_s: give 1 to 86,400 s, or 0 to ask no phone")


def objects_of(spec: DeviceSpec, line: LineSettings, *, opus: bool) -> Objects:
    """The three objects a device becomes; `opus` says whether Asterisk can transcode it."""
    codecs = spec.codecs or (("opus",) if opus and spec.kind == "browser" else ()) + ("ulaw", "alaw")
    browser = spec.kind == "browser"
    return {
        "aor": {
            "max_contacts": str(spec.max_contacts),
            "remove_existing": "true",  # a phone that comes back with another address is not shut out by its past
            "minimum_expiration": str(line.shortest_registration_s),
            "default_expiration": str(line.longest_registration_s),
            "maximum_expiration": str(line.longest_registration_s),
            "qualify_frequency": str(line.check_every_s),
        },
        "auth": {"auth_type": "md5", "username": spec.name, "realm": REALM, "md5_cred": spec.digest},
        "endpoint": {
            "aors": spec.name,
            "auth": spec.name,
            "identify_by": "username",
            "transport": line.browser_transport if browser else line.sip_transport,
            "webrtc": "yes" if browser else "no",
            "context": line.context,
            "allow": f"({'|'.join(codecs)})",
            # Never empty: Asterisk would give such a device the number "unknown".
            "callerid": f'"{spec.caller_name or spec.name}" <{spec.caller_number or spec.name}>',
            "trust_id_inbound": "false",
            "language": line.language,
            "allow_transfer": "false",
            "allow_subscribe": "false",
            "device_state_busy_at": "1",
            "dtmf_mode": "auto",
            "direct_media": "false",
            "media_address": line.media_address,
            "bind_rtp_to_media_address": "true" if line.media_address else "false",
            "rtp_timeout": "300",
            "rtp_timeout_hold": "900",
            "force_rport": "true",
            "rtp_symmetric": "false" if browser else "true",
            "rewrite_contact": "false" if browser else "true",
            MARK: "1",
        },
    }


def is_name(name: str) -> bool:
    """Whether `name` can be the name of a device."""
    return _NAME.fullmatch(name) is not None


def check_name(name: str) -> None:
    """Raise `BadDevice` unless `name` can be the name of a device."""
    if not is_name(name):
        raise BadDevice(name, "its name has to be 1 to 64 of A-Z a-z 0-9 _ . - and not only dots")
