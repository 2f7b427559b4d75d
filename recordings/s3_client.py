"""The client of an S3-compatible service: bounded in time, and its complaints in our words.

botocore finds credentials as everything of Amazon's does: environment, profile, role of the container or machine.
They appear in no message of ours: of a refusal only its status and code are told, and botocore's own log, which
holds whole requests, is kept quiet.
"""

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from recordings.errors import LibraryUnavailable, RecordingRefused
from recordings.s3_address import S3Address
from recordings.storage import missing

INSTALL: Final = "install it: pip install 'flowengine[s3]'"
RIGHTS: Final = "give the engine's credentials the right to read, write, list and delete there"
CREDENTIALS: Final = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role for the engine"
WAIT: Final = "look at the service; when it is well again, the library goes on by itself"
MENDS: Final = {
    "NoSuchBucket": "make the bucket, or correct the address",
    "InvalidAccessKeyId": CREDENTIALS,
    "SignatureDoesNotMatch": CREDENTIALS,
    "ExpiredToken": CREDENTIALS,
}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one request may take, and how often it is tried."""

    connect_s: float = 3.0
    silence_s: float = 10.0
    """The service says nothing for so long."""
    tries: int = 3


class S3Client:
    """A botocore client; safe to use in many threads. Making one takes some tenths of a second."""

    def __init__(self, address: S3Address, patience: Patience) -> None:
        """Raises `RecordingRefused` when botocore is not installed or cannot read the settings of this machine."""
        try:
            import botocore.session  # type: ignore[import-untyped]  # noqa: F401
        except ImportError as error:
            raise RecordingRefused(
                str(address), "the client for buckets is not installed", INSTALL
            ) from error
        self._address = address
        self._patience = patience
        self._lock = threading.Lock()
        self._made: Any = _made(address, patience)

    @contextmanager
    def talking(self, name: str) -> Iterator[Any]:
        """The client, for requests about `name`. Raises `RecordingMissing` (no such key), `LibraryUnavailable`."""
        from botocore import exceptions as complaints
        from urllib3.exceptions import HTTPError

        try:
            yield self._client()
        except complaints.ClientError as error:
            # No chain: the answer of the service may repeat what it was asked, signature and all.
            raise self._refused(name, error.response) from None
        except (complaints.NoCredentialsError, complaints.PartialCredentialsError):
            self._made = None  # they may be there next time, and are looked for only once
            raise LibraryUnavailable(
                name, f"there are no credentials for {self._address}", CREDENTIALS
            ) from None
        except (complaints.BotoCoreError, HTTPError, OSError) as error:
            reason = f"{self._address} cannot be reached or breaks off ({type(error).__name__})"
            raise LibraryUnavailable(name, reason, WAIT) from None

    def _client(self) -> Any:
        with self._lock:
            if self._made is None:
                self._made = _made(self._address, self._patience)
            return self._made

    def _refused(self, name: str, answer: Any) -> RecordingRefused:
        status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        code = re.sub(r"[^A-Za-z0-9]", "", str(answer.get("Error", {}).get("Code", "")))[:40]
        if code == "NoSuchKey":
            return missing(name)
        told = f"{status} {code}".removesuffix(f" {status}")
        mend = MENDS.get(code, RIGHTS if status in (401, 403) else WAIT)
        return LibraryUnavailable(name, f"{self._address} refuses it ({told})", mend)


def _made(address: S3Address, patience: Patience) -> Any:
    from botocore.config import Config  # type: ignore[import-untyped]
    from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]
    from botocore.session import Session

    logging.getLogger("botocore").setLevel(logging.INFO)
    config = Config(
        connect_timeout=patience.connect_s,
        read_timeout=patience.silence_s,
        retries={"mode": "standard", "total_max_attempts": patience.tries},
        s3={"addressing_style": address.style},
        # Services other than Amazon's know no trailing checksums; ours go with every request as Content-MD5.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        session = Session()
        region = address.region or session.get_config_variable("region") or "us-east-1"
        return session.create_client("s3", region_name=region, endpoint_url=address.endpoint, config=config)
    except (BotoCoreError, ValueError) as error:
        reason = f"the settings of this machine for {address} cannot be read ({type(error).__name__})"
        mend = "look at the variables AWS_* and at the files in ~/.aws"
        raise LibraryUnavailable("the library", reason, mend) from None
