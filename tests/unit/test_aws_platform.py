"""The client of `@connections` and of Lambda's Invoke, against a real HTTP server."""

import json
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import boto3  # type: ignore[import-untyped]
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from shared.errors import ConfigurationError
from shared.live import ports
from shared.live.aws import CONNECTIONS_ENDPOINT, LAMBDA_ENDPOINT, AwsConnections, AwsFunctions, api, http_client
from tests.conftest import Freeze
from tests.identity_provider import rsa_key

ENVIRONMENT = {"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "secret"}
ID = "L0SM9cOFvHcCIhw="


class Call(NamedTuple):
    """What the server got."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    port: int  # of the client: the same one for every call over a kept connection


class Handler(BaseHTTPRequestHandler):
    """One connection to the server."""

    protocol_version = "HTTP/1.1"
    server: "Server"

    def do_POST(self) -> None:
        """Record the call, then do what the test has asked for."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.calls.append(Call(self.command, self.path, headers, body, self.client_address[1]))
        self.server.answer(self)

    def do_DELETE(self) -> None:
        """The same."""
        self.do_POST()

    def reply(self, status: int, body: bytes = b"", headers: Mapping[str, str] = {}, *, last: bool = False) -> None:
        """An answer; the last one closes the connection, without telling the client before."""
        self.close_connection = last
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def hang_up(self) -> None:
        """Close the connection without an answer."""
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Nothing on the terminal."""


class Server(ThreadingHTTPServer):
    """API Gateway and Lambda; `answer` may be replaced."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.calls: list[Call] = []
        self.answer: Callable[[Handler], None] = lambda handler: handler.reply(self.plain(handler))
        self.tls: ssl.SSLContext | None = None
        self.closed = threading.Event()

    @staticmethod
    def plain(handler: Handler) -> int:
        """The status of a success."""
        return 204 if handler.command == "DELETE" else 202 if "/functions/" in handler.path else 200

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{'https' if self.tls else 'http'}://localhost:{self.server_address[1]}"

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection."""
        connection, address = super().get_request()
        return self.tls.wrap_socket(connection, server_side=True) if self.tls else connection, address

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self.close_request(request)
        self.closed.set()

    def handle_error(self, *_: Any) -> None:
        """A client that does not trust the server hangs up."""


@pytest.fixture
def server() -> Iterator[Server]:
    """A running server."""
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def connections(server: Server) -> Iterator[AwsConnections]:
    """The `@connections` API of the server's stage `dev`."""
    made = AwsConnections(f"{server.url}/dev/", ENVIRONMENT)
    yield made
    made.release()


@pytest.fixture
def functions(server: Server) -> Iterator[AwsFunctions]:
    """The Lambda API of the server."""
    made = AwsFunctions(ENVIRONMENT | {LAMBDA_ENDPOINT: server.url})
    yield made
    made.release()


def refused(call: Callable[[], None], kind: type[ports.PlatformError]) -> str:
    """The text of the error that a call raises; it is of exactly this class."""
    with pytest.raises(ports.PlatformError) as raised:
        call()
    assert raised.type is kind
    return str(raised.value)


def test_both_are_what_the_live_classroom_needs() -> None:
    connections: ports.Connections = AwsConnections("https://a.example", ENVIRONMENT)
    functions: ports.Functions = AwsFunctions(ENVIRONMENT)
    assert {type(connections), type(functions)} == {AwsConnections, AwsFunctions}  # mypy checks the rest


def test_a_frame_is_posted_to_its_connection_with_the_path_that_boto3_sends(
    server: Server, connections: AwsConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("apigatewaymanagementapi", endpoint_url=f"{server.url}/dev", region_name="eu-central-1")
    client.post_to_connection(ConnectionId=ID, Data=b"hello")
    connections.post(ID, b"hello")
    theirs, ours = server.calls
    assert (ours.method, ours.path, ours.body) == (theirs.method, theirs.path, theirs.body)
    assert ours.path == "/dev/@connections/L0SM9cOFvHcCIhw%3D"
    scope = ours.headers["authorization"].partition(",")[0]
    assert scope == theirs.headers["authorization"].partition(",")[0]


def test_a_connection_is_closed(server: Server, connections: AwsConnections) -> None:
    connections.close(ID)
    assert server.calls[0][:2] == ("DELETE", "/dev/@connections/L0SM9cOFvHcCIhw%3D")


def test_a_function_is_started_as_boto3_starts_it(
    server: Server, functions: AwsFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    name = "arn:aws:lambda:eu-central-1:123456789012:function:deliver"
    client = boto3.client("lambda", endpoint_url=server.url, region_name="eu-central-1")
    client.invoke(FunctionName=name, InvocationType="Event", Payload=b'{"session_id":"s"}')
    functions.start(name, {"session_id": "s"})
    theirs, ours = server.calls
    assert ours[:2] == theirs[:2]
    assert ours.body == theirs.body
    assert ours.headers["x-amz-invocation-type"] == theirs.headers["x-amz-invocation-type"] == "Event"


def test_a_session_token_is_sent(server: Server) -> None:
    connections = AwsConnections(server.url, ENVIRONMENT | {"AWS_SESSION_TOKEN": "token"})
    connections.post(ID, b"hello")
    connections.release()
    assert server.calls[0].headers["x-amz-security-token"] == "token"
    assert "x-amz-security-token" in server.calls[0].headers["authorization"]


def test_an_endpoint_of_the_environment_replaces_the_url(server: Server) -> None:
    connections = AwsConnections("https://nowhere.invalid/dev", ENVIRONMENT | {CONNECTIONS_ENDPOINT: server.url})
    connections.post(ID, b"hello")
    connections.release()
    assert server.calls[0].path == "/@connections/L0SM9cOFvHcCIhw%3D"


def test_one_connection_is_kept_for_call_after_call(server: Server, connections: AwsConnections) -> None:
    for _ in range(3):
        connections.post(ID, b"hello")
    connections.close(ID)
    assert len({call.port for call in server.calls}) == 1


def test_a_connection_that_the_server_closed_while_idle_is_not_used(
    server: Server, connections: AwsConnections
) -> None:
    server.answer = lambda handler: handler.reply(200, last=True)
    connections.post(ID, b"one")
    assert server.closed.wait(30)
    connections.post(ID, b"two")
    assert [call.body for call in server.calls] == [b"one", b"two"]


def test_what_a_reset_connection_cannot_have_taken_is_sent_on_a_new_one(
    server: Server, connections: AwsConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if the server had closed the connection between the look at it and the sending.
    monkeypatch.setattr(http_client, "_readable", lambda _: False)

    def reset(handler: Handler) -> None:
        handler.reply(200, last=True)
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    server.answer = reset
    connections.post(ID, b"one")
    assert server.closed.wait(30)
    connections.post(ID, b"two")
    assert [call.body for call in server.calls] == [b"one", b"two"]


def test_a_frame_that_the_server_may_have_taken_is_not_sent_again(server: Server, connections: AwsConnections) -> None:
    connections.post(ID, b"one")
    server.answer = Handler.hang_up
    text = refused(lambda: connections.post(ID, b"two"), ports.OutcomeUnknownError)
    assert text.startswith("no answer from localhost:")
    assert [call.body for call in server.calls] == [b"one", b"two"]


def test_a_close_and_a_start_are_repeated_when_a_kept_connection_hangs_up(
    server: Server, connections: AwsConnections, functions: AwsFunctions
) -> None:
    def hang_up_once(handler: Handler) -> None:
        server.answer = lambda handler: handler.reply(server.plain(handler))
        handler.hang_up()

    functions.start("deliver", {})
    connections.post(ID, b"hello")
    calls: list[Callable[[], None]] = [lambda: connections.close(ID), lambda: functions.start("deliver", {})]
    for call in calls:
        server.calls.clear()
        server.answer = hang_up_once
        call()
        assert len(server.calls) == 2


def test_a_server_that_hangs_up_twice_may_have_got_the_call(server: Server, connections: AwsConnections) -> None:
    connections.post(ID, b"hello")
    server.answer = Handler.hang_up
    refused(lambda: connections.close(ID), ports.OutcomeUnknownError)
    assert len(server.calls) == 3


def test_a_connection_is_not_kept_through_a_long_pause(
    server: Server, connections: AwsConnections, freeze: Freeze
) -> None:
    clock = freeze("2026-11-25 08:00:00")
    connections.post(ID, b"one")
    clock.tick(19)
    connections.post(ID, b"two")
    clock.tick(21)
    connections.post(ID, b"three")
    one, two, three = (call.port for call in server.calls)
    assert one == two != three


def test_a_connection_is_not_kept_when_the_server_says_so(server: Server, connections: AwsConnections) -> None:
    def announce_the_close(handler: Handler) -> None:
        handler.reply(200, headers={"Connection": "close"})
        handler.close_connection = False  # and does not close it yet

    server.answer = announce_the_close
    connections.post(ID, b"one")
    connections.post(ID, b"two")
    assert len({call.port for call in server.calls}) == 2


def test_many_threads_post_at_once(server: Server, connections: AwsConnections) -> None:
    frames = [f"frame {number}".encode() for number in range(400)]
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda frame: connections.post(ID, frame), frames))
    assert sorted(call.body for call in server.calls) == sorted(frames)
    assert len({call.port for call in server.calls}) <= 16


def test_more_idle_connections_than_may_be_kept_are_closed(
    server: Server, connections: AwsConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_client, "KEPT", 1)
    both = threading.Barrier(2)
    server.answer = lambda handler: handler.reply(200 if both.wait(30) >= 0 else 500)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda frame: connections.post(ID, frame), [b"one", b"two"]))
    assert server.closed.wait(30)


def test_a_connection_that_does_not_exist_is_gone(server: Server, connections: AwsConnections) -> None:
    server.answer = lambda handler: handler.reply(410)
    assert refused(lambda: connections.post(ID, b"hello"), ports.GoneError) == f"the connection {ID} does not exist"
    connections.close(ID)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_another_attempt_may_follow_a_failure_of_the_platform(
    server: Server, connections: AwsConnections, functions: AwsFunctions, status: int
) -> None:
    server.answer = lambda handler: handler.reply(status)
    for call in (lambda: connections.post(ID, b""), lambda: connections.close(ID), lambda: functions.start("f", {})):
        assert f" answered {status} to " in refused(call, ports.UnavailableError)


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (400, ""),
        (302, ""),
        (403, "execute-api:ManageConnections"),
        (404, "is the stage missing?"),
        (413, "a message may have 128 KB"),
    ],
)
def test_a_refusal_says_what_is_wrong(server: Server, connections: AwsConnections, status: int, hint: str) -> None:
    body = json.dumps({"message": "The reason"}).encode()
    server.answer = lambda handler: handler.reply(status, body, {"Location": "/", "x-amzn-ErrorType": "Kind:http://a"})
    text = refused(lambda: connections.post(ID, b"hello"), ports.PlatformError)
    assert text.startswith(f"{server.url}/dev answered {status} to a frame of 5 bytes (Kind: The reason)")
    assert hint in text


@pytest.mark.parametrize(("status", "hint"), [(403, "lambda:InvokeFunction"), (404, "no function"), (413, "too large")])
def test_a_refused_invocation_says_what_is_wrong(
    server: Server, functions: AwsFunctions, status: int, hint: str
) -> None:
    server.answer = lambda handler: handler.reply(status, b"[plain]")
    text = refused(lambda: functions.start("deliver", {}), ports.PlatformError)
    assert f"answered {status} to the invocation of deliver ([plain]); " in text
    assert hint in text


def test_a_server_that_sends_a_byte_now_and_then_may_have_got_the_call(
    server: Server, connections: AwsConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "CALL_TIMEOUT", 0.3)
    over = threading.Event()

    def drip(handler: Handler) -> None:
        handler.hang_up()
        while not over.wait(0.02):  # the time between two bytes
            handler.wfile.write(b"H")

    server.answer = drip
    try:
        assert "timed out" in refused(lambda: connections.post(ID, b"hello"), ports.OutcomeUnknownError)
    finally:
        over.set()


def test_a_server_that_never_reads_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "CALL_TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connections = AwsConnections(f"http://127.0.0.1:{listener.getsockname()[1]}", ENVIRONMENT)
        assert "timed out" in refused(lambda: connections.post(ID, bytes(50_000_000)), ports.UnavailableError)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://nowhere.invalid"])
def test_a_server_that_is_not_there_is_unavailable(url: str) -> None:
    connections = AwsConnections(url, ENVIRONMENT)
    refused(lambda: connections.post(ID, b"hello"), ports.UnavailableError)


def test_an_answer_that_is_no_http_leaves_the_outcome_unknown(server: Server, connections: AwsConnections) -> None:

    def greet(handler: Handler) -> None:
        handler.wfile.write(b"SSH-2.0\r\n\r\n")
        handler.hang_up()

    server.answer = greet
    refused(lambda: connections.post(ID, b"hello"), ports.OutcomeUnknownError)


def test_a_proxy_of_the_environment_is_not_used(
    server: Server, connections: AwsConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    connections.post(ID, b"hello")
    assert len(server.calls) == 1


def certificate(folder: Path) -> Path:
    """A certificate of localhost with its key, signed by itself."""
    key = rsa_key("localhost")
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    now = datetime.now()
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = folder / "certificate.pem"
    path.write_bytes(builder.sign(key, SHA256()).public_bytes(Encoding.PEM) + private)
    return path


def test_https_needs_a_certificate_that_is_trusted(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = certificate(tmp_path)
    server.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.tls.load_cert_chain(own)
    connections = AwsConnections(server.url, ENVIRONMENT)
    text = refused(lambda: connections.post(ID, b"hello"), ports.PlatformError)
    assert text.startswith("the server is not trusted: localhost:")
    monkeypatch.setenv("SSL_CERT_FILE", str(own))
    connections = AwsConnections(server.url, ENVIRONMENT)
    connections.post(ID, b"one")
    connections.post(ID, b"two")
    connections.release()
    assert len({call.port for call in server.calls}) == 1


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"AWS_REGION": ""}, "AWS_REGION: has no value"),
        ({"AWS_ACCESS_KEY_ID": " "}, "AWS_ACCESS_KEY_ID: has no value"),
        ({"AWS_SECRET_ACCESS_KEY": "a\nb: c"}, "AWS_SECRET_ACCESS_KEY: must be printable ASCII"),
        ({"AWS_SESSION_TOKEN": "ä"}, "AWS_SESSION_TOKEN: must be printable ASCII"),
        ({CONNECTIONS_ENDPOINT: "ftp://a"}, f"{CONNECTIONS_ENDPOINT}: must be the http or https URL"),
        ({CONNECTIONS_ENDPOINT: "http://a:65536"}, f"{CONNECTIONS_ENDPOINT}: must be"),
        ({CONNECTIONS_ENDPOINT: "http://user@a"}, f"{CONNECTIONS_ENDPOINT}: must be"),
        ({CONNECTIONS_ENDPOINT: "http://a/b?c"}, f"{CONNECTIONS_ENDPOINT}: must be"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_without_it(changes: dict[str, str], text: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        AwsConnections("https://a.example", ENVIRONMENT | changes)
    assert str(raised.value).startswith(text)


def test_the_services_own_setting_is_named_too() -> None:
    with pytest.raises(ConfigurationError, match="SWITCHBOARD_CONNECTIONS_URL: must be"):
        AwsConnections("wss://a.example/dev", ENVIRONMENT)


def test_a_container_that_never_calls_imports_nothing_for_calls() -> None:
    code = """
import os, sys
from shared.live.aws import AwsConnections, AwsFunctions
AwsConnections("https://a.example", os.environ), AwsFunctions(os.environ)
assert not {"http.client", "ssl", "hmac", "urllib.parse", "botocore"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, check=True)
