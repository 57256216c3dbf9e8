"""Reads function URLs (`url`). Each function can have one."""

from __future__ import annotations

from emulator.manifest import known_keys
from emulator.manifest.events import cors
from emulator.manifest.model import Function, FunctionUrl
from emulator.manifest.section import Section
from emulator.manifest.variables.placeholder import Placeholder

ANY_METHOD = ("*",)
MODES = ("BUFFERED", "RESPONSE_STREAM")


def read(function: Function, section: Section) -> FunctionUrl | None:
    """The function's URL: `true` or an object, None where it has none.

    Where only a deployment knows the authorizer, requests need a signature.
    """
    value = section.data.get("url")
    if not value:
        return None
    settings = Section(section.resolver, section.where.at("url"), None if value is True else value)
    settings.check(known_keys.FUNCTION_URL)
    authorizer, mode = settings.data.get("authorizer"), settings.string("invokeMode", MODES[0])
    if authorizer not in (None, "aws_iam") and not isinstance(authorizer, Placeholder):
        raise settings.error("must be aws_iam", "authorizer")
    if mode not in MODES and not isinstance(mode, Placeholder):
        raise settings.error(f"must be {' or '.join(MODES)}", "invokeMode")
    if mode == "RESPONSE_STREAM":
        settings.warn(
            f"Lambda's Python runtime does not stream: {function.name} answers when it has ended", "invokeMode"
        )
    if authorizer is not None:
        settings.warn(f"{function.name}: a request needs a SigV4 signature, which is not checked here", "authorizer")
    return FunctionUrl(
        function=function,
        cors=cors.read(settings, "cors", ANY_METHOD),
        signed=authorizer is not None,
        streamed=mode == "RESPONSE_STREAM",
        line=settings.where.line,
    )
