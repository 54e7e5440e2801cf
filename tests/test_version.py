"""The version has one home, `pyproject.toml`; whatever repeats it agrees."""

import re
import tomllib

from core.settings import ROOT

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_every_image_is_labelled_with_the_version() -> None:
    for path in sorted(ROOT.glob("Dockerfile.*")):
        labels = re.findall(r'org\.opencontainers\.image\.version="(.*)"', path.read_text())
        assert labels == [VERSION], path.name


def test_the_changelog_starts_with_the_version_or_with_what_is_not_released() -> None:
    headings = re.findall(r"^## \[(.*?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    released = [heading for heading in headings if heading != "Unreleased"]
    assert released[0] == VERSION
    assert headings.index(VERSION) <= 1
