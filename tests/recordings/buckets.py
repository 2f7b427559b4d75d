"""An S3-compatible service on this machine for tests, and the environment its clients need."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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
    with subprocess.Popen(
        argv, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=os.environ | ENVIRONMENT
    ) as server:
        try:
            assert server.stderr is not None
            for line in server.stderr:
                if found := re.search(r"Running on (http://127\.0\.0\.1:\d+)", line):
                    # Its access log goes to the same pipe, which must not fill up.
                    drain = subprocess.Popen(["cat"], stdin=server.stderr, stdout=subprocess.DEVNULL)
                    yield found[1]
                    break
            else:
                raise AssertionError("the service did not start")
        finally:
            server.kill()
    drain.wait()


def client(endpoint: str) -> Any:
    """A plain client, to look into the bucket past the code under test."""
    return Session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id=ENVIRONMENT["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=SECRET,
    )


def keys(endpoint: str, bucket: str = BUCKET) -> list[str]:
    """Every key in the bucket."""
    return [found["Key"] for found in client(endpoint).list_objects_v2(Bucket=bucket).get("Contents", ())]
