"""Callers on Local channels: no SIP and no RTP, so that what is left is Asterisk's core and the controller.

A process of its own, `python -m bench.compare.local_load JSON`. It asks Asterisk for calls at a steady rate over one
websocket and prints when it asked for each; the callers themselves live in the dialplan and write a line each there.
"""

import asyncio
import json
import sys
import time
from typing import Any, Final

import aiohttp

ANSWERS_S: Final = 10.0


async def load(options: dict[str, Any]) -> dict[str, Any]:
    """Ask for `calls` calls, `rate` a second, to the extension `number`; callers do `does` (press or hold).

    Gives the time of each request (seconds since the epoch, by channel id), how many Asterisk refused, and how late
    the last request was, in seconds.
    """
    login = aiohttp.encode_basic_auth(options["user"], options["password"])
    asked: dict[str, float] = {}
    answers = {"refused": 0, "heard": 0}
    calls, rate, run = options["calls"], options["rate"], options["run"]
    all_heard = asyncio.Event()
    async with aiohttp.ClientSession(headers={"Authorization": login}) as http:
        address = f"{options['url']}/ari/events?app=bench-load"
        async with http.ws_connect(address, max_msg_size=0) as websocket:

            async def listen() -> None:
                async for message in websocket:
                    event = json.loads(message.data)
                    if event["type"] == "RESTResponse":
                        answers["heard"] += 1
                        answers["refused"] += event["status_code"] >= 400
                        if answers["heard"] == calls:
                            all_heard.set()

            listener = asyncio.create_task(listen())
            began = time.monotonic()
            late = 0.0
            for n in range(calls):
                late = time.monotonic() - began - n / rate
                if late < 0:
                    await asyncio.sleep(-late)
                id = f"load{run}x{n}"
                asked[id] = time.time()
                uri = (
                    f"channels?endpoint=Local/{options['number']}@from-trunk/n&context=bench-caller"
                    f"&extension={options['does']}&priority=1&timeout=20&callerId=%2B15550100&formats=slin"
                    f"&channelId={id}&otherChannelId=in{id}"
                )
                request = {"type": "RESTRequest", "request_id": str(n), "method": "POST", "uri": uri}
                await websocket.send_str(json.dumps(request))
            try:
                async with asyncio.timeout(ANSWERS_S):
                    await all_heard.wait()
            except TimeoutError:
                pass
            listener.cancel()
    return {
        "asked": asked,
        "refused": answers["refused"] + calls - answers["heard"],
        "late_s": max(0.0, late),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(load(json.loads(sys.argv[1])))))
