"""The menu as a FastAGI server: a connection a call, on which it tells Asterisk what to do next.

`python -m bench.compare.agi JSON`, as `bench.compare.ground` starts it.
"""

import asyncio
import json
import sys
from asyncio import StreamReader, StreamWriter

options = json.loads(sys.argv[1])


async def serve(reader: StreamReader, writer: StreamWriter) -> None:
    """One call."""

    async def do(command: str) -> str:
        writer.write(f"{command}\n".encode())
        return (await reader.readline()).decode()

    wait_ms = ""
    while line := (await reader.readline()).strip():
        name, _, value = line.decode().partition(": ")
        wait_ms = value if name == "agi_network_script" else wait_ms
    try:
        await do("ANSWER")
        pressed = await do(f"STREAM FILE {options['first']} 5")
        if "result=53" not in pressed:
            pressed = await do(f"WAIT FOR DIGIT {wait_ms}")
        if "result=53" in pressed:
            await do(f'STREAM FILE {options["second"]} ""')
        await do("HANGUP")
    except ConnectionError:
        pass  # hung up in between
    finally:
        writer.close()


async def main() -> None:
    """Serve until the process is ended."""
    server = await asyncio.start_server(serve, "127.0.0.1", options["agi_port"], backlog=1000)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
