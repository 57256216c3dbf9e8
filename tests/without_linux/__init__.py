"""A mode of the tests in which nothing is there that only Linux has: as on macOS, for this Python and all it starts.

`TESTS_WITHOUT_LINUX=1` switches it on, for the tests alone: the project itself does not know it. `sys.executable`
becomes a script that starts the same Python with `sitecustomize` in its path, whatever environment it is given.
"""

import atexit
import importlib
import os
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

VARIABLE = "TESTS_WITHOUT_LINUX"
HERE = str(Path(__file__).parent)
SCRIPT = """#!/bin/sh
{variable}="$0" PYTHONPATH={here}${{PYTHONPATH:+:$PYTHONPATH}} exec {python} "$@"
"""


def enter() -> None:
    """Enter the mode when the variable asks for it."""
    asked = os.environ.pop(VARIABLE, "")
    if asked:
        folder = tempfile.mkdtemp(prefix="without-linux-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        script = Path(folder, "python")
        script.write_text(SCRIPT.format(variable=VARIABLE, here=shlex.quote(HERE), python=shlex.quote(sys.executable)))
        script.chmod(0o755)
        importlib.import_module("tests.without_linux.sitecustomize").hide(str(script))
