"""The set-up scripts say what is missing and how to mend it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from flowengine.ari.node import NodeError, find_asterisk

ROOT = Path(__file__).parents[2]


def run(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "tools" / script],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_a_named_asterisk_is_used(tmp_path: Path) -> None:
    asterisk = program(tmp_path / "asterisk", "echo Asterisk 22.10.1")
    done = run("asterisk-tree", FLOWENGINE_ASTERISK=str(asterisk))
    assert (done.returncode, done.stdout) == (0, f"{asterisk}\n")


def test_an_asterisk_that_is_too_old_is_refused(tmp_path: Path) -> None:
    asterisk = program(tmp_path / "asterisk", "echo Asterisk 18.26.4")
    done = run("asterisk-tree", FLOWENGINE_ASTERISK=str(asterisk))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{asterisk} is not an Asterisk >= 20" in done.stderr


def test_an_installed_asterisk_is_preferred_to_building_one(tmp_path: Path) -> None:
    asterisk = program(tmp_path / "bin" / "asterisk", "echo Asterisk certified/20.7-cert5")
    path = f"{asterisk.parent}:{os.environ['PATH']}"
    done = run("asterisk-tree", PATH=path, FLOWENGINE_CACHE=str(tmp_path / "cache"))
    assert (done.returncode, done.stdout) == (0, f"{asterisk}\n")
    assert not (tmp_path / "cache").exists()


def test_a_finished_tree_is_only_named(tmp_path: Path) -> None:
    tree = tmp_path / "asterisk" / "sid-1"
    tree.mkdir(parents=True)
    (tree / ".flowengine-complete").touch()
    done = run("asterisk-tree", PATH="/usr/bin:/bin", FLOWENGINE_CACHE=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{tree}\n", "")


def test_without_root_it_says_how_to_get_an_asterisk(tmp_path: Path) -> None:
    program(tmp_path / "bin" / "id", "echo 1000")
    path = f"{tmp_path / 'bin'}:/usr/bin:/bin"
    done = run("asterisk-tree", PATH=path, FLOWENGINE_CACHE=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert "needs root: run this once as root, or install asterisk >= 20 yourself" in done.stderr


def test_missing_programs_are_named_to_a_person_who_cannot_install_them(tmp_path: Path) -> None:
    for name in ("bash", "mktemp", "sort", "dirname", "ffmpeg", "setpriv", "flock"):
        (tmp_path / name).symlink_to(f"/usr/bin/{name}")
    program(tmp_path / "id", "echo 1000")
    program(tmp_path / "debootstrap", "exit 1")
    (tmp_path / "python3").symlink_to(sys.executable)
    done = run("packages", PATH=str(tmp_path), FLOWENGINE_CACHE=str(tmp_path))
    assert done.returncode == 1
    assert "missing here: espeak-ng npm sip-tester (Debian's names)" in done.stderr
    assert "apt-get install espeak-ng npm sip-tester" in done.stderr


def test_a_python_that_is_too_old_is_passed_over(tmp_path: Path) -> None:
    program(tmp_path / "python3", "exit 1")
    (tmp_path / "python3.12").symlink_to(sys.executable)
    for name in ("bash", "env"):
        (tmp_path / name).symlink_to(f"/usr/bin/{name}")
    done = run("find-python", PATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (0, f"{tmp_path}/python3.12\n")


def test_a_named_python_is_used_or_refused(tmp_path: Path) -> None:
    named = run("find-python", FLOWENGINE_PYTHON=sys.executable)
    assert (named.returncode, named.stdout) == (0, f"{sys.executable}\n")
    old = program(tmp_path / "python2", "exit 1")
    refused = run("find-python", FLOWENGINE_PYTHON=str(old))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"FLOWENGINE_PYTHON={old} is not Python >= 3.11" in refused.stderr


def test_the_engine_finds_the_tree_that_the_script_built(tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "FLOWENGINE_CACHE": str(tmp_path)}
    with pytest.raises(NodeError, match="make asterisk"):
        find_asterisk(environment)
    tree = tmp_path / "asterisk" / "sid-1"
    tree.mkdir(parents=True)
    (tree / ".flowengine-complete").touch()
    assert f"{find_asterisk(environment)}\n" == run("asterisk-tree", **environment).stdout


def test_the_lock_holds_what_pyproject_asks_for_and_no_address() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    locked = {
        (name, version): re.findall(r"--hash=sha256:[0-9a-f]{64}", hashes)
        for name, version, hashes in re.findall(r"^([\w.-]+)==([^\s;]+)(.*(?:\n    .*)*)", lock, re.MULTILINE)
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for line in [*project["dependencies"], *extras["dev"], *extras["postgres"]]:
        wanted = Requirement(line)
        if wanted.name != "flowengine":
            names = [(name, version) for name, version in locked if canonicalize_name(wanted.name) == name]
            assert names, f"{wanted.name} is not in requirements.lock: run `make lock`"
            assert all(wanted.specifier.contains(version) for _, version in names), f"{line}: run `make lock`"
    assert all(locked.values()), "a package without a hash"
    assert "://" not in lock
