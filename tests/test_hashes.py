"""Every pinned package has the digests of its files, and what installs packages asks for them."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from local.check_hashes import canonical, locked, unlisted

from core.settings import ROOT

LOCK = (ROOT / "hashes.txt").read_text()
DOCKERFILES = sorted(ROOT.glob("Dockerfile.*"))
NUMBA = next(package for package in locked(LOCK) if package[0] == "numba")


def report(name: str = "Numba", version: str = NUMBA[1], **hashes: str) -> dict[str, Any]:
    """What `pip install --report` writes of one package."""
    downloaded = {"url": "https://…/numba.whl", "archive_info": {"hashes": hashes}}
    return {
        "install": [{"metadata": {"name": name, "version": version}, "download_info": downloaded}]
    }


def test_the_lock_has_every_pinned_version_and_no_other() -> None:
    pinned = re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert set(locked(LOCK)) == {(canonical(name), version) for name, version in pinned}, (
        "run: make hashes"
    )


def test_each_package_has_digests_and_the_lock_names_no_index() -> None:
    assert all(digests for digests in locked(LOCK).values())
    assert (
        re.sub(
            r"^[\w.-]+==\S+ \\$|^    --hash=sha256:[0-9a-f]{64}( \\)?$", "", LOCK, flags=re.M
        ).strip()
        == ""
    )


def test_the_lock_has_the_files_of_every_platform() -> None:
    """numba has a file for each Python of Linux on both processors, macOS and Windows."""
    assert len(locked(LOCK)[NUMBA]) > 10


def test_a_file_that_the_lock_does_not_list_is_named() -> None:
    digest = sorted(locked(LOCK)[NUMBA])[0]
    assert unlisted(report(sha256=digest), LOCK) == []
    assert unlisted(report(sha256=digest[::-1]), LOCK) == [f"Numba=={NUMBA[1]}"]
    assert unlisted(report(), LOCK) == [f"Numba=={NUMBA[1]}"]
    assert unlisted(report(version="0.1", sha256=digest), LOCK) == ["Numba==0.1"]
    assert unlisted(report(name="other", sha256=digest), LOCK) == [f"other=={NUMBA[1]}"]
    assert unlisted({"install": []}, LOCK) == []


def test_a_build_ends_where_a_file_is_another(tmp_path: Path) -> None:
    script, lock = ROOT / "local" / "check_hashes.py", ROOT / "hashes.txt"
    file = tmp_path / "report.json"
    for hashes, status in (({"sha256": max(locked(LOCK)[NUMBA])}, 0), ({"sha256": "0"}, 1)):
        file.write_text(json.dumps(report(**hashes)))
        command = [sys.executable, "-I", str(script), str(file), str(lock)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == status
        assert ("Numba==" in done.stderr) == bool(status)


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda p: p.name)
def test_an_image_is_built_of_the_files_in_the_lock(path: Path) -> None:
    text = " ".join(path.read_text().replace("\\\n", " ").split())
    assert "pip install --no-cache-dir" in text
    installs = re.findall(
        r"pip --python \S+ install .*?-r requirements\.txt && (\S+ \S+ \S+ \S+)", text
    )
    assert installs == ["python local/check_hashes.py report.json hashes.txt"]
    assert "--report report.json" in text


def test_make_installs_by_hash_alone() -> None:
    installs = re.findall(r"pip install .*", (ROOT / "Makefile").read_text())
    assert len(installs) == 2
    assert "--require-hashes --no-deps -r hashes.txt" in installs[0]
    assert installs[1].endswith("--no-deps -e .")
