"""Run as a program: convert every file of a folder, and print as JSON what each cost.

In a process of its own, whose high-water mark of memory can be put back before each file. Programs are watched in /proc
while they run: the figure that is left of a dead child (ru_maxrss) begins with the memory of its parent.
"""

import json
import resource
import sys
import tempfile
import threading
import time
from pathlib import Path

from recordings import audio
from recordings.errors import SoundError
from tests.recordings.sounds import sine, wav_file

PROC = Path("/proc")
EVERY_S = 0.003


def memory_mib(process: str) -> dict[str, float]:
    """The figures of a process that are in kB, in MiB; none when it is gone."""
    try:
        lines = (PROC / process / "status").read_text().splitlines()
    except OSError:
        return {}
    words = (line.split() for line in lines if line.endswith(" kB"))
    return {word[0].rstrip(":"): int(word[1]) / 1_024 for word in words}


class Watch(threading.Thread):
    """Looks after the programs this process starts: the most memory any of them had for itself."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.private_mib = 0.0
        self.seen = 0

    def run(self) -> None:
        while True:
            for task in (PROC / "self" / "task").iterdir():
                self._look((task / "children").read_text().split())
            time.sleep(EVERY_S)

    def _look(self, children: list[str]) -> None:
        for child in children:
            try:
                started = (PROC / child / "comm").read_text() in ("ffmpeg\n", "ffprobe\n")
            except OSError:
                continue
            if started and (memory := memory_mib(child)) and "VmHWM" in memory:
                self.seen += 1
                # What is of files is the code of its libraries, which all programs share.
                self.private_mib = max(self.private_mib, memory["VmHWM"] - memory["RssFile"])


def cpu_s() -> float:
    """Work so far, here and in programs that have ended."""
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def main() -> None:
    """Convert the files of the folder that is the first argument."""
    programs: list[str] = []
    told = []
    with tempfile.TemporaryDirectory() as room:
        # A good file loads what is loaded once for all.
        good = wav_file(Path(room) / "good.wav", sine(8_000, 0.2, (440, 0.3)))
        audio.canonical(good, Path(room) / "good.out.wav")
        sys.addaudithook(lambda event, what: programs.append(event) if event == "subprocess.Popen" else None)
        watch = Watch()
        watch.start()
        for source in sorted(Path(sys.argv[1]).iterdir()):
            programs.clear()
            watch.private_mib, watch.seen = 0.0, 0
            (PROC / "self" / "clear_refs").write_text("5")  # The high-water mark begins anew.
            before_mib = memory_mib("self")["VmHWM"]
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
                    "own_mib": memory_mib("self")["VmHWM"] - before_mib,
                    "program_mib": watch.private_mib,
                    "programs": len(programs),
                    "looks": watch.seen,
                    "left": (Path(room) / "out.wav").exists(),
                }
            )
    print(json.dumps(told))  # noqa: T201 - what this program is for


main()
