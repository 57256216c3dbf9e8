"""A Flask application behind apig-wsgi."""

from __future__ import annotations

import zlib

from apig_wsgi import make_lambda_handler
from flask import Flask, Response, redirect, request, session, url_for
from flask.typing import ResponseReturnValue

app = Flask(__name__)
app.secret_key = "not a secret: this is a test"


@app.post("/sign-in")
def sign_in() -> ResponseReturnValue:
    """Two cookies, and a redirect to the page that reads them."""
    session["name"] = request.form["name"]
    answer = redirect(url_for("greet", _external=True), 303)
    answer.set_cookie("colour", "blue")
    return answer


@app.get("/greet")
def greet() -> ResponseReturnValue:
    """What the cookies say."""
    return {"name": session["name"], "colour": request.cookies["colour"]}


@app.get("/echo/<path:rest>")
def echo(rest: str) -> ResponseReturnValue:
    """The parts of the address as Flask sees them."""
    return {"rest": rest, "tags": request.args.getlist("tag"), "url": request.url}


@app.post("/files")
def upload() -> ResponseReturnValue:
    """An uploaded file, by its name, length and checksum."""
    file = request.files["file"]
    content = file.read()
    return {"name": file.filename, "note": request.form["note"], "length": len(content), "crc": zlib.crc32(content)}


@app.get("/download")
def download() -> Response:
    """Every byte there is."""
    return Response(bytes(range(256)), mimetype="application/octet-stream")


handler = make_lambda_handler(app)
