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

    script = ""
    while line := (await reader.readline()).strip():
        name, _, value = line.decode().partition(": ")
        script = value if name == "agi_network_script" else script
    try:
        await do("ANSWER")
        if script == "long":
            await do(f'STREAM FILE {options["long"]} ""')
        else:
            pressed = await do(f"STREAM FILE {options['first']} 5")
            if "result=53" not in pressed:
                pressed = await do("WAIT FOR DIGIT 5000")
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
