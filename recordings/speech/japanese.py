"""Japanese text made ready for Open JTalk: what its dictionary reads otherwise than a receptionist would.

Open JTalk reads kanji, dates, amounts and telephone numbers well. It keeps silent where a clock time has a colon, a
range a wave, a key of the telephone a sign. And it reads a few words wrongly that a telephone says all day. Each rule
here is one such case, found by reading its output.
"""

import re
import unicodedata
from collections.abc import Callable
from typing import Final

from recordings.errors import SpeechRefused

PREPARATION: Final = "1"
"""Raise it when the same text would be prepared differently."""
SENTENCE_LIMIT: Final = 160
"""Characters; some 25 s of speech. Open JTalk holds a whole sentence in memory, 1.2 MB a second."""

_WORD: Final = r"0-9A-Za-zぁ-ゖァ-ヺー一-鿿々"
_WEEKDAY: Final = "月火水木金土日"
_READABLE: Final = re.compile(
    r"[0-9A-Za-zΑ-Ωα-ωぁ-ゖゝ-ゟァ-ヺー-ヿ々〆〇㐀-䶿一-鿿\uf900-\ufaff\U00020000-\U000323af]"
)
_SPOKEN_IN_ADDRESSES: Final = {
    "@": "アットマーク",
    ".": "ドット",
    "/": "スラッシュ",
    ":": "コロン",
    "_": "アンダーバー",
    "-": "ハイフン",
}


def sentences(text: str) -> list[str]:
    """The text as Open JTalk shall read it, a sentence an entry. Raises `SpeechRefused` for other scripts."""
    plain = _plain(text)
    strange = sorted({char for char in plain if char.isalnum() and not _READABLE.match(char)})
    if strange:
        reason = f"Open JTalk cannot read {' '.join(strange[:10])}"
        raise SpeechRefused(
            "Japanese text", reason, "write it as it is spoken, in kana, or name its language"
        )
    for pattern, words in _RULES:
        plain = pattern.sub(words, plain)
    return [part for whole in _ENDS.split(plain) for part in _bounded(whole.strip(" 、"))]


def _plain(text: str) -> str:
    """One form for each character: no full-width digits, no half-width kana, no accents on Latin letters."""
    return "".join(_without_accent(char) for char in unicodedata.normalize("NFKC", text))


def _without_accent(char: str) -> str:
    base = unicodedata.normalize("NFD", char)[0]
    return base if base.isascii() and base.isalpha() else char


def _bounded(sentence: str) -> list[str]:
    """Pieces that Open JTalk can hold, cut at commas if there are any."""
    pieces = []
    while len(sentence) > SENTENCE_LIMIT:
        cut = sentence.rfind("、", 1, SENTENCE_LIMIT) + 1 or SENTENCE_LIMIT
        pieces.append(sentence[:cut])
        sentence = sentence[cut:]
    return [piece for piece in (*pieces, sentence) if any(char.isalnum() for char in piece)]


def _clock(found: re.Match[str]) -> str:
    minutes = int(found[2])
    return f"{int(found[1])}時{f'{minutes}分' if minutes else ''}"


def _day(found: re.Match[str]) -> str:
    year, month, day = found.groups()
    return f"{year + '年' if year else ''}{int(month)}月{int(day)}日"


def _weekdays(found: re.Match[str]) -> str:
    """A row or range of weekdays, which alone would be read as moon, fire and water."""
    days = re.findall(rf"祝日?|[{_WEEKDAY}]|.", found[0])
    said = {"祝": "祝日", "祝日": "祝日", "〜": "から", "~": "から", "-": "から"}
    return "".join(f"{day}曜" if day in _WEEKDAY else said.get(day, "・") for day in days)


def _address(found: re.Match[str]) -> str:
    return re.sub(r"[@./:_-]", lambda sign: f" {_SPOKEN_IN_ADDRESSES[sign[0]]} ", found[0])


_ENDS: Final = re.compile(r"(?<=[。!?])(?![。!?」』)])")
_MONTH_DAY: Final = r"(1[0-2]|0?[1-9])/(3[01]|[12]\d|0?[1-9])"
_RULES: Final[tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...]] = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        # Addresses of the Internet, before their signs mean anything else.
        (r"https?://[A-Za-z0-9_./-]*[A-Za-z0-9]", _address),
        (r"(?<![A-Za-z0-9_.+-])[A-Za-z0-9][A-Za-z0-9_.+-]*@[A-Za-z0-9.-]+[A-Za-z0-9]", _address),
        (r"(?<![A-Za-z0-9.-])(?:[A-Za-z0-9-]+\.)+(?:com|net|org|jp)(?![A-Za-z0-9.])", _address),
        # Days and times.
        (r"(?<![\d/-])(\d{4})[/-](\d{1,2})[/-](\d{1,2})(?![\d/-])", _day),
        (rf"(?<![\d/-])(){_MONTH_DAY}(?=[〜~(-])", _day),
        (rf"(?<=[〜~-])(){_MONTH_DAY}(?![\d/-])", _day),
        (r"(?<![\d:])([01]?\d|2[0-4]):([0-5]\d)(?![\d:])", _clock),
        (r"(?<![\d月])1日(?=\()", "ついたち"),
        (rf"(?<![{_WORD}])(?:[{_WEEKDAY}][〜~・/、,-])+(?:[{_WEEKDAY}](?!曜)|祝日?)", _weekdays),
        (r"(?<![\d-])(\d{1,2})[〜~-](?=\d{1,2}時)", r"\1時から"),
        (r"(?<![\d-])(\d+)-(?=\d+[月日年名人円分])", r"\1から"),
        (r"(?<=[時分日月曜])-(?=\d)", "から"),
        (rf"(?<=[{_WORD})]) ?[〜~] ?(?=[{_WORD}])", "から"),
        # Signs that have a name.
        (r"¥(\d[\d,]*)", r"\1円"),
        (r"#", "シャープ"),
        (r"\*", "コメジルシ"),
        (r"〒(?=\d)", "郵便番号"),
        (r"\+(?=\d)", "プラス"),
        (r"(\d) ?\((\d+)\) ?(?=\d)", r"\1-\2-"),
        (r"(?i)(?<![A-Za-z])TEL(?![A-Za-z])", "電話"),
        (r"(?<![A-Za-z])No\.? ?(?=\d)", "ナンバー"),
        (r"(?<=\d)F(?![A-Za-z])", "階"),
        # Words of the telephone. カタ in katakana: after かた, は would be read ha.
        (r"(?<=の)(?<![ら右左前後上下]の)方(?=[はもへでに、。])", "カタ"),
        (r"(?<=ない)方(?=[はもへでに、。])", "カタ"),
        (r"お話し", "おはなし"),
        (
            r"(?<!にち)はち(?=ばん|じ|がつ|にち|にん|えん|ふん|ぷん|ねん|かい|ごう)",
            "ハチ",
        ),  # Else は is read wa.
        (r"有り?難う", "ありがとう"),
        (r"何なりと", "なんなりと"),
        # A space beside kanji is where the line was broken: a breath. Between kana it only parts words.
        (r"(?<=[一-鿿々]) (?=[ぁ-ゖァ-ヺ一-鿿0-9])|(?<=[ぁ-ゖァ-ヺー]) (?=[一-鿿])", "、"),
        (r"(?<=-\d{4}) (?=[ぁ-ゖァ-ヺ一-鿿])", "、"),
    )
)
