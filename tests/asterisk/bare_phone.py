"""A phone by hand: registers over UDP or a browser's websocket, and notes what reaches it.

Why here: SIPp plays whole calls, but cannot let a registration run out, answer OPTIONS beside a call, send a wrong
secret and go on, or speak SIP over a websocket.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import re
from collections.abc import Callable

import aiohttp

HERE = "127.0.0.2"
"""Not the address from which the tests' carrier calls, so that strangers are not taken for it."""
_branches = itertools.count(1)


class BarePhone:
    """`async with BarePhone("hanako", sip_port=...)`, or with `websocket`, the URL of Asterisk's `/ws`."""

    def __init__(
        self, name: str, sip_port: int = 0, *, websocket: str = "", answers_options: bool = True
    ) -> None:
        self.name = name
        self.invites: list[str] = []
        """The INVITEs that reached it; each is answered with 180."""
        self.challenge: dict[str, str] = {}
        """What Asterisk last asked for."""
        self._asterisk = ("127.0.0.1", sip_port)
        self._websocket = websocket
        self._answers_options = answers_options
        self._responses: asyncio.Queue[str] = asyncio.Queue()
        self._changed = asyncio.Event()
        self._call_id = f"bare-{next(_branches)}"
        self._cseq = 0
        self._send: Callable[[str], object]

    async def __aenter__(self) -> BarePhone:
        if self._websocket:
            self._session = aiohttp.ClientSession()
            socket = self._socket = await self._session.ws_connect(self._websocket, protocols=("sip",))
            self._reader = asyncio.create_task(self._read(socket))
            self._writing: set[asyncio.Task[None]] = set()
            self._via, self._contact = "WS browser.invalid", f"sip:{self.name}@browser.invalid;transport=ws"

            def send(text: str) -> None:
                task = asyncio.create_task(socket.send_str(text))
                self._writing.add(task)
                task.add_done_callback(self._writing.discard)

            self._send = send
        else:
            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: _Datagrams(self.hear), local_addr=(HERE, 0)
            )
            port = transport.get_extra_info("sockname")[1]
            self._via, self._contact = f"UDP {HERE}:{port};rport", f"sip:{self.name}@{HERE}:{port}"
            self._send = lambda text: transport.sendto(text.encode(), self._asterisk)
            self._transport = transport
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._websocket:
            await self._socket.close()
            await asyncio.gather(self._reader, *self._writing)
            await self._session.close()
        else:
            self._transport.close()

    async def register(self, secret: str, *, expires_s: int = 300) -> int:
        """REGISTER and answer the challenge; `expires_s` 0 ends it. Returns the last status."""
        return await self._ask("REGISTER", "sip:127.0.0.1", self.name, secret, f"Expires: {expires_s}")

    async def call(self, number: str, secret: str, shown: str) -> int:
        """INVITE, claiming to be `shown`, and wait for the end of the ringing. Returns the final status."""
        return await self._ask("INVITE", f"sip:{number}@127.0.0.1", number, secret, "Privacy: none", shown)

    async def _ask(self, method: str, uri: str, to: str, secret: str, extra: str, shown: str = "") -> int:
        authorization = ""
        status = 0
        for _ in range(2):
            self._cseq += 1
            start = (
                f"Via: SIP/2.0/{self._via};branch=z9hG4bK{self._call_id}x{self._cseq}\r\n"
                f"From: {shown}<sip:{self.name}@127.0.0.1>;tag={self._call_id}\r\n"
                f"Call-ID: {self._call_id}-{method}\r\nMax-Forwards: 70\r\n"
            )
            self._send(
                f"{method} {uri} SIP/2.0\r\n{start}To: <sip:{to}@127.0.0.1>\r\nCSeq: {self._cseq} {method}\r\n"
                f"Contact: <{self._contact}>\r\n{extra}\r\n{authorization}Content-Length: 0\r\n\r\n"
            )
            response = await self._final()
            status = int(response.split(" ", 2)[1])
            if method == "INVITE":
                tagged = re.search(r"^To: .*?(?=\r?$)", response, re.MULTILINE)
                assert tagged is not None
                self._send(
                    f"ACK {uri} SIP/2.0\r\n{start}{tagged[0]}\r\nCSeq: {self._cseq} ACK\r\n"
                    "Content-Length: 0\r\n\r\n"
                )
            if status != 401:
                break
            found = re.search(r"^WWW-Authenticate: Digest (.*?)\r?$", response, re.MULTILINE)
            assert found is not None
            self.challenge = dict(re.findall(r'(\w+)="?([^",]+)"?', found[1]))
            authorization = self._authorization(method, uri, secret)
        return status

    async def _final(self) -> str:
        async with asyncio.timeout(3):
            while True:
                response = await self._responses.get()
                if not response.startswith("SIP/2.0 1"):
                    return response

    async def rings(self, within: float = 3.0) -> str:
        """Wait for an INVITE, past or to come."""
        async with asyncio.timeout(within):
            while not self.invites:
                self._changed.clear()
                await self._changed.wait()
        return self.invites[0]

    def hear(self, text: str) -> None:
        """A message of Asterisk's."""
        match text.split(" ", 1)[0]:
            case "SIP/2.0":
                self._responses.put_nowait(text)
            case "INVITE":
                self.invites.append(text)
                self._reply(text, "180 Ringing")
                self._changed.set()
            case "OPTIONS" if not self._answers_options:
                pass
            case "ACK":
                pass
            case "CANCEL":
                self._reply(text, "200 OK")
                self._reply(self.invites[-1], "487 Request Terminated")
            case _:
                self._reply(text, "200 OK")

    def _reply(self, request: str, status: str) -> None:
        kept = re.findall(r"^(?:Via|From|Call-ID|CSeq): .*?(?=\r?$)", request, re.MULTILINE)
        to = re.search(r"^To: .*?(?=\r?$)", request, re.MULTILINE)
        assert to is not None
        lines = [f"SIP/2.0 {status}", *kept, f"{to[0]};tag=bare", f"Contact: <{self._contact}>"]
        self._send("\r\n".join([*lines, "Content-Length: 0", "", ""]))

    def _authorization(self, method: str, uri: str, secret: str) -> str:
        """RFC 2617, section 3.2.2."""
        asked = self.challenge
        who = _md5(f"{self.name}:{asked['realm']}:{secret}")
        what = _md5(f"{method}:{uri}")
        response = _md5(f"{who}:{asked['nonce']}:00000001:bare:auth:{what}")
        values = {"username": self.name, "realm": asked["realm"], "nonce": asked["nonce"]}
        values |= {"uri": uri, "response": response, "cnonce": "bare", "opaque": asked["opaque"]}
        quoted = ",".join(f'{key}="{value}"' for key, value in values.items())
        return f"Authorization: Digest {quoted},algorithm=MD5,qop=auth,nc=00000001\r\n"

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            data = message.data
            self.hear(data.decode() if isinstance(data, bytes) else data)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, hear: Callable[[str], None]) -> None:
        self._hear = hear

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        if data.strip():
            self._hear(data.decode())


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
