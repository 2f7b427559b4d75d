"""The address of a library in a bucket: `s3://bucket/prefix?endpoint=...&region=...`. Never a secret in it."""

import re
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import parse_qsl, urlsplit

from recordings.errors import RecordingRefused

BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
PREFIX: Final = re.compile(r"[A-Za-z0-9!_.*'()/-]*")
"""Characters that every S3-compatible service takes in a key as they are."""
REGION: Final = re.compile(r"[a-z0-9-]{1,40}")
KNOWN: Final = ("endpoint", "region", "style")
FORM: Final = "write s3://bucket/prefix?endpoint=https://host:port&region=name"
STYLES: Final = ("path", "virtual")


@dataclass(frozen=True, slots=True)
class S3Address:
    """Where a library lies."""

    bucket: str
    prefix: str
    """Empty, or with a slash at its end."""
    endpoint: str | None
    """The service, None for Amazon's own."""
    region: str | None
    style: str
    """`path` (bucket in the path, as most services of one's own have it) or `virtual` (bucket in the host name)."""

    @classmethod
    def parse(cls, address: str) -> Self:
        """Read an address. Raises `RecordingRefused`, whose text repeats nothing that could be a secret."""
        try:
            parts = urlsplit(address)
            query = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
        except ValueError as error:
            raise _wrong("it is no address", FORM) from error
        if "@" in parts.netloc or "@" in query.get("endpoint", ""):
            mend = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the engine's environment instead"
            raise _wrong("there are credentials in it", mend)
        if unknown := sorted(set(query) - set(KNOWN)):
            listed = ", ".join(name if name.isidentifier() else "?" for name in unknown)
            raise _wrong(f"it has a setting that is not known: {listed}", f"known are {', '.join(KNOWN)}")
        if parts.scheme != "s3" or not BUCKET.fullmatch(parts.netloc):
            raise _wrong("it names no bucket", FORM)
        prefix = parts.path.strip("/")
        if (
            not PREFIX.fullmatch(prefix)
            or parts.fragment
            or {"", ".", ".."} & set(f"{prefix}/x".split("/")[1:])
        ):
            raise _wrong("its prefix has characters that are not safe in a key", FORM)
        endpoint, region = query.get("endpoint"), query.get("region")
        style = query.get("style", "path" if endpoint else "virtual")
        if endpoint is not None and not _is_service(endpoint):
            raise _wrong("its endpoint is not the address of a service", FORM)
        if region is not None and not REGION.fullmatch(region):
            raise _wrong("its region is not the name of one", "write it like eu-central-1")
        if style not in STYLES:
            raise _wrong("its style is not known", f"known are {', '.join(STYLES)}")
        return cls(parts.netloc, f"{prefix}/" if prefix else "", endpoint, region, style)

    def __str__(self) -> str:
        where = f" at {self.endpoint}" if self.endpoint else ""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/") + where


def _is_service(endpoint: str) -> bool:
    try:
        parts = urlsplit(endpoint)
        return (
            parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not parts.query
        )
    except ValueError:
        return False


def _wrong(reason: str, mend: str) -> RecordingRefused:
    return RecordingRefused("address of the recordings", reason, mend)
