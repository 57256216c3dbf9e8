"""Reads the `.env` files of a manifest with `useDotenv: true`. `${env:NAME}` finds their variables too."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from pathlib import Path

import dotenv

from emulator.manifest.variables.resolver import Resolver
from emulator.manifest.yaml import files
from emulator.manifest.yaml.document import ManifestError, Where


def read(resolver: Resolver) -> tuple[dict[str, str], Mapping[Path, files.Stamp]]:
    """The variables, and the files that can have some, stamped before reading. The shell's variables have precedence.

    The framework reads `.env.{stage}`, and `.env` only where that is missing. `.env.local` and `.env.{stage}.local`,
    which the framework leaves out and its dotenv plugin reads, have precedence over both.
    """
    if resolver.manifest.data.get("useDotenv") is not True:
        return {}, {}
    stage = "dev"
    with contextlib.suppress(ManifestError):  # a stage that needs one of these files
        stage = str(resolver.text("${sls:stage}", Where(resolver.manifest, ("provider", "stage"))))
    folder = resolver.manifest.path.parent
    own, common = folder / f".env.{stage}", folder / ".env"
    local = (folder / ".env.local", folder / f".env.{stage}.local")
    stamps = {path: files.stamp(path) for path in (own, common, *local)}
    found: dict[str, str] = {}
    for path in (own if own.exists() else common, *local):
        if path.exists():
            found |= _variables(path)
    return found, stamps


def _variables(path: Path) -> dict[str, str]:
    try:
        text = files.text(path)
    except files.FileError as error:
        raise ManifestError(str(error), path) from None
    values = dotenv.dotenv_values(stream=io.StringIO(text))
    return {name: value for name, value in values.items() if value is not None}
