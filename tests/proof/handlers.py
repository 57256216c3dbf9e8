"""Calls the real handlers with minimal events, and reduces their answers to what the record keeps."""

import importlib
import json
from collections.abc import Callable

from tests.proof.record import OK, Fields

Answer = tuple[str, Fields]
"""The outcome, "ok" or a problem's code, and the value."""


def _ask(
    function: str,
    session_id: str | None = None,
    query: Fields | None = None,
    body: Fields | None = None,
    key: str | None = None,
) -> Answer:
    """Call a handler with the fields of an event that it reads; return "ok" or the problem's code, and the body."""
    event = {
        "headers": {} if key is None else {"idempotency-key": key},
        "pathParameters": {} if session_id is None else {"session_id": session_id},
        "queryStringParameters": {name: str(value) for name, value in (query or {}).items() if value is not None},
        "body": None if body is None else json.dumps(body),
    }
    answer = importlib.import_module(f"functions.{function}").handler(event, None)
    decoded: Fields = json.loads(answer["body"])
    return (OK if answer["statusCode"] < 300 else str(decoded["code"])), decoded


def _only(arguments: Fields, *names: str) -> Fields:
    return {name: arguments[name] for name in names}


def _create(arguments: Fields) -> Answer:
    body = _only(arguments, "name", "instructor_id", "student_ids")
    outcome, answer = _ask("create", body=body, key=arguments["key"])
    return outcome, answer.get("session", {})


def _end(arguments: Fields) -> Answer:
    outcome, answer = _ask("end", arguments["session_id"])
    return outcome, answer.get("session") or ({"end_time": answer["end_time"]} if "end_time" in answer else {})


def _get(arguments: Fields) -> Answer:
    outcome, answer = _ask("get", arguments["session_id"])
    return outcome, answer.get("session", {})


def _validate(arguments: Fields) -> Answer:
    outcome, _answer = _ask("validate", arguments["session_id"], query=_only(arguments, "user_id", "role"))
    return outcome, {}


def _list(arguments: Fields) -> Answer:
    query = _only(arguments, "status", "created_by", "student_id", "limit", "cursor")
    outcome, answer = _ask("list", query=query)
    if outcome != OK:
        return outcome, {}
    sessions = [_only(session, "id", "name", "start_time", "end_time", "status") for session in answer["sessions"]]
    return outcome, {**answer, "sessions": sessions}


def _store(arguments: Fields) -> Answer:
    body = {name: value for name, value in arguments.items() if name not in ("session_id", "token", "key")}
    body["content"] = {"token": arguments["token"]}
    if body["to_user"] is None:
        del body["to_user"]
    outcome, answer = _ask("store", arguments["session_id"], body=body, key=arguments["key"])
    return outcome, _only(answer["message"], "id", "timestamp") if outcome == OK else {}


def _history(arguments: Fields) -> Answer:
    query = _only(arguments, "user_id", "role", "limit", "cursor")
    outcome, answer = _ask("history", arguments["session_id"], query=query)
    if outcome != OK:
        return outcome, {}
    messages = [[message["content"]["token"], message["id"], message["timestamp"]] for message in answer["messages"]]
    return outcome, {"messages": messages, "next_cursor": answer["next_cursor"]}


ASK: dict[str, Callable[[Fields], Answer]] = {
    "create": _create,
    "end": _end,
    "get": _get,
    "validate": _validate,
    "list": _list,
    "store": _store,
    "history": _history,
}
"""Operation -> a call with its recorded arguments."""
