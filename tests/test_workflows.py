"""The workflows run code that is pinned, with few rights, and a release knows every image."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.settings import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
DOCKERFILES = sorted(ROOT.glob("Dockerfile.*"))
PINNED = re.compile(
    r"actions/[\w-]+@v\d+"  # GitHub's own
    r"|\./\.github/workflows/[\w-]+\.yml"
    r"|docker://[\w/-]+:\d+\.\d+\.\d+"
    r"|[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+"
)


def load(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text()))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_of_others_is_pinned_by_its_commit(path: Path) -> None:
    used = re.findall(r"uses: (.*)$", path.read_text(), re.MULTILINE)
    assert used
    assert [action for action in used if not PINNED.fullmatch(action)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_read_and_a_job_has_a_limit(path: Path) -> None:
    workflow = load(path.name)
    assert workflow["permissions"] == {"contents": "read"}
    assert all("timeout-minutes" in job for job in workflow["jobs"].values() if "steps" in job)


def test_nothing_is_published_before_tests_audit_and_scan() -> None:
    jobs = load("release.yml")["jobs"]
    assert {"test", "packages"} <= set(jobs["images"]["needs"])
    assert jobs["release"]["needs"] == "images"
    names = [step.get("uses", "").split("@")[0] for step in jobs["images"]["steps"]]
    first, second = (i for i, name in enumerate(names) if name == "docker/build-push-action")
    assert "push" not in jobs["images"]["steps"][first]["with"]
    assert first < names.index("anchore/scan-action") < second
    writing = {name for name, job in jobs.items() if "write" in str(job.get("permissions"))}
    assert writing == {"images", "release"}


def test_a_release_has_every_image_on_the_base_that_the_dockerfiles_name() -> None:
    workflow = load("release.yml")
    built = workflow["jobs"]["images"]["strategy"]["matrix"]["image"]
    assert {f"Dockerfile.{name}" for name in built} == {path.name for path in DOCKERFILES}
    bases = {
        base
        for path in DOCKERFILES
        for base in re.findall(r"^FROM (\S+:\S+)", path.read_text(), re.MULTILINE)
    }
    assert bases == {workflow["env"]["BASE"]}


def test_the_notes_of_a_release_are_the_changelogs_section() -> None:
    steps = load("release.yml")["jobs"]["release"]["steps"]
    (command,) = [step["run"] for step in steps if "awk" in step.get("run", "")]
    awk = command.split(" > notes.md")[0]
    notes = subprocess.run(
        ["bash", "-euc", awk],
        cwd=ROOT,
        env={"GITHUB_REF_NAME": "v0.5.0", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    text = (ROOT / "CHANGELOG.md").read_text()
    assert notes in text
    assert notes.strip() and "## [" not in notes
    assert text.split(notes)[0].rstrip("\n").splitlines()[-1].startswith("## [0.5.0]")


def test_actionlint_finds_nothing() -> None:
    """CI builds it, and its workflow runs it as a job of its own: Debian has no package of it."""
    program = shutil.which("actionlint")
    if program is None:
        pytest.skip("actionlint is not installed (go install github.com/rhysd/actionlint/cmd/…)")
    done = subprocess.run([program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
