"""`flowengine say`: let a person hear what a caller would."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flowengine.cli.flows import AsJson
from flowengine.cli.player import play_file
from flowengine.cli.screen import MISSING, fail, say, say_json

if TYPE_CHECKING:
    from recordings.speech import Offer, Speeches


def add_to(app: typer.Typer) -> None:
    """Register the command of this file."""
    app.command(name="say")(speak)


def speak(
    text: Annotated[str | None, typer.Argument(metavar="TEXT", help="What to say.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The WAV file to write.")] = Path("said.wav"),
    language: Annotated[
        str | None, typer.Option(help="Language tag, such as ja or en-GB; en-US if not told.")
    ] = None,
    voice: Annotated[
        str, typer.Option(help="A voice of that language, such as mei-low or espeak-ng.f3.")
    ] = "",
    play: Annotated[bool, typer.Option("--play", help="Also play it to the loudspeaker.")] = False,
    voices: Annotated[
        bool, typer.Option("--voices", help="List the engines, their languages and voices instead.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Speak a text into a file exactly as a caller would hear it (8 kHz, mono).

    Exit 0: spoken. 2: the file cannot be written, or the settings are wrong. 3: the text cannot be spoken or played on
    this machine.
    """
    from flowengine.config import BadConfig, load
    from recordings.errors import SoundError
    from recordings.speech import configured

    try:
        settings = load()
        engines = configured(settings.speech_command, settings.speech_languages)
        if voices:
            _list(engines, language, as_json)
        elif text is None:
            fail("there is nothing to say: write a text, or --voices")
        else:
            _speak(engines, text, language or "en-US", voice, out, play, as_json)
    except BadConfig as error:
        fail(str(error))
    except SoundError as error:
        fail(str(error), MISSING)


def _speak(
    engines: "Speeches", text: str, language: str, voice: str, out: Path, play: bool, as_json: bool
) -> None:
    import shutil
    import tempfile

    from recordings import audio
    from recordings.speech import OpenJTalkSpeech

    engine, _ = engines.chosen(language, voice)
    with tempfile.TemporaryDirectory(prefix="flowengine-say-") as folder:
        raw = Path(folder) / "raw.wav"
        engines.speak(text, language, voice, raw)
        sound = audio.canonical(raw, Path(folder) / "said.wav")
        try:
            shutil.copyfile(sound.path, out)
        except OSError as error:
            fail(f"{out}: cannot be written ({error.strerror})")
    read = engine.reading(text).kana if isinstance(engine, OpenJTalkSpeech) else None
    if as_json:
        say_json(
            {
                "file": str(out),
                "seconds": sound.duration_ms / 1000,
                "level_dbfs": round(sound.level_dbfs, 1),
                "language": language,
                "engine": engine.name,
                "reading": read,
            }
        )
    else:
        say(f"{out}: {sound.duration_ms / 1000:.1f} s by {engine.name}")
        if read:
            say(f"read as: {read}")
    if play:
        play_file(out, sound.duration_ms / 1000)


def _list(engines: "Speeches", language: str | None, as_json: bool) -> None:
    """What there is to choose from. An engine that is not installed says how to install it, and is no failure."""
    from dataclasses import asdict

    from recordings.errors import ToolFailed

    offers: list[Offer] = []
    missing: list[str] = []
    for engine in engines.engines:
        try:
            offers.append(engine.offer())
        except ToolFailed as error:
            missing.append(str(error))
    if language is not None:
        offers = [offer for offer in offers if offer.speaks(language)]
    if as_json:
        say_json({"engines": [asdict(offer) for offer in offers], "missing": missing})
        return
    for offer in offers:
        say(f"{offer.engine}: {', '.join(offer.languages) or 'every language'}", "ok")
        say(f"  voices: {', '.join(offer.voices) or 'those of the program'}")
        say(f"  {offer.attribution}")
    for problem in missing:
        say(problem, "warning")
