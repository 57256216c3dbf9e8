"""Copies of this process: forked children, and execution environments that Lambda restores from a snapshot (SnapStart).

A copy begins with the memory of its original. What must not be the same in both is registered here. Only Lambda has
the package with SnapStart's hooks.
"""

import os
from collections.abc import Callable

_SNAP_START = os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"


def in_each_copy(call: Callable[[], object]) -> None:
    """Call this in a forked child, and after a restore, before anything else runs there."""
    os.register_at_fork(after_in_child=call)
    after_restore(call)


def before_snapshot(call: Callable[[], object]) -> None:
    """Call this before Lambda takes the snapshot."""
    if _SNAP_START:
        from snapshot_restore_py import register_before_snapshot

        register_before_snapshot(call)


def after_restore(call: Callable[[], object]) -> None:
    """Call this in each execution environment that is restored, before its first call."""
    if _SNAP_START:
        from snapshot_restore_py import register_after_restore

        register_after_restore(call)
