"""The environment variables of a function: the manifest's and Lambda's own, not the shell's."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime

from emulator.manifest import Function, Manifest

FROM_THE_HOST = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""Without these some Pythons do not even start; Lambda sets the first two as well."""


def of_lambda(function: Function, manifest: Manifest) -> dict[str, str]:
    """The variables that Lambda itself sets for a new environment."""
    today = datetime.now(UTC).strftime("%Y/%m/%d")
    return {
        "AWS_DEFAULT_REGION": function.region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.runtime}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_size),
        "AWS_LAMBDA_FUNCTION_NAME": function.full_name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.full_name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": f"{today}/[$LATEST]{uuid.uuid4().hex}",
        "AWS_REGION": function.region,
        "LAMBDA_TASK_ROOT": str(manifest.folder),
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "_HANDLER": function.handler,
    }


def complete(function: Function, manifest: Manifest, extra: Mapping[str, str]) -> dict[str, str]:
    """Everything that a process of this function sees; `extra` is what --env-file and --pass-env add."""
    host = {name: os.environ[name] for name in FROM_THE_HOST if name in os.environ}
    # PYTHONUTF8: en_US.UTF-8 need not be installed here, as it is on Lambda.
    fixed = {"PYTHONUTF8": "1"}
    return {**host, **fixed, **of_lambda(function, manifest), **function.environment, **extra}
