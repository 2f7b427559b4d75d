"""Work that goes on beside calls for as long as a context is open."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any


@contextlib.asynccontextmanager
async def beside(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run these while the context is open, and cancel them when it is left. None of them may raise."""
    tasks = [asyncio.create_task(each, name=getattr(each, "__qualname__", None)) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
