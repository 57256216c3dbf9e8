"""A FastAPI application behind Mangum."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Cookie, FastAPI, Form, Request, UploadFile
from fastapi.responses import RedirectResponse, Response, StreamingResponse
from mangum import Mangum
from pydantic import BaseModel, Field


@contextlib.asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, str]]:
    """What the application opens when it starts."""
    yield {"opened": "yes"}


app = FastAPI(lifespan=lifespan)


class Item(BaseModel):
    """Something that can be ordered."""

    name: str
    count: Annotated[int, Field(gt=0)]


@app.post("/items", status_code=201)
async def order(item: Item) -> Item:
    """The item again."""
    return item


@app.get("/state")
def state(request: Request) -> dict[str, str]:
    """What the start of the application left; not `async`, so it runs on a thread."""
    return {"opened": request.state.opened, "url": str(request.url)}


@app.post("/sign-in")
async def sign_in(name: Annotated[str, Form()]) -> RedirectResponse:
    """Two cookies, and a redirect to the page that reads them."""
    answer = RedirectResponse("/greet", 303)
    answer.set_cookie("name", name)
    answer.set_cookie("colour", "blue")
    return answer


@app.get("/greet")
async def greet(name: Annotated[str, Cookie()], colour: Annotated[str, Cookie()]) -> dict[str, str]:
    """What the cookies say."""
    return {"name": name, "colour": colour}


@app.post("/files")
async def upload(files: list[UploadFile], note: Annotated[str, Form()]) -> dict[str, object]:
    """Uploaded files, by their names and checksums."""
    return {"note": note, "files": [(file.filename, zlib.crc32(await file.read())) for file in files]}


@app.get("/download")
async def download() -> Response:
    """Every byte there is."""
    headers = {"Content-Disposition": 'attachment; filename="bytes.bin"'}
    return Response(bytes(range(256)), media_type="application/octet-stream", headers=headers)


@app.get("/stream")
async def stream() -> StreamingResponse:
    """A body in several parts."""
    return StreamingResponse(iter([b"one,", b"two,", b"three"]), media_type="text/csv")


@app.get("/fail")
async def fail() -> None:
    """An error that nobody catches."""
    raise RuntimeError("on purpose")


handler = Mangum(app)
