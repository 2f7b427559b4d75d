"""Words to sound, by one of three engines.

`espeak` speaks every language, plainly; `open_jtalk` speaks Japanese as it is written; `command` is any program.
`choice` picks one for a prompt; `engine` says what they have in common.
"""

from recordings.speech.choice import Speeches, configured
from recordings.speech.command import CommandSpeech
from recordings.speech.engine import TEXT_LIMIT, Engine, Offer, Speech, speakable
from recordings.speech.espeak import EspeakSpeech
from recordings.speech.open_jtalk import OpenJTalkSpeech, Reading

__all__ = [
    "TEXT_LIMIT",
    "CommandSpeech",
    "Engine",
    "EspeakSpeech",
    "Offer",
    "OpenJTalkSpeech",
    "Reading",
    "Speech",
    "Speeches",
    "configured",
    "speakable",
]
