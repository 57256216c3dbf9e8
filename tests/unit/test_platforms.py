"""Systems other than Linux: what is said on Windows, and that the mode without Linux's calls reaches every process."""

import os
import subprocess
import sys

import pytest


def run(program: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a Python of its own."""
    return subprocess.run(
        [sys.executable, "-c", program], env=os.environ | variables, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "start",
    [
        "import runpy; runpy.run_module('emulator', run_name='__main__')",
        "import functions.create",
        "import shared.clock",
    ],
)
def test_windows_is_told_of_wsl_in_one_line(start: str) -> None:
    ended = run(f"import sys; sys.platform = 'win32'\n{start}")
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: ")
    assert ended.stderr.count("\n") == 1
    assert "WSL" in ended.stderr


LOOK = """import fcntl, os
print(hasattr(fcntl, "F_OFD_SETLK"), hasattr(os, "pidfd_open"))
open("/proc/self/status")
"""


def test_the_mode_without_linux_reaches_a_child_that_inherits_no_environment() -> None:
    start = f"subprocess.run([sys.executable, '-c', {LOOK!r}], env={{}})"
    ended = run(f"import tests, subprocess, sys\n{start}", TESTS_WITHOUT_LINUX="1")
    assert ended.stdout == "False False\n"
    assert "No such file or directory: '/proc/self/status'" in ended.stderr
