"""Who brings messages to connected clients: the service behind the emulator, and what does less for comparison.

The peers store nothing and know nobody: they broadcast to a list of connections. Each tells its sender when it has
taken a message, as the service's answer to `store` does.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx
from websockets.asyncio.client import ClientConnection, connect

from shared.config import variable
from tests.bench.emulator import Kind

BARE = """import asyncio, sys
from websockets.asyncio.server import broadcast, serve
rooms = {}
async def handle(socket):
    room = rooms.setdefault(socket.request.path, set())
    room.add(socket)
    try:
        async for text in socket:
            room.discard(socket)
            broadcast(room, text)
            await socket.send("taken")
    finally:
        room.discard(socket)
def health(connection, request):
    if not request.path.startswith("/ws"):
        return connection.respond(200, "OK")
async def main():
    async with serve(handle, "127.0.0.1", int(sys.argv[1]), process_request=health, compression=None, backlog=2048):
        await asyncio.get_running_loop().create_future()
asyncio.run(main())
"""
"""A server on `websockets` that broadcasts from a list."""

MANIFEST = """service: trivial
provider: {name: aws, runtime: python3.11, environment: {API_PORT: "PORT"}}
plugins: [serverless-offline]
functions:
  health: {handler: app.health, events: [{httpApi: GET /health}]}
  chat:
    handler: app.chat
    events:
      - websocket: $connect
      - websocket: $disconnect
      - websocket: {route: $default, routeResponseSelectionExpression: $default}
"""
HANDLER = """import http.client, os
from urllib.parse import quote, urlsplit
connections = set()
def health(event, context):
    return {"statusCode": 200, "body": "OK"}
def chat(event, context):
    asked = event["requestContext"]
    if asked["eventType"] == "CONNECT":
        connections.add(asked["connectionId"])
    elif asked["eventType"] == "DISCONNECT":
        connections.discard(asked["connectionId"])
    else:
        port = os.environ["API_PORT"] or urlsplit(os.environ["AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI"]).port
        api = http.client.HTTPConnection("127.0.0.1", int(port))
        for connection in connections - {asked["connectionId"]}:
            api.request("POST", "/@connections/" + quote(connection, safe=""), event["body"])
            api.getresponse().read()
        api.close()
        return {"statusCode": 200, "body": "taken"}
    return {"statusCode": 200}
"""
"""A function that broadcasts to a list in its memory, by `@connections`, one after another."""


class Room(Protocol):
    """Some clients to whom the same messages go."""

    async def join(self, number: int) -> ClientConnection:
        """Another client, who gets every message from now on."""

    async def send(self, text: str) -> None:
        """Send a message to all clients; return when it is taken."""

    async def close(self) -> None:
        """Close what sends."""


@dataclass
class ServiceRoom:
    """A session of the service: messages are stored over HTTP."""

    base: str
    http: httpx.AsyncClient
    session_id: str

    @classmethod
    async def open(cls, base: str, size: int) -> "ServiceRoom":
        """A new session for so many students."""
        http = httpx.AsyncClient(base_url=base, timeout=120, trust_env=False)
        body = {"name": "class", "instructor_id": "noether", "student_ids": [f"s{number}" for number in range(size)]}
        answer = await http.post("/api/sessions", json=body)
        return cls(base, http, answer.raise_for_status().json()["session"]["id"])

    async def join(self, number: int) -> ClientConnection:
        """A student who has the history."""
        query = f"user_id=s{number}&role=student&session_id={self.session_id}"
        joined = await client(f"{self.base.replace('http', 'ws', 1)}/ws?{query}")
        assert "history_complete" in str(await joined.recv())
        return joined

    async def send(self, text: str) -> None:
        """Store a broadcast."""
        message = {"type": "instructor_broadcast", "from_user": "noether", "role": "instructor"}
        body = message | {"content": {"text": text}}
        (await self.http.post(f"/api/sessions/{self.session_id}/messages", json=body)).raise_for_status()

    async def close(self) -> None:
        """Close the HTTP connection."""
        await self.http.aclose()


@dataclass
class ListRoom:
    """The connections of a peer; one more sends."""

    address: str
    sender: ClientConnection

    @classmethod
    async def open(cls, address: str) -> "ListRoom":
        """The room at this address."""
        return cls(address, await client(address))

    async def join(self, number: int) -> ClientConnection:
        """Another connection."""
        return await client(self.address)

    async def send(self, text: str) -> None:
        """Send a message, and wait for its answer."""
        await self.sender.send(json.dumps({"text": text}))
        await self.sender.recv()

    async def close(self) -> None:
        """Close the connection that sends."""
        await self.sender.close()


async def client(address: str) -> ClientConnection:
    """A connection, without compression."""
    return await connect(address, proxy=None, compression=None, open_timeout=120, ping_interval=None, max_queue=None)


def service(root: Path, url: str) -> Kind:
    """The service on a database, in the emulator."""
    settings = {variable("database_url"): url, variable("messages_per_minute"): "0"}
    passed = [option for name in settings for option in ("--pass-env", name)]
    command = [sys.executable, "-m", "emulator", "--port", "{port}", *passed]
    return Kind(command, root, "/health", settings)


def bare(folder: Path) -> Kind:
    """The server on `websockets`."""
    return Kind([sys.executable, "-c", BARE, "{port}"], folder, "/health", {})


def trivial(root: Path, folder: Path) -> Kind:
    """The function that broadcasts, in the emulator. It has one container: its list is in its memory."""
    manifest = str(_written(folder / "live-trivial", "") / "serverless.yml")
    options = ["--max-containers", "1", "--manifest", manifest]
    return Kind([sys.executable, "-m", "emulator", "--port", "{port}", *options], root, "/health", {})


def offline(program: Path, folder: Path, port: int) -> Kind:
    """The same function in serverless-offline, which has WebSockets at a port of their own."""
    service = _written(folder, str(port))
    command = [str(program), "offline", "start", "--httpPort", "{port}", "--lambdaPort", "{other}"]
    return Kind([*command, "--websocketPort", str(port)], service, "/health", {"SLS_TELEMETRY_DISABLED": "1"})


def _written(folder: Path, port: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "serverless.yml").write_text(MANIFEST.replace('"PORT"', f'"{port}"'))
    (folder / "app.py").write_text(HANDLER)
    return folder
