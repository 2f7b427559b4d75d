"""What was said in messages, as text beside the recording: which still have none, and the text written down once."""

from collections.abc import Collection
from typing import Final, NamedTuple

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from flowengine.flow.document import Flow
from flowengine.store.recordings import library_id
from flowengine.store.tables import Call, FlowVersion, Recording

DEFAULT_LANGUAGE: Final[str] = Flow.model_fields["language"].default
"""Of a document that names none."""


class Untold(NamedTuple):
    """A message whose words nobody has written down."""

    id: str
    account: str
    library_id: str
    language: str
    """Of the flow that took it, in the version it ran: a tag such as ja or en-GB."""


async def next_untold(session: AsyncSession, owner: str, without: Collection[str]) -> Untold | None:
    """The newest kept message of the engine `owner` without a transcript, leaving some out."""
    found = (
        await session.execute(
            select(
                Recording.id,
                Recording.account_id,
                Recording.call_id,
                Recording.short_id,
                FlowVersion.document["language"].as_string(),
            )
            .join(Call, Call.id == Recording.call_id)
            .join(FlowVersion, (FlowVersion.flow_id == Call.flow_id) & (FlowVersion.sha256 == Call.version))
            .where(
                Recording.owner == owner,
                Recording.status == "kept",
                Recording.purpose == "voicemail",
                Recording.transcript.is_(None),
                Recording.id.not_in(without),
            )
            .order_by(Recording.created_at.desc(), Recording.id.desc())
            .limit(1)
        )
    ).one_or_none()
    if found is None:
        return None
    id_, account, call, short_id, language = found
    return Untold(id_, account, library_id(call, short_id), language or DEFAULT_LANGUAGE)


async def write_transcript(session: AsyncSession, account: str, recording: str, text: str) -> bool:
    """Write down what is said in a kept message, "" when it could not be understood; False when it has a text.

    It is also False for a message that was deleted meanwhile: nothing is written about a sound that is gone.
    """
    written = (
        update(Recording)
        .where(
            Recording.account_id == account,
            Recording.id == recording,
            Recording.status == "kept",
            Recording.transcript.is_(None),
        )
        .values(transcript=text)
        .returning(Recording.id)
    )
    return await session.scalar(written) is not None
