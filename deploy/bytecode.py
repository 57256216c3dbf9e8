"""`python deploy/bytecode.py ZIP`: add bytecode for the Python that runs this to every module in a zip for Lambda."""

import compileall
import py_compile
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

_TASK = "/var/task"  # where Lambda unpacks the zip; tracebacks name the files there
_MODE = 0o100644 << 16


def add_bytecode(path: str) -> None:
    """Compile every module of the zip. Their times do not count at run time: nobody changes a deployed module."""
    with TemporaryDirectory() as folder, zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.extractall(folder)
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        if not compileall.compile_dir(folder, ddir=_TASK, quiet=1, force=True, invalidation_mode=mode):
            sys.exit("a module cannot be compiled")
        for file in sorted(Path(folder).rglob("*.pyc")):
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix())
            entry.external_attr = _MODE
            archive.writestr(entry, file.read_bytes(), zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    add_bytecode(sys.argv[1])
