"""How long a sound lasts in the simulated world: estimated from its key, nothing is rendered."""

from collections.abc import Iterable, Mapping
from typing import Final

SECOND: Final = 1_000_000

BUILTIN_S: Final = {
    "tone:beep": 0.3,
    "builtin:hold-music": 10.0,
    "builtin:goodbye": 1.0,
    "builtin:apology": 2.0,
}
PER_CHARACTER_S: Final = 0.06
SHORTEST_S: Final = 0.5
LIBRARY_S: Final = 3.0
"""A sound of the library or from an address, whose length the simulator cannot know."""


def spoken_text(sound: str) -> str:
    """The words of a `say:` key; of any other, the key itself, so that a script can wait for either."""
    return sound.split(":", 3)[3] if sound.startswith("say:") and sound.count(":") >= 3 else sound


class Sounds:
    """Lengths of sounds by key, the same for the same key in every run.

    Args:
        lengths_s: seconds for some sounds, by whole key or by spoken text.
        missing: sounds (whole key or spoken text) that cannot be played.
    """

    def __init__(self, lengths_s: Mapping[str, float] | None = None, missing: Iterable[str] = ()) -> None:
        self._lengths_s = dict(lengths_s or {})
        self._missing = frozenset(missing)
        self._known: dict[str, int | None] = {}

    def __call__(self, sound: str, /) -> int | None:
        """Microseconds, or None for a missing sound."""
        try:
            return self._known[sound]
        except KeyError:
            length = self._known[sound] = self._length(sound)
            return length

    def _length(self, sound: str) -> int | None:
        text = spoken_text(sound)
        if sound in self._missing or text in self._missing:
            return None
        for name in (sound, text):
            if name in self._lengths_s:
                return round(self._lengths_s[name] * SECOND)
        for prefix, seconds in BUILTIN_S.items():
            if sound == prefix or sound.startswith(prefix + ":"):
                return round(seconds * SECOND)
        if sound.startswith("say:"):
            return round(max(SHORTEST_S, len(text) * PER_CHARACTER_S) * SECOND)
        return round(LIBRARY_S * SECOND)
