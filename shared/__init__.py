"""What the functions share: the rules of a session's life, its storage, and the edge to the gateway."""

import sys

if sys.platform == "win32":
    raise SystemExit(
        "error: the functions do not run on Windows itself: use WSL, https://learn.microsoft.com/windows/wsl"
    )

# peewee imports every driver that it finds, and a cold start on SQLite would take twice as long with psycopg. An engine
# imports the driver that it needs. msgspec takes from typing_extensions only what `typing` has too; a cold start takes
# 7 % less without it.
_HIDDEN = ("psycopg2cffi", "psycopg2", "psycopg", "pymysql", "MySQLdb", "typing_extensions")
_hidden = [name for name in _HIDDEN if name not in sys.modules]
sys.modules.update(dict.fromkeys(_hidden))  # type: ignore[arg-type] # None: such a module is not there
import msgspec  # noqa: E402, F401
import peewee  # noqa: E402, F401

for _name in _hidden:
    del sys.modules[_name]
