"""What the functions share: the rules of a session's life, its storage, and the edge to the gateway."""

import sys

if sys.platform == "win32":
    raise SystemExit(
        "error: the functions do not run on Windows itself: use WSL, https://learn.microsoft.com/windows/wsl"
    )

# peewee imports every driver that it finds, and a cold start on SQLite would take twice as long with psycopg. An engine
# imports the driver that it needs.
_drivers = [name for name in ("psycopg2cffi", "psycopg2", "psycopg", "pymysql", "MySQLdb") if name not in sys.modules]
sys.modules.update(dict.fromkeys(_drivers))  # type: ignore[arg-type] # None: such a module is not there
import peewee  # noqa: E402, F401

for _name in _drivers:
    del sys.modules[_name]
