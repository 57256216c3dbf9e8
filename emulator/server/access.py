"""Who may ask for the emulator's own routes: programs on this machine, and no web page of another origin."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers

OWN_SITES = ("same-origin", "none")
"""What a browser sends as Sec-Fetch-Site for a page of this very server, and for an address that a person typed."""


def is_loopback(name: str) -> bool:
    """Whether a host's name or address always means this machine."""
    name = name.rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


class Access:
    """Decides by the headers that a web page cannot choose.

    A page elsewhere can send requests to this machine, but not with another Origin or Sec-Fetch-Site than its own. A
    page whose name was made to point to this machine (DNS rebinding) sends that name as Host. Programs such as
    curl and boto3 send neither Origin nor Sec-Fetch-Site. A person may follow a link to this machine: the page where
    the link is cannot read what the browser then shows, and a GET changes nothing here.
    """

    def __init__(self, hosts: Iterable[str] = ()) -> None:
        self._hosts = {host.lower().strip("[]") for host in hosts}

    def refusal(self, method: str, headers: Headers) -> str | None:
        """Why a request with this method and these headers is refused, or None."""
        host = headers.get("host", "")
        name = _host_name(host)
        if name not in self._hosts and not is_loopback(name):
            return f"the host {host!r} is not served here: start the emulator with --allow-host {name or 'NAME'}"
        if headers.get("sec-fetch-site", "none") not in OWN_SITES and not _is_link(method, headers):
            return "a web page of another origin may not use the emulator's own routes"
        if headers.get("origin", f"http://{host}").lower() != f"http://{host}".lower():
            return f"a web page of {headers['origin']} may not use the emulator's own routes"
        return None


def _is_link(method: str, headers: Headers) -> bool:
    """Whether a browser shows the answer to a person in a window of its own; not in a frame of another page."""
    kind = headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")
    return method == "GET" and kind == ("navigate", "document")


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
