"""The program that reads Japanese aloud, started by `open_jtalk` for each text and gone after it.

A process of its own, because Open JTalk is C code that meets any text an admin may write: a crash or a hang in it must
not take the calls of the engine down, and its 200 MB are given back. The price is half a second a text.

Argument: JSON with `path` (where Python finds its modules), `out` (the WAV file, or "" for the reading only), `speed`,
`half_tone` and `mora_limit`. Standard input: a sentence a line. Standard output: JSON with the `kana` of each sentence,
how many `moras` there are, and the words `unread` for which the dictionary has no sound. If there are any, or too many
moras, nothing is spoken.
"""

import json
import sys
import wave
from contextlib import redirect_stdout
from importlib import import_module
from typing import Any


def main() -> None:
    """Read standard input aloud."""
    order = json.loads(sys.argv[1])
    sys.path[:] = order["path"]
    with redirect_stdout(sys.stderr):  # It tells there what else could be installed.
        jtalk = import_module("pyopenjtalk")
    # Its guess between なに and なん depends on what else is installed; without it 何番 and 何時 are read rightly.
    read = [jtalk.run_frontend(line, predict_nani=False) for line in sys.stdin.read().splitlines()]
    words = [word for sentence in read for word in sentence]
    unread = [word["string"] for word in words if word["mora_size"] == 0 and _has_letters(word["string"])]
    kana = ["".join(word["pron"] for word in sentence).replace("’", "") for sentence in read]
    moras = sum(word["mora_size"] for word in words)
    if order["out"] and 0 < moras <= order["mora_limit"] and not unread:
        _speak(jtalk, read, order)
    print(json.dumps({"kana": kana, "moras": moras, "unread": unread}))  # noqa: T201 - the answer


def _has_letters(text: str) -> bool:
    return any(char.isalnum() for char in text)


def _speak(jtalk: Any, read: list[Any], order: dict[str, Any]) -> None:
    """Write the sentences one after the other: mono, 16 bits, with the pauses Open JTalk puts at both ends."""
    numpy = import_module("numpy")
    with wave.open(order["out"], "wb") as sound:
        for place, sentence in enumerate(read):
            samples, rate_hz = jtalk.synthesize(
                jtalk.make_label(sentence), order["speed"], order["half_tone"]
            )
            if place == 0:
                sound.setparams((1, 2, rate_hz, 0, "NONE", ""))
            sound.writeframes(numpy.clip(samples, -32_768, 32_767).astype("<i2").tobytes())


if __name__ == "__main__":
    main()
