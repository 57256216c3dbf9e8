"""The server's side of one connection: what a client leaves unfinished, what is no request, upgrades and trailers."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import socket
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httptools
import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http import httptools_impl
from uvicorn.server import ServerState

from emulator.gateway.gateway import REPLY
from emulator.gateway.response import Response
from emulator.server import http_protocol
from emulator.server.http_protocol import Protocol
from tests.emulator.harness import Emulator

Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with method, path, header names and body; to /early before the body has come."""
    body = b""
    while scope["path"] != "/early" and (message := await receive()):
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        if not message["more_body"]:
            break
    names = b",".join(sorted(name for name, _ in scope["headers"]))
    told = b"%b %b [%b] %b" % (scope["method"].encode(), scope["path"].encode(), names, body)
    headers = [(b"content-length", str(len(told)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": told})


@contextlib.asynccontextmanager
async def connected(served: ASGIApp = application) -> AsyncIterator[Client]:
    """A client of the application, over a real socket."""
    loop = asyncio.get_running_loop()
    config = uvicorn.Config(served, http=Protocol, ws="none", log_config=None)
    config.load()
    state = ServerState()
    server = await loop.create_server(lambda: Protocol(config, state, {}), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        yield reader, writer
    finally:
        writer.close()
        for connection in list(state.connections):
            connection.transport.close()
        server.close()


def ask(*parts: bytes) -> bytes:
    """Everything that the server answers to these parts, until it or, after the last one, the client hangs up."""

    async def run() -> bytes:
        async with connected() as (reader, writer), asyncio.timeout(10):
            for part in parts:
                writer.write(part)
                await writer.drain()
            return await reader.read()

    return asyncio.run(run())


def within(client: Callable[[Client], Awaitable[bytes]]) -> bytes:
    async def run() -> bytes:
        async with connected() as pair, asyncio.timeout(10):
            return await client(pair)

    return asyncio.run(run())


POST = b"POST /p HTTP/1.1\r\nHost: x\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    "start",
    [b"GET /", b"GET / HTTP/1.1\r\nHost: x\r\nX-Value: ", b"GET / HTTP/1.1\r\nHost: x\r\nX-Name-", b"\r\n"],
    ids=["url", "value", "name", "nothing"],
)
def test_a_head_without_end_is_refused_once_when_its_bytes_are_too_many(
    start: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    filler = b"\r\n" if start == b"\r\n" else b"xx"

    async def send(client: Client) -> bytes:
        reader, writer = client
        writer.write(start)
        answer = asyncio.create_task(reader.read())
        sent = 0
        while not answer.done() and sent < 4 * 1024 * 1024:
            writer.write(filler * 4096)
            sent += 8192
            await asyncio.sleep(0)  # the server's turn
        assert sent < 1024 * 1024
        return await answer

    assert within(send).startswith(b"HTTP/1.1 431 ")
    assert caplog.text.count("a request was refused") == 1


def test_a_trailer_without_end_is_refused_when_its_bytes_are_too_many() -> None:
    answer = ask(POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Trailer: ", *[b"x" * 8192] * 40)
    assert answer.startswith(b"HTTP/1.1 431 ")


def test_a_long_body_is_not_a_long_head() -> None:
    size = 64 * http_protocol.HEAD_BYTES
    answer = ask(POST + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % size, *[b"x" * 8192] * (size // 8192))
    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("start", [b"", b"\r\n", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_a_head_that_does_not_end_in_time_ends_the_connection(monkeypatch: pytest.MonkeyPatch, start: bytes) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.1)
    answer = ask(start)
    assert answer.startswith(b"HTTP/1.1 408 ") if start.startswith(b"GET") else answer == b""


def test_a_second_head_has_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.1)
    answer = ask(b"GET /first HTTP/1.1\r\nHost: x\r\n\r\nGET /sec")
    assert b"GET /first" in answer
    assert b"408 Request Timeout" not in answer.partition(b"GET /first")[0]


def test_a_body_that_nobody_reads_and_that_does_not_end_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.1)

    async def send(client: Client) -> bytes:
        reader, writer = client
        writer.write(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
        answer = await reader.readuntil(b"[content-length,host] ")
        writer.write(b"x")
        return answer + await reader.read()

    assert within(send).count(b"HTTP/1.1 ") == 1


def test_an_upgrade_that_is_not_taken_is_ignored_and_the_body_is_read() -> None:
    upgrade = POST + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\n"
    answer = ask(upgrade + b"Content-Length: 4\r\n\r\nbo", b"dy" + LAST)
    assert b"POST /p [connection,content-length,host,http2-settings] body" in answer
    assert b"GET /last" in answer


def test_a_websocket_that_nobody_serves_is_an_ordinary_request() -> None:
    head = b"GET /socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    answer = ask(head + head + LAST)
    assert answer.count(b"GET /socket") == 2
    assert b"GET /last" in answer


def test_trailers_are_dropped() -> None:
    answer = ask(POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nIdempotency-Key: k\r\n\r\n" + LAST)
    assert b"POST /p [host,transfer-encoding] a" in answer


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n", 400),
        (b"GET / HTTP/1.0\r\nHost: x\r\nHost: y\r\n", 400),
        (b"GET / HTTP/1.0\r\n", 200),
        (b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n", 400),
    ],
)
def test_a_request_names_one_host(head: bytes, status: int) -> None:
    assert ask(head + b"Connection: close\r\n\r\n").startswith(b"HTTP/1.1 %d " % status)


def test_a_bad_request_behind_a_good_one_costs_nobody_the_good_ones_response() -> None:
    answer = ask(b"GET /good HTTP/1.1\r\nHost: x\r\n\r\nnonsense\r\n\r\n")
    assert b"GET /good" in answer
    assert answer.count(b"HTTP/1.1 ") == 1


def test_a_body_that_breaks_off_in_nonsense_is_answered_at_once() -> None:
    assert ask(POST + b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n").startswith(b"HTTP/1.1 400 ")


def test_the_emulator_answers_over_this_protocol(emulator: Emulator) -> None:
    with emulator.connect() as client:
        client.sendall(b"POST /raw HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1000).startswith(b"HTTP/1.1 400 ")


def test_uvicorn_still_has_the_private_parts_that_are_used() -> None:
    """A new uvicorn that fails here needs a look at `emulator/server/http_protocol.py`, line by line."""
    protocol, cycle = httptools_impl.HttpToolsProtocol, httptools_impl.RequestResponseCycle
    signatures: dict[Any, list[str]] = {
        protocol.__init__: ["self", "config", "server_state", "app_state", "_loop"],
        protocol._start_asgi_task: ["self", "cycle", "app"],
        protocol._unset_keepalive_if_required: ["self"],
        protocol._should_upgrade: ["self"],
        protocol._get_upgrade: ["self"],
        protocol.shutdown: ["self"],
        uvicorn.Server.startup: ["self", "sockets"],
        uvicorn.Server.main_loop: ["self"],
        uvicorn.Server.on_tick: ["self", "counter"],
        uvicorn.Server.capture_signals: ["self"],
        protocol.on_message_begin: ["self"],
        protocol.on_header: ["self", "name", "value"],
        protocol.on_headers_complete: ["self"],
        protocol.on_body: ["self", "body"],
        protocol.on_message_complete: ["self"],
    }
    assert {name: list(inspect.signature(name).parameters) for name in signatures} == signatures
    config = uvicorn.Config(application, log_config=None)
    loop = asyncio.new_event_loop()
    with contextlib.closing(loop):
        made = protocol(config, ServerState(), {}, loop)
    assert {
        "parser",
        "loop",
        "logger",
        "cycle",
        "headers",
        "pipeline",
        "transport",
        "connections",
        "server",
    } <= vars(made).keys()
    arguments = list(inspect.signature(cycle.__init__).parameters)[1:]
    state = vars(cycle(**dict.fromkeys(arguments)))  # type: ignore[arg-type]
    written = {"disconnected", "keep_alive", "message_event", "more_body", "on_response"}
    assert written | {"default_headers", "flow", "response_complete", "response_started", "scope"} <= state.keys()
    assert httptools_impl.STATUS_LINE[404] == b"HTTP/1.1 404 Not Found\r\n"


def test_the_parser_says_where_an_upgrade_begins() -> None:
    """What `Protocol` relies on to read on behind an upgrade that it ignores."""
    parser = httptools.HttpRequestParser(object())
    with pytest.raises(httptools.HttpParserUpgrade) as caught:
        parser.feed_data(b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\nrest")
    assert caught.value.args == (len(b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"),)


def test_the_limit_of_a_head_does_not_count_the_requests_before_it() -> None:
    long = b"GET /long HTTP/1.1\r\nHost: x\r\nX-Value: " + b"x" * 40_000 + b"\r\n\r\n"
    answer = ask(long, long, LAST)
    assert answer.count(b"GET /long") == 2
    assert b"GET /last" in answer


def test_an_answered_request_is_freed_at_once() -> None:
    found: list[weakref.ref[Any]] = []

    async def whole(scope: Scope, receive: Receive, send: Send) -> None:
        found.append(weakref.ref(receive.__self__))  # type: ignore[attr-defined]
        await scope["extensions"][REPLY](Response(200, b"ok"))

    async def run() -> None:
        async with connected(served=whole) as (reader, writer), asyncio.timeout(10):
            for _ in range(2):
                writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                await reader.readuntil(b"ok")
            assert found[0]() is None

    gc.disable()
    try:
        asyncio.run(run())
    finally:
        gc.enable()
