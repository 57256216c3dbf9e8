"""The handler of projects with the plugin serverless-wsgi, which deploys a module of this name.

It runs in the project's folder, by the functions' Python, which needs the package `serverless-wsgi`.
EMULATOR_WSGI_APP names the application as `custom.wsgi.app` in the manifest does: `app.app`, or `folder/app.app`.
"""

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import serverless_wsgi


def _application() -> Any:
    module, _, name = os.environ["EMULATOR_WSGI_APP"].rpartition(".")
    folder, _, module = module.rpartition("/")
    if folder:
        sys.path.insert(0, str(Path.cwd() / folder))
    return getattr(importlib.import_module(module), name)


_app = _application()


def _with_stage(environ: Any, start_response: Any) -> Any:
    """The application, with the stage of a REST API in its addresses; the plugin adds it for AWS's hosts alone."""
    event = environ["serverless.event"]
    context = event.get("requestContext") or {}
    if "version" not in event and "stage" in context and not environ["SCRIPT_NAME"]:
        environ["SCRIPT_NAME"] = serverless_wsgi.get_script_name({"Host": "amazonaws.com"}, context)
    return _app(environ, start_response)


def handler(event: Any, context: Any) -> Any:
    """Lambda's entry: one WSGI request for each event."""
    return serverless_wsgi.handle_request(_with_stage, event, context)
