"""What keeps the stack from starting is reported before it starts."""

import os
import socket

import pytest
from local.ports import listeners
from local.preflight import exit_if, java_problem, port_problems, python_problem

JAVA_17 = 'openjdk version "17.0.15" 2025-04-15'
JAVA_8 = 'java version "1.8.0_392"'
JAVA_21 = 'openjdk version "21" 2023-09-19'
BESIDE = "PORT_OFFSET=10000 make demo"


def test_python_3_11_is_right_and_any_other_is_named_with_the_remedy() -> None:
    assert python_problem((3, 11)) is None
    problem = python_problem((3, 13))
    assert problem is not None
    assert "Python 3.13" in problem
    assert "apt-get install python3.11" in problem


def test_java_17_is_right() -> None:
    assert java_problem(JAVA_17) is None


@pytest.mark.parametrize(
    ("printed", "words"), [(None, "not installed"), (JAVA_8, "Java 8"), (JAVA_21, "Java 21")]
)
def test_another_java_or_none_is_reported_with_the_remedy(printed: str | None, words: str) -> None:
    problem = java_problem(printed)
    assert problem is not None
    assert words in problem
    assert "openjdk-17" in problem


def test_a_taken_port_is_reported_with_its_setting_and_a_way_to_run_beside() -> None:
    with socket.socket() as holder:
        holder.bind(("0.0.0.0", 0))
        holder.listen()
        port = holder.getsockname()[1]
        problems = port_problems({"API_PORT": port}, BESIDE, {})
        owners = listeners()
        named = port_problems({"API_PORT": port}, BESIDE, owners)
    assert problems == [
        f"Port {port} is taken: stop what listens there or set API_PORT to a free port.",
        f"If another stack runs, start this one beside it: {BESIDE}",
    ]
    process, command = owners[port]
    assert process == os.getpid()
    assert named[0] == (
        f"Port {port} is taken by process {process} ({command}): end it with kill {process} "
        "or set API_PORT to a free port."
    )
    assert port_problems({"API_PORT": port}, BESIDE, {}) == []


def test_two_services_on_one_port_are_reported() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (problem,) = port_problems({"API_PORT": port, "MLFLOW_PORT": port}, BESIDE, {})
    assert problem.startswith(f"MLFLOW_PORT and API_PORT are both {port}")


def test_every_problem_is_printed_and_the_exit_code_is_1() -> None:
    with pytest.raises(SystemExit, match=r"^one\ntwo$"):
        exit_if(["one", None, "two"])
    exit_if([None, None])
