"""The menu as a published flow on a whole engine, as `flowengine serve` puts it together; in a process of its own.

With `memory` in its options the journal is kept in lists and nowhere else, to show what a durable one costs. All other
parts, the desk and the meter among them, keep their database.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from bench.compare.contenders import LONG_NUMBER, SHORT_NUMBER
from flowengine.call.events import Event
from flowengine.config import load
from flowengine.log import configure
from flowengine.ports import Journal
from flowengine.publishing import apply_account
from flowengine.serve import ari_settings, opened, stop_signals

ACCOUNT = f"""format: flowengine-account/1
account: {{key: bench, name: Bench, country: JP, language: en-US, time_zone: Asia/Tokyo, currency: JPY}}
numbers: ["{SHORT_NUMBER}", "{LONG_NUMBER}"]
flows:
  short: {{file: short.json, numbers: ["{SHORT_NUMBER}"], publish: true}}
  long: {{file: long.json, numbers: ["{LONG_NUMBER}"], publish: true}}
"""


def flows(first: str, second: str) -> dict[str, dict[str, Any]]:
    """The two flows, by what they are called."""
    menu = {"type": "ivr", "prompt": {"audio": first}, "exits": {"5": "end", "timeout": "end"}}
    states = {"menu": menu, "end": {"type": "announcement", "prompt": {"audio": second}}}
    waits = {**states, "menu": {**menu, "timeout_s": 60}}
    head = {"format": "flowengine/1", "goodbye": {"audio": second}, "start": "menu"}
    return {
        "short": {**head, "name": "Short", "states": states},
        "long": {**head, "name": "Long", "states": waits},
    }


class InMemory:
    """A journal without a database: what it is told is remembered until the call is over."""

    def __init__(self, durable: Journal) -> None:
        self._durable = durable
        self._entries: dict[str, list[tuple[Event, str]]] = {}

    def __getattr__(self, name: str) -> Any:
        """Whatever else a journal can do, the durable one does."""
        return getattr(self._durable, name)

    async def open(self, call: str, *_: Any) -> None:
        self._entries[call] = []

    async def append(self, call: str, seq: int, event: Event, digest: str) -> None:  # noqa: ARG002
        self._entries[call].append((event, digest))

    async def close(self, call: str, *_: Any) -> None:
        del self._entries[call]


async def main(options: dict[str, Any]) -> None:
    """Publish the flows, take calls until told to stop."""
    configure("info", "json")
    folder = Path(options["folder"])
    sounds = Path(options["sounds"])
    names = (f"{Path(options[each]).name}.wav" for each in ("first", "second"))
    for name, flow in flows(*names).items():
        (sounds / f"{name}.json").write_text(json.dumps(flow))
    (sounds / "account.yaml").write_text(ACCOUNT)
    settings = load(
        data_dir=folder,
        switch="asterisk",
        ari_url=options["url"],
        ari_user=options["user"],
        ari_password=options["password"],
        ari_app=options["app"],
        http_port=0,
        drain_s=2,
        audio_dir=sounds,
    )
    await apply_account(settings, sounds / "account.yaml")
    with stop_signals() as told:
        async with opened(settings, ari_settings(settings)) as here:
            if options.get("memory"):
                here.engine.journal = InMemory(here.engine.journal)
            print("ready", flush=True)
            await told


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
