"""Run as a program: convert every file of a folder, and print as JSON what each cost and all of them together.

In a process of its own, because memory is told as a high-water mark: of this process, and of the largest child.
"""

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from recordings import audio
from recordings.errors import SoundError
from tests.recordings.sounds import sine, wav_file

OWN, CHILDREN = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN


def cpu_s() -> float:
    """Work so far, here and in programs that have ended."""
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, (OWN, CHILDREN)))


def peaks_mib() -> tuple[float, float]:
    """The most memory so far, here and in the largest program."""
    return resource.getrusage(OWN).ru_maxrss / 1_024, resource.getrusage(CHILDREN).ru_maxrss / 1_024


def main() -> None:
    """Convert the files of the folder that is the first argument."""
    programs: list[str] = []
    told = []
    with tempfile.TemporaryDirectory() as room:
        # A good file loads what is loaded once for all; a program like ffmpeg takes some 50 MiB for its code alone.
        good = wav_file(Path(room) / "good.wav", sine(8_000, 0.2, (440, 0.3)))
        audio.canonical(good, Path(room) / "good.out.wav")
        sys.addaudithook(lambda event, what: programs.append(event) if event == "subprocess.Popen" else None)
        own_mib, child_mib = peaks_mib()
        for source in sorted(Path(sys.argv[1]).iterdir()):
            programs.clear()
            began, worked = time.perf_counter(), cpu_s()
            refusal = None
            try:
                audio.canonical(source, Path(room) / "out.wav")
            except SoundError as error:
                refusal = [error.name, error.reason, error.mend]
            told.append(
                {
                    "file": source.name,
                    "refusal": refusal,
                    "wall_s": time.perf_counter() - began,
                    "cpu_s": cpu_s() - worked,
                    "programs": len(programs),
                    "left": (Path(room) / "out.wav").exists(),
                }
            )
        own_after_mib, child_after_mib = peaks_mib()
    extra_mib = own_after_mib - own_mib + child_after_mib - child_mib
    print(json.dumps({"files": told, "extra_mib": extra_mib}))  # noqa: T201 - what this program is for


main()
