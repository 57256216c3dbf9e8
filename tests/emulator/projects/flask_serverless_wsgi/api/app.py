"""A Flask application that the plugin serverless-wsgi serves; its folder is on the import path."""

from __future__ import annotations

from flask import Flask, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from texts import GREETING

app = Flask(__name__)


@app.get("/")
def index() -> ResponseReturnValue:
    """Redirect to another page of this application."""
    return redirect(url_for("hello", name="ann"))


@app.route("/hello/<name>", methods=["GET", "POST"])
def hello(name: str) -> ResponseReturnValue:
    """A greeting, with the text that was sent."""
    text = request.get_json()["text"] if request.is_json else ""
    return {"greeting": GREETING, "name": name, "text": text}, 201 if text else 200


@app.get("/download")
def download() -> Response:
    """Every byte there is, and two cookies."""
    answer = Response(bytes(range(256)), mimetype="application/octet-stream")
    answer.set_cookie("one", "1")
    answer.set_cookie("two", "2")
    return answer
