"""The environment variables of a function: the manifest's and Lambda's own, not the shell's."""

from __future__ import annotations

import fnmatch
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from emulator.manifest.account import api_host
from emulator.manifest.model import Function, Manifest
from emulator.manifest.yaml.limits import MAX_BYTES

FROM_THE_HOST = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""Some Pythons do not start without these; Lambda sets the first two as well."""


LOCAL = {"AWS_SAM_LOCAL": "true", "IS_OFFLINE": "true"}
"""By these many projects see that they do not run on AWS."""
DUMMY_KEYS = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"), "local")
"""On AWS these are the role's. Without any, AWS's clients refuse to work, even with a server on this machine."""
_CREDENTIALS = (
    *DUMMY_KEYS,
    "AWS_PROFILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)


class EnvFileError(Exception):
    """A file of variables that cannot be read, and the line where that shows."""


def read(path: Path) -> dict[str, str]:
    """A file of NAME=VALUE lines; quotes around a value, `export` before a name and # comments are understood."""
    try:
        with path.open("rb") as file:  # also a pipe, such as <(command)
            content = file.read(MAX_BYTES + 1)
        lines = content.decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise EnvFileError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None
    if len(content) > MAX_BYTES:
        raise EnvFileError(f"{path}: is larger than {MAX_BYTES:,} bytes")
    values = {}
    for number, line in enumerate(lines, 1):
        text = line.strip().removeprefix("export ").strip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals or not name.strip().isidentifier():
            raise EnvFileError(f"{path}:{number}: must be NAME=VALUE")
        if "\0" in value:
            raise EnvFileError(f"{path}:{number}: the value has a NUL character")
        value = value.strip()
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
        values[name.strip()] = value[1:-1] if quoted else value
    return values


def passed(patterns: Iterable[str]) -> dict[str, str]:
    """The shell's variables whose names match one of the patterns."""
    return {
        name: value
        for name, value in os.environ.items()
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
    }


def of_lambda(function: Function, manifest: Manifest) -> dict[str, str]:
    """The variables that Lambda itself sets for a new environment."""
    today = datetime.now(UTC).strftime("%Y/%m/%d")
    logs = function.logs
    return {
        **region(manifest),
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.runtime}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_size),
        "AWS_LAMBDA_FUNCTION_NAME": function.full_name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_FORMAT": "JSON" if logs.json else "Text",
        "AWS_LAMBDA_LOG_GROUP_NAME": logs.group or f"/aws/lambda/{function.full_name}",
        **({"AWS_LAMBDA_LOG_LEVEL": logs.application_level} if logs.json else {}),
        "AWS_LAMBDA_LOG_STREAM_NAME": f"{today}/[$LATEST]{uuid.uuid4().hex}",
        "LAMBDA_TASK_ROOT": str(manifest.root(function)),
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "_HANDLER": function.handler,
    }


def region(manifest: Manifest) -> dict[str, str]:
    """The variables by which AWS's clients find their region."""
    return dict.fromkeys(("AWS_DEFAULT_REGION", "AWS_REGION"), manifest.region)


def local(given: Mapping[str, str]) -> dict[str, str]:
    """The variables that say that this is no AWS, and keys that open nothing unless credentials are given."""
    return LOCAL if any(name in given for name in _CREDENTIALS) else {**DUMMY_KEYS, **LOCAL}


def endpoints(url: str, given: Mapping[str, str]) -> dict[str, str]:
    """The variables by which AWS's clients find the emulator's own APIs, unless it is no server or others are given."""
    found = {"AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI": url, "AWS_ENDPOINT_URL_LAMBDA": url} if url else {}
    if "AWS_ENDPOINT_URL" in given:  # the project's own server for all services; connections are only here
        found.pop("AWS_ENDPOINT_URL_LAMBDA", None)
    return {name: value for name, value in found.items() if name not in given}


def addressed(function: Function, region: str, url: str) -> dict[str, str]:
    """The manifest's variables. Where they have AWS's address of the project's WebSocket API, the emulator's is put."""
    host = api_host(region)
    if not url or not any(host in value for value in function.environment.values()):
        return dict(function.environment)
    here = {f"https://{host}": url, f"wss://{host}": f"ws{url.removeprefix('http')}"}
    found = dict(function.environment)
    for name, value in found.items():
        for address, local_address in here.items():
            value = value.replace(address, local_address)
        found[name] = value
    return found


def complete(function: Function, manifest: Manifest, extra: Mapping[str, str], url: str = "") -> dict[str, str]:
    """Everything that a process of this function sees.

    `extra` is what --env-file and --pass-env add, `url` the emulator's own.
    """
    host = {name: os.environ[name] for name in FROM_THE_HOST if name in os.environ}
    # PYTHONUTF8: en_US.UTF-8 need not be installed here, as it is on Lambda.
    fixed = {"PYTHONUTF8": "1"}
    own = {**of_lambda(function, manifest), **local(extra), **endpoints(url, {**function.environment, **extra})}
    found = {**host, **fixed, **own, **addressed(function, manifest.region, url), **extra}
    if paths := import_path(function, manifest, found.get("PYTHONPATH", "")):
        found["PYTHONPATH"] = os.pathsep.join(paths)
    return found


def import_path(function: Function, manifest: Manifest, own: str) -> list[str]:
    """The folders after the function's root on its import path, in Lambda's order.

    `own` is the PYTHONPATH that the function is given: /var/task in it means the function's root, /opt its layers.
    """
    layers = function.layers[::-1]
    version = function.runtime.removeprefix("python")
    paths = [f"{layer}/python/lib/python{version}/site-packages" for layer in layers]
    paths += [f"{layer}/python" for layer in layers]
    for path in filter(None, own.split(os.pathsep)):
        paths += _on_this_machine(path, str(manifest.root(function)), layers)
    return [*paths, *function.import_paths]


def _on_this_machine(path: str, root: str, layers: Sequence[str]) -> list[str]:
    for deployed, folders in (("/var/task", [root]), ("/opt", layers)):
        if path == deployed or path.startswith(f"{deployed}/"):
            return [folder + path.removeprefix(deployed) for folder in folders]
    return [path]
