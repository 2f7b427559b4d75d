"""ARI requests over HTTP keep-alive: for an Asterisk too old for REST over the websocket, and for files.

One HTTP connection carries one request at a time, so order has to be made here: requests of one `lane`
(a call) go one after another, those of different lanes side by side.
"""

import asyncio
from collections.abc import AsyncGenerator

import aiohttp

from flowengine.ari.errors import AriError, AriRefused, AriTimeout, AriUnavailable
from flowengine.ari.rest import AriRequest, AriResponse, failed, settle
from flowengine.ari.settings import AriSettings
from flowengine.ari.stats import AriStats

CHUNK_BYTES = 64 * 1024


class HttpRest:
    """Sends requests over the connections of one `aiohttp` session, which stays its owner's."""

    def __init__(self, session: aiohttp.ClientSession, settings: AriSettings, stats: AriStats) -> None:
        self._session = session
        self._settings = settings
        self._stats = stats
        self._lanes: dict[str, asyncio.Task[None]] = {}
        self._waiting: dict[asyncio.Task[None], asyncio.Future[AriResponse]] = {}

    def send(self, request: AriRequest, timeout_s: float, lane: str) -> "asyncio.Future[AriResponse]":
        """Queue `request` behind the others of its lane; the future has the answer or an `AriError`."""
        if len(self._waiting) >= self._settings.max_in_flight:
            return failed(AriUnavailable(f"{len(self._waiting)} requests wait for Asterisk already"))
        answer: asyncio.Future[AriResponse] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._carry(self._lanes.get(lane), request, timeout_s, answer))
        self._lanes[lane] = task
        self._waiting[task] = answer
        task.add_done_callback(lambda done: self._leave(done, lane))
        return answer

    def fail_all(self, error: AriError) -> None:
        """Give every request under way `error` at once and stop waiting for Asterisk."""
        for task, answer in list(self._waiting.items()):
            settle(answer, error)
            task.cancel()

    async def close(self) -> None:
        """Fail what is under way and wait until it has let go of its connections."""
        tasks = list(self._waiting)
        self.fail_all(AriUnavailable("the ARI client was closed"))
        await asyncio.gather(*tasks, return_exceptions=True)

    async def download(self, request: AriRequest) -> AsyncGenerator[bytes, None]:
        """The body of a GET in pieces, never as a whole in memory; errors are those of any request."""
        timeout = aiohttp.ClientTimeout(
            total=None,
            sock_connect=self._settings.connect_timeout_s,
            sock_read=self._settings.request_timeout_s,
        )
        try:
            async with self._open(request, timeout) as response:
                if response.status >= 400:
                    raise AriRefused(response.status, response.reason or "no reason given")
                async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                    yield chunk
        except TimeoutError:
            raise AriTimeout(f"Asterisk stopped sending for {self._settings.request_timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise AriUnavailable(f"the download broke off: {type(error).__name__}") from None

    async def _carry(
        self,
        before: "asyncio.Task[None] | None",
        request: AriRequest,
        timeout_s: float,
        answer: "asyncio.Future[AriResponse]",
    ) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                if before is not None:
                    await asyncio.wait([before])
                settle(answer, await self._exchange(request))
        except TimeoutError:
            settle(answer, AriTimeout(f"no answer from Asterisk within {timeout_s:g} s"))
        except AriError as error:
            settle(answer, error)
        except (aiohttp.ClientError, OSError) as error:
            settle(answer, AriUnavailable(f"Asterisk cannot be reached over HTTP: {type(error).__name__}"))

    async def _exchange(self, request: AriRequest) -> AriResponse:
        async with self._open(request, aiohttp.ClientTimeout(total=None)) as response:
            content = bytearray()
            async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                content += chunk
                if len(content) > self._settings.max_frame_bytes:
                    raise AriUnavailable(f"the answer is longer than {self._settings.max_frame_bytes} bytes")
            return AriResponse(response.status, response.reason or "", bytes(content))

    def _open(
        self, request: AriRequest, timeout: aiohttp.ClientTimeout
    ) -> "aiohttp.client._RequestContextManager":
        return self._session.request(
            request.method,
            f"{self._settings.rest_url}/{request.uri}",
            data=request.body or None,
            headers={"Content-Type": "application/json"} if request.body else None,
            allow_redirects=False,
            timeout=timeout,
        )

    def _leave(self, task: "asyncio.Task[None]", lane: str) -> None:
        self._waiting.pop(task, None)
        if self._lanes.get(lane) is task:
            del self._lanes[lane]
