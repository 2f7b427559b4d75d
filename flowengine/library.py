"""The library of an installation as commands beside its engine open it: it is used, and never made.

To open a library makes it when it is not there. For an engine that starts that is right; a command that looks for one
recording would turn the empty mount point of an unmounted volume into an empty library.
"""

from pathlib import Path

from flowengine.config import Settings
from recordings.errors import LibraryUnavailable
from recordings.library import RecordingLibrary
from recordings.storage_disk import MARK


def open_library(settings: Settings) -> RecordingLibrary:
    """The library that an engine with these settings has made, or a bucket.

    Raises:
        LibraryUnavailable: the folder is not there, or it is none of a library.
        RecordingRefused: a wrong address, or the extra `s3` is not installed.
    """
    address = settings.recordings
    if not address.startswith("s3:") and not (Path(address) / MARK).is_file():
        reason = f"there is no library in {address} (no {MARK} in it)"
        mend = "mount its volume, correct FLOWENGINE_RECORDINGS_AT, or start an engine, which makes it"
        raise LibraryUnavailable("recordings", reason, mend)
    return RecordingLibrary.at(address, settings.recordings_dir)
