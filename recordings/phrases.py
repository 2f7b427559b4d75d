"""What the product says of itself when the flow has no words for it. Japanese in kana, so that any engine reads it.

Engines that take kana only read each as it stands: so the particles は and へ, which are read otherwise, are nowhere,
and numbers are written as they are read before their counter (さんばんめ, じゅっぷん).
"""

from typing import Final

from recordings.keys import Builtin, Fixed, Say

ENGLISH: Final = "en"
WORDS: Final[dict[str, dict[Fixed, str]]] = {
    "en": {
        "goodbye": "Thank you for calling. Goodbye.",
        "apology": "We are sorry. Something went wrong on our side. Please call again a little later.",
        "mailbox-full": "We are sorry. No message can be recorded at the moment. Please call again later.",
        "minute-left": "This call will end in one minute.",
    },
    "ja": {
        "goodbye": "おでんわ、ありがとうございました。しつれいいたします。",
        "apology": "もうしわけございません。ただいま、おつなぎできません。しばらくしてから、おかけなおしください。",
        "mailbox-full": "もうしわけございません。ただいま、でんごんを、おあずかりできません。おかけなおしください。",
        "minute-left": "あと、いっぷんで、おでんわが、おわります。ごりょうしょうください。",
    },
}

_ONES: Final = ("", "いち", "に", "さん", "よん", "ご", "ろく", "なな", "はち", "きゅう")
_BEFORE_MINUTES: Final = {1: "いっ", 3: "さん", 4: "よん", 6: "ろっ", 8: "はっ"}
"""Last digits whose minute is a ぷん and not a ふん, and how they are read before it."""


def words(builtin: Builtin) -> Say:
    """The phrase in the caller's language and voice, or in English, by any voice, where we have none."""
    language = builtin.language.partition("-")[0].lower()
    spoken, voice = (builtin.language, builtin.voice) if language in WORDS else (ENGLISH, "")
    language = language if language in WORDS else ENGLISH
    match builtin.phrase:
        case "place":
            text = (
                _place_ja(builtin.number) if language == "ja" else f"You are number {builtin.number} in line."
            )
        case "wait":
            text = _wait_ja(builtin.number) if language == "ja" else _wait_en(builtin.number)
        case fixed:
            text = WORDS[language][fixed]
    return Say(spoken, voice, text)


def _wait_en(minutes: int) -> str:
    return f"The expected wait is about {minutes} minute{'' if minutes == 1 else 's'}."


def _place_ja(place: int) -> str:
    return f"ただいま、{_read_ja(place)}ばんめで、おまちいただいております。"


def _wait_ja(minutes: int) -> str:
    return f"おまちじかん、やく、{_minutes_ja(minutes)}です。"


def _read_ja(number: int) -> str:
    """A number from 1 to 99, as it is read."""
    return _tens_ja(number // 10) + _ONES[number % 10]


def _tens_ja(tens: int) -> str:
    return "" if tens == 0 else f"{_ONES[tens] if tens > 1 else ''}じゅう"


def _minutes_ja(minutes: int) -> str:
    tens, ones = divmod(minutes, 10)
    if ones == 0:
        return f"{_ONES[tens] if tens > 1 else ''}じゅっぷん"
    if ones in _BEFORE_MINUTES:
        return f"{_tens_ja(tens)}{_BEFORE_MINUTES[ones]}ぷん"
    return f"{_read_ja(minutes)}ふん"
