"""Reads function URLs (`url`). They are checked, but not served."""

from __future__ import annotations

from emulator.manifest import cors, known_keys
from emulator.manifest.model import Function, FunctionUrl
from emulator.manifest.section import Section

ANY_METHOD = ("*",)
MODES = ("BUFFERED", "RESPONSE_STREAM")


def read(function: Function, section: Section) -> FunctionUrl | None:
    """The function's URL: `true` or an object, None where it has none."""
    value = section.data.get("url")
    if not value:
        return None
    settings = Section(section.resolver, section.where.at("url"), None if value is True else value)
    settings.check(known_keys.FUNCTION_URL)
    authorizer, mode = settings.data.get("authorizer"), settings.string("invokeMode", MODES[0])
    if authorizer not in (None, "aws_iam"):
        raise settings.error("must be aws_iam", "authorizer")
    if mode not in MODES:
        raise settings.error(f"must be {' or '.join(MODES)}", "invokeMode")
    section.warn(f"function URLs are not emulated; invoke {function.name} by name", "url")
    return FunctionUrl(
        function=function,
        cors=cors.read(settings, "cors", ANY_METHOD),
        signed=authorizer == "aws_iam",
        streamed=mode == "RESPONSE_STREAM",
        line=settings.where.line,
    )
