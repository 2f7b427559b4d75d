"""What the product says of itself when the flow has no words for it. Japanese in kana, so that any engine reads it."""

from typing import Final

from recordings.keys import Builtin, Phrase, Say

ENGLISH: Final = "en"
WORDS: Final[dict[str, dict[Phrase, str]]] = {
    "en": {
        "goodbye": "Thank you for calling. Goodbye.",
        "apology": "We are sorry. Something went wrong on our side. Please call again a little later.",
    },
    "ja": {
        "goodbye": "おでんわ、ありがとうございました。しつれいいたします。",
        "apology": "もうしわけございません。ただいま、おつなぎできません。しばらくしてから、おかけなおしください。",
    },
}


def words(builtin: Builtin) -> Say:
    """The phrase in the caller's language, or in English where we have none."""
    spoken = WORDS.get(builtin.language.partition("-")[0].lower())
    if spoken is None:
        return Say(ENGLISH, "", WORDS[ENGLISH][builtin.phrase])
    return Say(builtin.language, "", spoken[builtin.phrase])
