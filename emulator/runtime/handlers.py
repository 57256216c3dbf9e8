"""Handlers: loaded by the manifest's string, called with JSON, their results returned as JSON."""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from . import answers
from .answers import Answer
from .context import LambdaContext

Handler = Callable[[Any, LambdaContext], Any]

INSTALLED = ("site-packages", "dist-packages")
"""In the paths of installed packages."""
MAX_PAYLOAD = 6_291_556
"""Lambda's limit in bytes, each way."""


class InitError(Exception):
    """A handler that cannot be found or imported: the error that the caller receives, and the trace for the log."""

    def __init__(self, kind: str, message: str, trace: Sequence[str] = (), files: list[str] | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.trace = trace
        self.files = files or []


def load(spec: str) -> Handler:
    """Import `module.path.function` or `path/to/module.function`; an InitError says what was wrong."""
    module_name, _, name = spec.rpartition(".")
    if not module_name:
        raise InitError("Runtime.MalformedHandlerName", f"Bad handler '{spec}': not enough values to unpack")
    if module_name.partition(".")[0] in sys.builtin_module_names:
        message = f"Cannot use built-in module {module_name} as a handler module"
        raise InitError("Runtime.BuiltInModuleConflict", message)
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        kind, message = "Runtime.ImportModuleError", f"Unable to import module '{module_name}': {error}"
        raise InitError(kind, message, _trace(error)) from None
    except SyntaxError as error:
        message = f"Syntax error in module '{module_name}': {error.msg} ({error.filename}, line {error.lineno})"
        files = [error.filename] if error.filename else []
        raise InitError("Runtime.UserCodeSyntaxError", message, _trace(error), files) from None
    except Exception as error:
        raise InitError(type(error).__name__, str(error), _trace(error)) from None
    handler: Handler | None = getattr(module, name, None)
    if handler is None:
        message = f"Handler '{name}' missing on module '{module_name}'"
        raise InitError("Runtime.HandlerNotFound", message)
    return handler


def call(handler: Handler, payload: bytes, context: LambdaContext) -> Answer:
    """The handler's answer, or its error as Lambda reports it together with the text for the log."""
    try:
        event = json.loads(payload)
    except ValueError as error:
        message = f"Unable to unmarshal input: {error}"
        return failure("Runtime.UnmarshalError", message, context.aws_request_id)
    try:
        result = handler(event, context)
    except Exception as error:
        return _raised(error, context.aws_request_id)
    try:
        answer = answers.encoded(result)
    except Exception as error:
        message = f"Unable to marshal response: {error}"
        return failure("Runtime.MarshalError", message, context.aws_request_id)
    if answers.larger_than(MAX_PAYLOAD, answer):
        return too_large(context.aws_request_id)
    return answer


def too_large(request_id: str) -> Answer:
    """The error for an answer over the limit."""
    message = f"Response payload size exceeded maximum allowed payload size ({MAX_PAYLOAD} bytes)."
    return failure("Function.ResponseSizeTooLarge", message, request_id)


def failure(kind: str, message: str, request_id: str, trace: Sequence[str] = ()) -> Answer:
    """An error object as Lambda reports it, and the text for the log."""
    error = {"errorMessage": message, "errorType": kind, "requestId": request_id, "stackTrace": list(trace)}
    text = f"[ERROR] {kind}: {message}"
    if trace:
        text += "\nTraceback (most recent call last):\n" + "".join(trace).rstrip("\n")
    return Answer(json.dumps(error).encode(), error=text)


def _raised(error: Exception, request_id: str) -> Answer:
    try:
        message = str(error)
    except Exception:
        message = "<the exception cannot be shown>"
    return failure(type(error).__name__, message, request_id, _trace(error))


def _trace(error: BaseException) -> list[str]:
    """The frames of the project's own code, without this module's and the import system's: one text each."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename != __file__ and not frame.filename.startswith(("<frozen", importlib.__file__))
    ]
    if len(frames) > 40:  # a stack overflow repeats the same frames
        frames = [*frames[:20], *frames[-20:]]
    return traceback.format_list(frames)


def source_files() -> list[str]:
    """The files that the modules loaded so far came from, wherever they are, without Python's and installed ones."""
    library = os.path.dirname(os.__file__)  # noqa: PTH120 - importing pathlib would make a cold start slower
    files = []
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if path and not path.startswith(library) and not any(name in path for name in INSTALLED):
            files.append(path)
    return files
