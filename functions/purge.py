"""For a schedule: delete the sessions that ended long ago. `python -m shared.admin purge` does the same by hand."""

import os
from typing import Any

from shared.admin.scheduled import purge_by_settings
from shared.config import Settings


def handler(event: Any, context: Any) -> dict[str, int | bool]:
    """How many rows were deleted, and whether nothing is left; else the next run goes on."""
    return purge_by_settings(Settings.from_environment(os.environ), context.get_remaining_time_in_millis() / 1000)
