"""The plugins of a manifest. None runs here, and a missed effect on what functions see or get is a warning."""

from __future__ import annotations

from typing import Any

from emulator.manifest.section import Section

_MISSED = {
    "serverless-dotenv-plugin": "functions do not see the variables of .env: give them with --env-file .env",
    "serverless-plugin-warmup": "no warm-up event calls the functions",
    "serverless-domain-manager": "nothing answers under the custom domain",
}
"""What of a plugin does not happen here."""


def check(top: Section) -> None:
    """Warn about each plugin with an effect that is missed here."""
    plugins: Any = top.data.get("plugins")
    keys: tuple[str, ...] = ("plugins",)
    if isinstance(plugins, dict):
        plugins, keys = plugins.get("modules"), ("plugins", "modules")
    for index, name in enumerate(plugins if isinstance(plugins, list) else ()):
        if (missed := _MISSED.get(name if isinstance(name, str) else "")) is not None:
            top.warn(f"the plugin {name} does not run here: {missed}", *keys, index)
