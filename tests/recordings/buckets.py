"""An S3-compatible service on this machine for tests, and the environment its clients need."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any

from botocore.session import Session  # type: ignore[import-untyped]

BUCKET = "kept-talks"
SECRET = "sesame-open-9f2c"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKTESTTESTTEST",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nonexistent",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    "NO_PROXY": "127.0.0.1",
}
"""Nothing of this machine's own settings may reach the tests, and nobody's metadata service is asked."""


@contextmanager
def service() -> Iterator[str]:
    """Run the service; its endpoint."""
    argv = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with TemporaryDirectory() as folder:
        said = Path(folder) / "said"
        with (
            said.open("w") as out,
            subprocess.Popen(
                argv, stderr=out, stdout=subprocess.DEVNULL, env=os.environ | ENVIRONMENT
            ) as server,
        ):
            try:
                yield _endpoint(said)
            finally:
                server.kill()


def _endpoint(said: Path) -> str:
    until = monotonic() + 60
    while monotonic() < until:
        if found := re.search(r"Running on (http://127\.0\.0\.1:\d+)", said.read_text()):
            return found[1]
        sleep(0.05)
    raise AssertionError(f"the service did not start: {said.read_text()}")


def client(endpoint: str) -> Any:
    """A plain client, to look into the bucket past the code under test."""
    return Session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id=ENVIRONMENT["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=SECRET,
    )
