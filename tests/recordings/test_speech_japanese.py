"""How Japanese is read, kanji, numbers and all: text put right by us, and read by Open JTalk's dictionary."""

import re
import time
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings import keys, phrases
from recordings.errors import SpeechRefused
from recordings.speech import OpenJTalkSpeech
from recordings.speech.japanese import SENTENCE_LIMIT, sentences

READ = {
    # What every line says
    "お電話ありがとうございます": "オデンワアリガトーゴザイマス",
    "営業時間は午前九時から午後五時三十分までです": "エーギョージカンワゴゼンクジカラゴゴゴジサンジュップンマデデス",
    "発信音の後に、お名前とご用件をお話しください": "ハッシンオンノアトニ、オナマエトゴヨーケンヲオハナシクダサイ",
    "ただいま大変込み合っております": "タダイマタイヘンコミアッテオリマス",
    "誠に有難う御座います": "マコトニアリガトーゴザイマス",
    "弊社担当者より折り返しご連絡いたします": "ヘーシャタントーシャヨリオリカエシゴレンラクイタシマス",
    "代表取締役、経理部、受付": "ダイヒョートリシマリヤク、ケーリブ、ウケツケ",
    "東京都千代田区霞が関1丁目、大阪市北区梅田": "トーキョートチヨダクカスミガセキイッチョーメ、オーサカシキタクウメダ",
    "㈱日本橋商事": "カブシキガイシャニホンバシショージ",
    "つうわを ろくおんさせていただきます": "ツーワヲロクオンサセテイタダキマス",
    "もしもし 山田です": "モシモシ、ヤマダデス",
    "はちばん、じゅうはちばんめ、はちじ": "ハチバン、ジューハチバンメ、ハチジ",
    # Keys and choices
    "1番、2番、3番、4番、5番、6番、7番、8番、9番、0番": (
        "イチバン、ニバン、サンバン、ヨンバン、ゴバン、ロクバン、ナナバン、ハチバン、キューバン、ゼロバン"
    ),
    "終わりましたら#を、もう一度は＊を押してください": (
        "オワリマシタラシャープヲ、モーイチドワコメジルシヲオシテクダサイ"
    ),
    "お急ぎの方は9を、お持ちでない方は0を": "オイソギノカタワキューヲ、オモチデナイカタワゼロヲ",
    "こちらの方が、左の方へ": "コチラノホーガ、ヒダリノホーエ",
    "何番ですか、何時でも何なりと": "ナンバンデスカ、ナンジデモナンナリト",
    # Telephone numbers, digit by digit
    "03-1234-5678": "ゼロサン、イチニーサンヨン、ゴーロクナナハチ",
    "０１２０－４４４－１１３": "ゼロイチニーゼロ、ヨンヨンヨン、イチイチサン",
    "0312345678": "ゼロサンイチニーサンヨンゴーロクナナハチ",
    "TEL 03(1234)5678": "デンワ、ゼロサン、イチニーサンヨン、ゴーロクナナハチ",
    "+81-3-1234-5678": "プラスハチイチ、サン、イチニーサンヨン、ゴーロクナナハチ",
    # Dates
    "2026年4月1日": "ニセンニジューロクネンシガツツイタチ",
    "2026/4/1": "ニセンニジューロクネンシガツツイタチ",
    "11月21日(土)": "ジューイチガツニジューイチニチドヨービ",
    "1月3日(月・祝)": "イチガツミッカ、ゲツヨー、シュクジツ",
    "4月2日、3日、4日、5日、6日、7日、8日、9日、10日": (
        "シガツフツカ、ミッカ、ヨッカ、イツカ、ムイカ、ナノカ、ヨーカ、ココノカ、トーカ"
    ),
    "14日、20日、24日": "ジューヨッカ、ハツカ、ニジューヨッカ",
    "12/29〜1/3": "ジューニガツニジュークニチカライチガツミッカ",
    # Opening hours
    "営業時間は9:00〜17:30です": "エーギョージカンワクジカラジューシチジサンジュップンデス",
    "平日9-17時": "ヘージツクジカラジューシチジ",
    "月〜金 9:05～18:00": "ゲツヨーカラキンヨー、クジゴフンカラジューハチジ",
    "土・日・祝日は休みです": "ドヨー、ニチヨー、シュクジツワヤスミデス",
    "4時、7時、9時": "ヨジ、シチジ、クジ",
    "1分、3分、4分、6分、8分、10分": "イップン、サンプン、ヨンプン、ロップン、ハチフン、ジュップン",
    # Amounts and counters
    "¥1,980、12,345円": "センキューヒャクハチジューエン、イチマンニセンサンビャクヨンジューゴエン",
    "1人、2人、3名様": "ヒトリ、フタリ、サンメーサマ",
    "3階、5F": "サンガイ、ゴカイ",
    "〒100-0001 東京都": "ユービンバンゴーイチマルマルノゼロゼロゼロイチ、トーキョート",
    # Latin letters and addresses
    "Café、ABC、No.3": "カフェ、エイビーシー、ナンバーサン",
    "info@example.jp": "インフォアットマークエグザンプルドットジェーピー",
    "https://example.com": "エイチティーティーピーエスコロンスラッシュスラッシュエグザンプルドットコム",
}


@pytest.fixture(scope="module")
def read() -> dict[str, str]:
    """All of `READ` by one process of Open JTalk."""
    found = OpenJTalkSpeech().reading("。".join(READ)).sentences
    return {text: kana.strip("、") for text, kana in zip(READ, found, strict=True)}


@pytest.mark.parametrize("text", READ)
def test_it_is_read_as_a_receptionist_would(read: dict[str, str], text: str) -> None:
    pauses_as_commas = read[text].replace("、、", "、")
    assert pauses_as_commas == READ[text]


def test_the_phrases_of_the_product_are_read_as_their_kana() -> None:
    """Long vowels and particles aside, what is written is what is said: は in はち is no particle."""
    words = [
        *(phrases.words(keys.Builtin(phrase, "ja")).text for phrase in get_args(keys.Fixed)),
        *(phrases.words(keys.Builtin("place", "ja", number)).text for number in range(1, 21)),
        *(
            phrases.words(keys.Builtin("wait", "ja", minutes)).text
            for minutes in (1, 2, 3, 5, 10, 15, 20, 30)
        ),
    ]
    read = OpenJTalkSpeech().reading("。".join(text.replace("。", "、") for text in words)).sentences
    assert [consonants(kana) for kana in read] == [consonants(text) for text in words]


def consonants(kana: str) -> str:
    """Katakana without signs, vowels and long marks, which are written in more ways than said."""
    katakana = "".join(chr(ord(char) + 0x60) if "ぁ" <= char <= "ゖ" else char for char in kana)
    return re.sub(r"[、。アイウエオー]", "", katakana)


def test_sentences_end_where_they_end() -> None:
    assert sentences("はい。「はい。」と言って!本当?!では") == [
        "はい。",
        "「はい。」と言って!",
        "本当?!",
        "では",
    ]
    assert sentences("……。※。はい。") == ["はい。"]


def test_a_sentence_without_an_end_is_cut_at_a_comma_or_anywhere() -> None:
    spoken = sentences("あいうえお、" * 100)
    assert {part[-2:] for part in spoken} <= {"お、", "えお"}
    assert [len(part) for part in sentences("あ" * 400)] == [SENTENCE_LIMIT, SENTENCE_LIMIT, 80]


@pytest.mark.parametrize("text", ["한국어です", "ไทย です", "Привет", "שלום"])
def test_other_scripts_are_refused_and_named(text: str) -> None:
    with pytest.raises(SpeechRefused, match="cannot read") as caught:
        sentences(text)
    assert text[0] in str(caught.value) or text[1] in str(caught.value)


@given(st.text(st.sampled_from("あ漢カ月日方の1209:/-~〜.#*+()¥@aF 。、!?「」お話し祝・"), max_size=60))
def test_whatever_is_written_comes_in_pieces_that_can_be_spoken(text: str) -> None:
    pieces = sentences(text)
    assert all(any(char.isalnum() for char in piece) and len(piece) <= SENTENCE_LIMIT for piece in pieces)
    assert all(piece.isprintable() for piece in pieces)


@pytest.mark.parametrize(
    "unit", ["a-", "a.", "1/", "月・", "1:", "a@", "a.b@", "1(", "-", "の", " あ", "1-1", "https://a"]
)
def test_no_text_takes_long(unit: str) -> None:
    text = unit * (5_000 // len(unit))
    begun = time.process_time()
    sentences(text)
    assert time.process_time() - begun < 1.0
