"""Words to sound: espeak-ng, and any command line that writes an audio file."""

from recordings.speech.command import CommandSpeech
from recordings.speech.engine import TEXT_LIMIT, Speech, speakable
from recordings.speech.espeak import EspeakSpeech

__all__ = ["TEXT_LIMIT", "CommandSpeech", "EspeakSpeech", "Speech", "speakable"]
