"""People on real SIP telephones: SIPp callers and phones whose audio is heard. For tests on Asterisk and the demo."""

from simulator.sip.caller import Caller, Outcome, Step, cancel, hang_up, press, speak, wait
from simulator.sip.phone import AgentPhone, Answers, Behaviour, PhoneCall, Rejects, Rings
from simulator.sip.sound import (
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
