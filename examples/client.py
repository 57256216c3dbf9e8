"""A client in Python, of the standard library alone: one lesson, from its opening to its end.

python examples/client.py http://127.0.0.1:8080
"""

import json
import sys
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]


class Refused(Exception):  # noqa: N818
    """The service said no: `code` is for programs, the text for people. The gateway's own refusals have no code."""

    def __init__(self, problem: Json) -> None:
        self.code = problem.get("code")
        super().__init__(f"{self.code}: {problem['detail']}" if self.code else problem.get("message"))


class Sessions:
    """The service at an address, such as `http://127.0.0.1:8080`."""

    def __init__(self, address: str) -> None:
        self._address = address

    def create(self, name: str, instructor: str, students: list[str]) -> Json:
        """Open a session; it has an `id`."""
        body = {"name": name, "instructor_id": instructor, "student_ids": students}
        session: Json = self._ask("POST", "/api/sessions", body)["session"]
        return session

    def may_join(self, session: str, user: str, role: str = "student") -> bool:
        """Whether this user may join now."""
        query = urllib.parse.urlencode({"user_id": user, "role": role})
        try:
            self._ask("GET", f"/api/sessions/{session}/validate?{query}")
        except Refused as refused:
            if refused.code in ("unauthorized", "session_ended"):
                return False
            raise
        return True

    def store(self, session: str, **message: Any) -> Json:
        """Store a message: `type`, `from_user`, `role`, `content`, and `to_user` for one student."""
        stored: Json = self._ask("POST", f"/api/sessions/{session}/messages", message)["message"]
        return stored

    def history(self, session: str, user: str, role: str) -> Iterator[Json]:
        """Every message that this user may read, oldest first, page after page."""
        query = {"user_id": user, "role": role, "limit": "100"}
        while True:
            page = self._ask("GET", f"/api/sessions/{session}/messages?{urllib.parse.urlencode(query)}")
            yield from page["messages"]
            if page["next_cursor"] is None:
                return
            query["cursor"] = page["next_cursor"]

    def end(self, session: str) -> Json:
        """End a session for good."""
        ended: Json = self._ask("DELETE", f"/api/sessions/{session}")["session"]
        return ended

    def _ask(self, method: str, path: str, body: Json | None = None) -> Json:
        """One call. A POST has a key, so that it can be repeated when its answer was lost: it takes effect once."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())} if body else {}
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(self._address + path, data, headers, method=method)
        for last in (False, True):
            try:
                with urllib.request.urlopen(request, timeout=30) as response:
                    answer: Json = json.load(response)
                    return answer
            except urllib.error.HTTPError as error:
                problem: Json = json.load(error)
                if last or error.code != 503:  # 503 with a key, or for a read: ask again
                    raise Refused(problem) from error
        raise AssertionError("unreachable")


def lesson(sessions: Sessions) -> None:
    """What happens in a lesson, printed."""
    session = sessions.create("Fractions", "ms_noether", ["ann", "bob"])["id"]
    print("ann may join:", sessions.may_join(session, "ann"))
    print("eve may join:", sessions.may_join(session, "eve"))
    question = {"text": "What is 1/2 + 1/4?"}
    sessions.store(session, type="request", from_user="ms_noether", role="instructor", to_user="ann", content=question)
    sessions.store(session, type="request_response", from_user="ann", role="student", content={"text": "3/4"})
    for user, role in (("ms_noether", "instructor"), ("bob", "student")):
        print(f"{user} reads:", [message["content"]["text"] for message in sessions.history(session, user, role)])
    print("status:", sessions.end(session)["status"])
    print("ann may join:", sessions.may_join(session, "ann"))


if __name__ == "__main__":
    address = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"
    try:
        lesson(Sessions(address))
    except (Refused, urllib.error.URLError) as failure:
        sys.exit(f"{address}: {failure}")
