"""Real https servers and traps on loopback: what a fetch meets, and proof of what it never met."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trustme

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter, str], Awaitable[None]]
"""Writes the answer to a request of this head (request line and headers)."""


class Trap:
    """A listening port that answers nobody and knows whether anybody knocked: the kernel completes a handshake
    for it without any code of ours, so that even a connection broken off at once is counted."""

    def __init__(self, address: str, port: int = 0) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((address, port))
        self._socket.listen(50)
        self._socket.setblocking(False)
        self.port: int = self._socket.getsockname()[1]

    def knocks(self) -> int:
        """How many connections came since it was asked last."""
        count = 0
        while True:
            try:
                connection, _ = self._socket.accept()
            except BlockingIOError:
                return count
            connection.close()
            count += 1

    def close(self) -> None:
        self._socket.close()


@contextmanager
def trap(address: str, port: int = 0) -> Iterator[Trap]:
    listening = Trap(address, port)
    try:
        yield listening
    finally:
        listening.close()


@dataclass
class Resolver:
    """A DNS that gives each answer once, in order, and the last one ever after; remembers what it was asked."""

    answers: Sequence[Sequence[str]]
    asked: list[str] = field(default_factory=list)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers[min(len(self.asked), len(self.answers)) - 1]


@dataclass
class Server:
    """Where it listens, and the heads of the requests it got."""

    port: int
    heads: list[str] = field(default_factory=list)

    def url(self, path: str = "/a.wav", host: str = "sound.example") -> str:
        return f"https://{host}:{self.port}{path}"


class Authority:
    """A certificate authority of the test's own."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self.file = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.file))

    @asynccontextmanager
    async def server(
        self, answer: Answer, *names: str, address: str = "127.0.0.1", port: int = 0
    ) -> AsyncIterator[Server]:
        """An https server with a certificate for `names` (sound.example unless told)."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(*(names or ("sound.example",))).configure_cert(context)
        server = Server(port)
        serving: set[asyncio.Task[None]] = set()

        async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if task := asyncio.current_task():
                serving.add(task)
            try:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                server.heads.append(head)
                await answer(reader, writer, head)
            except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                pass  # The client had enough, or the test: that is what many of them are about.
            finally:
                writer.transport.abort()

        listening = await asyncio.start_server(served, address, port, ssl=context)
        server.port = listening.sockets[0].getsockname()[1]
        try:
            yield server
        finally:
            listening.close()
            for task in serving:
                task.cancel()
            await asyncio.gather(*serving)


def says(head: str, body: bytes = b"") -> Answer:
    """Send a head (lines apart by newlines), then a body, then close in good order."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: str) -> None:
        writer.write(head.replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n" + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    return answer


def gives(body: bytes, *headers: str) -> Answer:
    """A plain answer of status 200."""
    return says("\n".join(("HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers)), body)


def leads(to: str, status: int = 302) -> Answer:
    """A redirect."""
    return says(f"HTTP/1.1 {status} Elsewhere\nLocation: {to}\nContent-Length: 0")


def endless(head: str, piece: bytes, every_s: float = 0.0) -> Answer:
    """A head, and then the same piece for ever."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: str) -> None:
        writer.write(head.replace("\n", "\r\n").encode("latin-1"))
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(every_s)

    return answer
