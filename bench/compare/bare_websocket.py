"""The bare loop of `bare_http`, with its requests on the websocket: no answer is waited for, none is looked at.

Asterisk carries them out in the order in which they come.
"""

import asyncio
import json
import sys
from itertools import count
from typing import Any

import aiohttp

options = json.loads(sys.argv[1])
calls: dict[str, float | asyncio.TimerHandle] = {}
outbox: asyncio.Queue[str] = asyncio.Queue()
numbers = count()


def ask(method: str, path: str) -> None:
    """One request."""
    request = {"type": "RESTRequest", "request_id": str(next(numbers)), "method": method, "uri": path}
    outbox.put_nowait(json.dumps(request))


def play(channel: str, sound: str) -> None:
    ask("POST", f"channels/{channel}/play/{sound}-{channel}?media=sound:{options[sound]}")


def happened(event: dict[str, Any]) -> None:
    """The menu."""
    match event["type"]:
        case "StasisStart":
            channel = event["channel"]["id"]
            calls[channel] = float(event["args"][1])
            ask("POST", f"channels/{channel}/answer")
            play(channel, event["args"][0])
        case "PlaybackFinished":
            sound, _, channel = event["playback"]["id"].partition("-")
            end = ("DELETE", f"channels/{channel}")
            if sound == "first" and isinstance(wait_s := calls.get(channel), float):
                calls[channel] = asyncio.get_running_loop().call_later(wait_s, ask, *end)
            elif channel in calls:
                ask(*end)
        case "ChannelDtmfReceived":
            channel = event["channel"]["id"]
            if isinstance(timer := calls.get(channel), asyncio.TimerHandle):
                timer.cancel()
                play(channel, "second")
        case "StasisEnd":
            calls.pop(event["channel"]["id"], None)


async def write(websocket: "aiohttp.ClientWebSocketResponse[bool]") -> None:
    while True:
        await websocket.send_str(await outbox.get())


async def main() -> None:
    """Serve until the process is ended."""
    login = aiohttp.encode_basic_auth(options["user"], options["password"])
    async with aiohttp.ClientSession(headers={"Authorization": login}) as http:
        where = f"{options['url']}/ari/events?app={options['app']}"
        async with http.ws_connect(where, max_msg_size=0) as websocket:
            writer = asyncio.create_task(write(websocket))
            print("ready", flush=True)
            async for message in websocket:
                happened(json.loads(message.data))
            writer.cancel()


if __name__ == "__main__":
    asyncio.run(main())
