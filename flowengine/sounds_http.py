"""Rendered sounds over HTTP, for an Asterisk on another machine: GET and HEAD /sounds/NAME.wav, and nothing else.

A name is made of hashes of what is said or of the bytes that were uploaded, so who asks for a sound knows it already;
there is no listing. What has a name never changes: whoever keeps a copy need not ask again. Served are both rates
(`.wav` and `.wav16`), whole or in ranges, to everybody who reaches the port; it belongs on the operator's own network.
"""

from pathlib import Path
from typing import Final

from aiohttp import web

from recordings.rendered import FILE

PATH: Final = "/sounds"
FOR_EVER: Final = "public, max-age=31536000, immutable"
"""RFC 8246: a copy is good without asking."""


class SoundRoutes:
    """The sounds of one prompt directory."""

    def __init__(self, directory: Path) -> None:
        """Where the rendered files are."""
        self._directory = directory

    def add_to(self, app: web.Application) -> None:
        """Serve them here."""
        app.router.add_get(f"{PATH}/{{name}}", self._sound)

    async def _sound(self, request: web.Request) -> web.StreamResponse:
        name = FILE.fullmatch(request.match_info["name"])
        if name is None:
            raise web.HTTPNotFound(text="there is no such sound\n")
        # The name is the version, and so the tag: a copy of the same name is the same sound.
        headers = {
            "Content-Type": "audio/wav",
            "Cache-Control": FOR_EVER,
            "X-Content-Type-Options": "nosniff",
        }
        return web.FileResponse(self._directory / name[0], headers=headers)
