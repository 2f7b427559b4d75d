"""The menu as the loop that a tutorial ends with: events from the websocket, requests over HTTP, a dictionary of calls.

No journal, no recovery, no failures: what ARI itself costs in Python. `bare_websocket` differs in `ask` alone.
"""

import asyncio
import json
import sys
from typing import Any

import aiohttp

options = json.loads(sys.argv[1])
calls: dict[str, float | asyncio.TimerHandle] = {}
tasks: set[asyncio.Task[None]] = set()


def soon(*requests: tuple[str, str]) -> None:
    """Send these one after another, without waiting for them here."""
    task = asyncio.create_task(in_order(requests))
    tasks.add(task)
    task.add_done_callback(tasks.discard)


async def in_order(requests: tuple[tuple[str, str], ...]) -> None:
    for method, path in requests:
        await ask(method, path)


async def ask(method: str, path: str) -> None:
    """One request."""
    async with http.request(method, f"{options['url']}/ari/{path}") as answer:
        await answer.read()


def play(channel: str, sound: str) -> tuple[str, str]:
    return ("POST", f"channels/{channel}/play/{sound}-{channel}?media=sound:{options[sound]}")


def happened(event: dict[str, Any]) -> None:
    """The menu."""
    match event["type"]:
        case "StasisStart":
            channel = event["channel"]["id"]
            calls[channel] = float(event["args"][1])
            soon(("POST", f"channels/{channel}/answer"), play(channel, event["args"][0]))
        case "PlaybackFinished":
            sound, _, channel = event["playback"]["id"].partition("-")
            if sound == "first" and isinstance(wait_s := calls.get(channel), float):
                end = ("DELETE", f"channels/{channel}")
                calls[channel] = asyncio.get_running_loop().call_later(wait_s, soon, end)
            elif channel in calls:
                soon(("DELETE", f"channels/{channel}"))
        case "ChannelDtmfReceived":
            channel = event["channel"]["id"]
            if isinstance(timer := calls.get(channel), asyncio.TimerHandle):
                timer.cancel()
                soon(play(channel, "second"))
        case "StasisEnd":
            calls.pop(event["channel"]["id"], None)


async def main() -> None:
    global http
    login = aiohttp.encode_basic_auth(options["user"], options["password"])
    connector = aiohttp.TCPConnector(limit=100)
    async with aiohttp.ClientSession(headers={"Authorization": login}, connector=connector) as http:
        where = f"{options['url']}/ari/events?app={options['app']}"
        async with http.ws_connect(where, max_msg_size=0) as websocket:
            print("ready", flush=True)
            async for message in websocket:
                happened(json.loads(message.data))


http: aiohttp.ClientSession
if __name__ == "__main__":
    asyncio.run(main())
