"""The routes behind `snapshot`: which there are, and how one is saved and loaded."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emulator.server import typed_body
from emulator.server.management import PREFIX
from emulator.server.queries import RefusedError, answer
from emulator.service.snapshots import SnapshotError, Snapshots


class Saving(msgspec.Struct, forbid_unknown_fields=True):
    """How a snapshot is saved."""

    replace: bool = False
    """Whether one of the same name is replaced."""


class SnapshotRoutes:
    """Lists, saves and loads snapshots of a running emulator."""

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots

    def routes(self) -> list[Route]:
        """The routes."""
        return [
            Route(f"{PREFIX}/snapshots", self.list, methods=["GET"]),
            Route(f"{PREFIX}/snapshots/{{name:path}}", self.save, methods=["PUT"]),
            Route(f"{PREFIX}/snapshots/{{name:path}}/load", self.load, methods=["POST"]),
        ]

    async def list(self, _: Request) -> Response:
        """Every snapshot, the oldest first."""
        return answer({"snapshots": self._snapshots.known()})

    async def save(self, request: Request) -> Response:
        """Copy every database."""
        saving = await typed_body.read(request, Saving)
        try:
            return answer(await self._snapshots.save(request.path_params["name"], replace=saving.replace))
        except (SnapshotError, OSError) as error:
            raise RefusedError(str(error)) from None

    async def load(self, request: Request) -> Response:
        """Put every database back."""
        try:
            return answer(await self._snapshots.load(request.path_params["name"]))
        except SnapshotError as error:
            raise RefusedError(str(error)) from None
