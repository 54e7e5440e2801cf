"""Compares what pip installed with the lock, for the images.

    pip install --report REPORT …
    python check_hashes.py REPORT hashes.txt

pip's own `--require-hashes` needs a lock for each image; this needs one for all, since an image has
some of its packages. Ends with 1 and the names of packages that the lock lacks, or has in another
version or with other files. It imports Python's own modules alone: an image has no other yet.
"""

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def canonical(name: str) -> str:
    """A package's name as all its spellings have it.

    >>> canonical("backports.zstd")
    'backports-zstd'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(text: str) -> dict[tuple[str, str], set[str]]:
    """The SHA-256 digests of every file of a package, by its canonical name and its version."""
    packages: dict[tuple[str, str], set[str]] = {}
    for line in text.replace("\\\n", " ").splitlines():
        if found := re.match(r"([\w.-]+)==(\S+)", line):
            digests = set(re.findall(r"--hash=sha256:([0-9a-f]+)", line))
            packages[canonical(found[1]), found[2]] = digests
    return packages


def unlisted(report: Mapping[str, Any], lock: str) -> list[str]:
    """Every package of pip's report of which the lock does not list the file, as name==version."""
    packages = locked(lock)
    wrong = []
    for item in report["install"]:
        name, version = item["metadata"]["name"], item["metadata"]["version"]
        digest = item["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256")
        if digest not in packages.get((canonical(name), version), set()):
            wrong.append(f"{name}=={version}")
    return wrong


if __name__ == "__main__":
    installed = json.loads(Path(sys.argv[1]).read_text())
    if wrong := unlisted(installed, Path(sys.argv[2]).read_text()):
        sys.exit(f"Not the files that hashes.txt lists: {', '.join(wrong)}")
