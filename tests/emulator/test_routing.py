"""Which route a request takes."""

from __future__ import annotations

import pytest

from emulator.gateway.routing import ResourceRouter, Router
from emulator.manifest.model import Function, Route

FUNCTION = Function("f", "f", "a.b", 3, 128, {}, "eu-west-1", "python3.13", 1)
KEYS = (
    "GET /{any+}",
    "GET /pets/{id}",
    "ANY /pets/dog",
    "GET /pets/{id}/toys",
    "GET /pets/dog/{toy}",
    "POST /pets/{rest+}",
    "ANY /pets/{id}",
    "GET /a%20b",
    "GET /c d",
    "ANY /shops/{any}",
    "GET /shops/{shop}",
)


@pytest.mark.parametrize(
    ("request_line", "key"),
    [
        ("GET /pets/cat", "GET /pets/{id}"),
        ("GET /pets/dog", "ANY /pets/dog"),
        ("GET /pets/d%6Fg", "ANY /pets/dog"),
        ("PUT /pets/cat", "ANY /pets/{id}"),
        ("GET /pets/dog/toys", "GET /pets/dog/{toy}"),
        ("GET /pets/cat/toys", "GET /pets/{id}/toys"),
        ("POST /pets/cat/toys", "POST /pets/{rest+}"),
        ("GET /pets%2Fdog", "GET /{any+}"),
        ("GET /pets/", "GET /{any+}"),
        ("GET /c%20d", "GET /c d"),
        ("GET /a%20b", "GET /{any+}"),
        ("GET /shops/1", "GET /shops/{shop}"),
        ("PUT /shops/1", "ANY /shops/{any}"),
        ("GET /", None),
        ("DELETE /elsewhere", None),
    ],
)
@pytest.mark.parametrize("keys", [KEYS, KEYS[::-1]])
def test_the_most_exact_route_wins_in_any_order(keys: tuple[str, ...], request_line: str, key: str | None) -> None:
    routes = [Route(method, path, FUNCTION, "httpApi", 1) for method, path in (each.split(" ", 1) for each in keys)]
    method, path = request_line.split(" ", 1)
    found = Router(routes).match(method, path)
    assert (found[0].key if found else None) == key


def test_the_catch_all_comes_last() -> None:
    default = Route("ANY", "*", FUNCTION, "httpApi", 1)
    router = Router([default, Route("GET", "/a", FUNCTION, "httpApi", 1)])
    found, other = router.match("GET", "/a"), router.match("PUT", "/any/thing")
    assert [match[0].key for match in (found, other) if match] == ["GET /a", "$default"]


@pytest.mark.parametrize(
    ("request_line", "key"),
    [
        ("GET /pets", "GET /pets"),
        ("POST /pets", None),
        ("POST /pets/1", "POST /pets/{pet}"),
        ("GET /pets/1", "GET /pets/{id}"),
        ("PUT /pets/1", None),
        ("PUT /pets/1/toys", "ANY /{all+}"),
        ("OPTIONS /elsewhere", "ANY /{all+}"),
        ("GET /", None),
    ],
)
def test_a_rest_api_chooses_the_path_before_the_method(request_line: str, key: str | None) -> None:
    keys = ("ANY /{all+}", "GET /pets", "GET /pets/{id}", "POST /pets/{pet}")
    routes = [Route(method, path, FUNCTION, "http", 1) for method, path in (each.split(" ", 1) for each in keys)]
    found = ResourceRouter(routes).match(*request_line.split(" ", 1))
    assert (found[0].key if found else None) == key
