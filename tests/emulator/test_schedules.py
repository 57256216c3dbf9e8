"""Schedules: their expressions, their clock, and a call on demand."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from emulator.manifest import cron
from tests.emulator.harness import running, write_service

MANIFEST = """
service: timed
provider: {name: aws, region: eu-west-1}
functions:
  tick:
    handler: app.tick
    events:
      - schedule: rate(1 hour)
      - schedule: {rate: "cron(0 8 ? * MON-FRI *)", name: mornings, enabled: false, input: {given: 1}}
"""
APP = "def tick(event, context):\n    print('tick')\n    return event\n"


@pytest.mark.parametrize(
    ("expression", "now", "due"),
    [
        ("rate(5 minutes)", "2026-01-01 00:00:30", "2026-01-01 00:05:30"),
        ("rate(1 day)", "2026-01-01 00:00:30", "2026-01-02 00:00:30"),
        ("cron(* * * * ? *)", "2026-01-01 00:00:00", "2026-01-01 00:01:00"),
        ("cron(0/15 * * * ? *)", "2026-01-01 00:16:00", "2026-01-01 00:30:00"),
        ("cron(0 8 ? * MON-FRI *)", "2026-11-20 09:00:00", "2026-11-23 08:00:00"),
        ("cron(30 6,18 * * ? *)", "2026-01-01 06:30:00", "2026-01-01 18:30:00"),
        ("cron(0 0 1 1,7 ? *)", "2026-01-01 00:00:00", "2026-07-01 00:00:00"),
        ("cron(0 0 L * ? *)", "2026-02-01 00:00:00", "2026-02-28 00:00:00"),
        ("cron(0 0 29 2 ? *)", "2026-01-01 00:00:00", "2028-02-29 00:00:00"),
        ("cron(0 12 ? JAN SUN 2027-2030)", "2026-01-01 00:00:00", "2027-01-03 12:00:00"),
        ("cron(0 0 1 1 ? 2020)", "2026-01-01 00:00:00", None),
    ],
)
def test_the_next_time(expression: str, now: str, due: str | None) -> None:
    found = cron.parse(expression).after(datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert found == (datetime.fromisoformat(due).replace(tzinfo=UTC) if due else None)


@pytest.mark.parametrize(
    "expression",
    [
        "rate(0 minutes)",
        "rate(2 minute)",
        "rate(1 week)",
        "cron(* * * *)",
        "cron(60 * * * ? *)",
        "cron(* * * * * *)",
        "cron(* * ? * FUNDAY *)",
        "cron(* * 15W * ? *)",
        "daily",
    ],
)
def test_an_expression_that_means_nothing(expression: str) -> None:
    with pytest.raises(cron.ExpressionError):
        cron.parse(expression)


def test_schedules_are_listed_and_run_on_demand(folder: Path) -> None:
    with running(write_service(folder, MANIFEST, app=APP)) as started:
        assert "rate(1 hour)  tick\n" in started.output()
        listed = started.get("/_emulator/schedules").json["schedules"]
        names = [schedule["name"] for schedule in listed]
        assert names == ["timed-dev-tick-schedule-1", "mornings"]
        event = started.request("POST", f"/_emulator/schedules/{names[0]}/runs", b"").json
        assert (event["source"], event["detail-type"], event["detail"]) == ("aws.events", "Scheduled Event", {})
        assert event["resources"] == [f"arn:aws:events:eu-west-1:123456789012:rule/{names[0]}"]
        assert started.request("POST", "/_emulator/schedules/mornings/runs", b"").json == {"given": 1}
        assert started.request("POST", "/_emulator/schedules/none/runs", b"").status == 404
        started.wait_for("SCHEDULE rate(1 hour)  ok  ")


def test_a_schedule_runs_by_itself(folder: Path) -> None:
    # A second's fraction stands for the minute: the expression's period is patched where the emulator starts.
    (folder.parent / "patch").mkdir()
    patch = "import emulator.manifest.cron as c, datetime as d\nc.parse = lambda e: c.Rate(d.timedelta(seconds=0.3))\n"
    (folder.parent / "patch" / "sitecustomize.py").write_text(f"import sys\nsys.path.insert(0, '.')\n{patch}")
    write_service(folder, MANIFEST, app=APP)
    with running(folder, env={"PYTHONPATH": str(folder.parent / "patch")}) as started:
        started.wait_for("  tick | tick")
        started.wait_for("SCHEDULE rate(1 hour)  ok")
