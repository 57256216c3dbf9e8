"""Views and their addresses."""

from __future__ import annotations

import io
import zlib

from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect
from django.urls import path


def form(request: HttpRequest) -> HttpResponse:
    """The token that a form must send back."""
    return HttpResponse(get_token(request))


def sign_in(request: HttpRequest) -> HttpResponse:
    """Keep the name in the session, and redirect to the page that reads it."""
    request.session["name"] = request.POST["name"]
    return redirect("greet")


def greet(request: HttpRequest) -> JsonResponse:
    """What the session holds."""
    return JsonResponse({"name": request.session["name"], "tags": request.GET.getlist("tag")})


def upload(request: HttpRequest) -> JsonResponse:
    """An uploaded file, by its name and checksum."""
    file = request.FILES["file"]
    return JsonResponse({"name": file.name, "crc": zlib.crc32(file.read())})


def download(_: HttpRequest) -> FileResponse:
    """Every byte there is, streamed."""
    return FileResponse(io.BytesIO(bytes(range(256))), as_attachment=True, filename="bytes.bin")


urlpatterns = [
    path("form/", form),
    path("sign-in/", sign_in),
    path("greet/", greet, name="greet"),
    path("files/", upload),
    path("download/", download),
]
