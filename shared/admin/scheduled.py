"""The purge of a schedule: as old as a setting says, for as long as a function may run."""

import logging

from shared import clock
from shared.admin.databases import opened_database
from shared.admin.moments import days_ago
from shared.admin.purging import deleted, purge
from shared.config import Settings, variable
from shared.retention import Purged

log = logging.getLogger(__name__)

_MARGIN = 30.0  # seconds; a write takes at most 25


def purge_by_settings(settings: Settings, seconds: float) -> dict[str, int | bool]:
    """Delete the sessions that ended `SWITCHBOARD_PURGE_AFTER_DAYS` ago, for nearly so many seconds.

    Returns the numbers of `Purged`, and `complete`: whether nothing is left. Raises `RefusedError`.
    """
    until = clock.elapsed() + seconds - _MARGIN
    setting = variable("purge_after_days")
    logging.getLogger("shared").setLevel(settings.log_level)
    purged, complete = Purged(), True
    if not settings.purge_after_days:
        log.warning("nothing is purged: %s is 0", setting)
    else:
        with opened_database(settings, variable("database_url")) as database:
            purged, complete = purge(database, days_ago(settings.purge_after_days), lambda rows: None, until)
        log.info("purged %s%s", deleted(purged), "" if complete else "; the next run goes on")
    return {**purged._asdict(), "complete": complete}
