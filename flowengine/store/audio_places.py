"""Where a flow names sounds of its account."""

from collections.abc import Iterator

from flowengine.flow.document import Audio, Flow


def audio_places(flow: Flow) -> Iterator[tuple[str | None, str, str]]:
    """Give every place of a flow that names an audio: the state (None: the flow itself), its field, the name or id."""
    for key, state in flow.states.items():
        for field, prompt in state.prompts():
            if isinstance(prompt, Audio):
                yield key, field, prompt.audio
    if isinstance(flow.goodbye, Audio):
        yield None, "goodbye", flow.goodbye.audio
