"""People on telephones, for tests on a real Asterisk: everything a test needs, from one place."""

from tests.asterisk.caller import Caller, Outcome, Step, cancel, hang_up, press, speak, wait
from tests.asterisk.phone import AgentPhone, Answers, Behaviour, PhoneCall, Rejects, Rings
from tests.asterisk.sound import (
    Sound,
    dominant_hz,
    is_silent,
    read_wav,
    seconds_of_tone,
    tone,
    tone_power,
    write_wav,
)

__all__ = [
    "AgentPhone",
    "Answers",
    "Behaviour",
    "Caller",
    "Outcome",
    "PhoneCall",
    "Rejects",
    "Rings",
    "Sound",
    "Step",
    "cancel",
    "dominant_hz",
    "hang_up",
    "is_silent",
    "press",
    "read_wav",
    "seconds_of_tone",
    "speak",
    "tone",
    "tone_power",
    "wait",
    "write_wav",
]
