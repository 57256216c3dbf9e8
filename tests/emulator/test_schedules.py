"""Schedules: their expressions, their clock, and a call on demand."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from emulator.manifest.events import cron, inputs
from emulator.manifest.loader import load
from emulator.manifest.yaml.document import ManifestError
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
        ("cron(0 9 ? * 2#1 *)", "2026-01-01 00:00:00", "2026-01-05 09:00:00"),
        ("cron(0 9 ? * 2#1 *)", "2026-09-01 00:00:00", "2026-09-07 09:00:00"),
        ("cron(0 9 ? * 6#5 *)", "2026-02-01 00:00:00", "2026-05-29 09:00:00"),
        ("cron(0 9 ? * 6L *)", "2026-01-01 00:00:00", "2026-01-30 09:00:00"),
        ("cron(0 9 ? * L *)", "2026-01-01 00:00:00", "2026-01-03 09:00:00"),
        ("cron(0 9 LW * ? *)", "2026-01-01 00:00:00", "2026-01-30 09:00:00"),
        ("cron(0 9 LW * ? *)", "2026-05-01 00:00:00", "2026-05-29 09:00:00"),
        ("cron(0 9 31W * ? *)", "2026-01-01 00:00:00", "2026-01-30 09:00:00"),
        ("cron(0 9 15W * ? *)", "2026-02-01 00:00:00", "2026-02-16 09:00:00"),
        ("cron(0 9 1W * ? *)", "2026-07-31 12:00:00", "2026-08-03 09:00:00"),
        ("cron(0 9 ? * FRI-MON *)", "2026-01-06 00:00:00", "2026-01-09 09:00:00"),
        ("cron(0 9 ? * FRI-MON *)", "2026-01-10 10:00:00", "2026-01-11 09:00:00"),
        ("cron(0 9 ? * FRI-MON *)", "2026-01-12 10:00:00", "2026-01-16 09:00:00"),
        ("cron(0 5-10 * * ? *)", "2026-01-01 10:30:00", "2026-01-02 05:00:00"),
        ("cron(0 22-2 * * ? *)", "2026-01-01 00:30:00", "2026-01-01 01:00:00"),
        ("cron(0 9 L,15 * ? *)", "2026-01-16 00:00:00", "2026-01-31 09:00:00"),
        ("at(2027-01-01T00:00:00)", "2026-01-01 00:00:00", "2027-01-01 00:00:00"),
        ("at(2027-01-01T00:00:00)", "2027-01-01 00:00:00", None),
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
        "cron(* * 15X * ? *)",
        "cron(* * ? * 2#6 *)",
        "cron(* * ? * 8L *)",
        "cron(* * ? * 8 *)",
        "cron(* * ? * 8#1 *)",
        "cron(* * 32W * ? *)",
        "cron(*/0 * * * ? *)",
        "cron(*-5 * * * ? *)",
        "at(2027-02-30T00:00:00)",
        "at(tomorrow)",
        "daily",
    ],
)
def test_an_expression_that_means_nothing(expression: str) -> None:
    with pytest.raises(cron.ExpressionError):
        cron.parse(expression)


@pytest.mark.parametrize(
    ("expression", "now", "due"),
    [
        ("cron(0 8 * * ? *)", "2026-01-01T00:00+00:00", "2026-01-01T13:00+00:00"),
        ("cron(0 8 * * ? *)", "2026-07-01T00:00+00:00", "2026-07-01T12:00+00:00"),
        ("cron(30 2 * * ? *)", "2026-03-08T00:00-05:00", "2026-03-09T02:30-04:00"),  # 2:30 is skipped on the 8th
        ("cron(30 1 * * ? *)", "2026-11-01T00:00-04:00", "2026-11-01T01:30-04:00"),
        ("cron(30 1 * * ? *)", "2026-11-01T01:30-04:00", "2026-11-02T01:30-05:00"),  # 1:30 comes twice on the 1st
        ("cron(45 1 * * ? *)", "2026-11-01T01:40-05:00", "2026-11-02T01:45-05:00"),
        ("at(2026-07-01T08:00:00)", "2026-01-01T00:00+00:00", "2026-07-01T12:00+00:00"),
        ("rate(1 day)", "2026-03-07T12:00-05:00", "2026-03-08T12:00-05:00"),
    ],
)
def test_the_next_time_in_new_york(expression: str, now: str, due: str) -> None:
    found = cron.parse(expression).after(datetime.fromisoformat(now), ZoneInfo("America/New_York"))
    assert found is not None
    assert found.astimezone(UTC) == datetime.fromisoformat(due).astimezone(UTC)


EVENT = {"source": "aws.events", "detail": {"a": ["x", 'say "hi"']}, "resources": ["arn:aws:events:r:1:rule/nightly"]}


@pytest.mark.parametrize(
    ("text", "paths", "sent"),
    [
        ('{"it": <it>}', {"it": "$.detail"}, {"it": EVENT["detail"]}),
        ('{"it": "<it>"}', {"it": "$.detail.a[0]"}, {"it": "x"}),
        ('"they <it>, from <from>"', {"it": "$.detail.a[1]", "from": "$.source"}, 'they say "hi", from aws.events'),
        ('{"it": <it>}', {"it": "$.missing"}, {"it": None}),
        ('"<aws.events.rule-name>"', {}, "nightly"),
        ("<aws.events.event.json>", {}, EVENT),
    ],
)
def test_a_template_is_filled_from_the_event(text: str, paths: dict[str, str], sent: object) -> None:
    assert inputs.Template(text, paths).of(EVENT) == sent


def test_a_path_selects_a_part_of_the_event() -> None:
    assert inputs.Path("$.detail.a[0]").of(EVENT) == "x"
    assert inputs.Path("$").of(EVENT) == EVENT
    assert inputs.Path("$.detail.a[7]").of(EVENT) is None


SCHEDULERS = """
service: timed
provider: {name: aws, region: eu-west-1}
functions:
  tick:
    handler: app.tick
    events:
      - schedule: {method: scheduler, name: early, rate: ["cron(0 8 * * ? *)"], timezone: America/New_York}
      - schedule: {rate: rate(1 hour), name: part, inputPath: $.source}
      - schedule: {rate: rate(1 hour), name: text, input: '{"a": 1}'}
      - schedule: {rate: rate(1 hour), name: body, input: {body: '{"a": 1}'}}
      - schedule:
          rate: rate(1 hour)
          name: made
          inputTransformer: {inputPathsMap: {who: $.source}, inputTemplate: '{"by": "<who>"}'}
"""


def test_what_schedules_send(folder: Path) -> None:
    with running(write_service(folder, SCHEDULERS, app=APP)) as started:
        sent = {
            name: started.request("POST", f"/_emulator/schedules/{name}/runs", b"").json
            for name in ("early", "part", "text", "body", "made")
        }
        event = sent.pop("early")
        assert (event["source"], event["detail"]) == ("aws.scheduler", "{}")
        assert event["resources"] == ["arn:aws:scheduler:eu-west-1:123456789012:schedule/default/early"]
        assert sent == {
            "part": "aws.events",
            "text": {"a": 1},
            "body": {"body": {"a": 1}},
            "made": {"by": "aws.events"},
        }
        assert "cron(0 8 * * ? *) America/New_York  tick" in started.output()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("rate: rate(1 day), timezone: Europe/Berlin", "timezone: is not supported with method: eventBus"),
        ("rate: rate(1 day), groupName: g", "groupName: is not supported"),
        ("rate: rate(1 day), method: scheduler, inputPath: $.a", "inputPath: is not supported with method: scheduler"),
        ("rate: rate(1 day), method: scheduler, timezone: Mars/Olympus", "is not a time zone"),
        ("rate: rate(1 day), inputPath: '$..a'", "is not a path"),
        ("rate: rate(1 day), input: 'no json'", "Expecting value"),
        ("rate: rate(1 day), input: {a: 1}, inputPath: $.a", "exclude one another"),
        ("rate: rate(1 day), inputTransformer: {inputTemplate: no json}", "is not JSON"),
        ("rate: [rate(1 day), rate(2 days)], name: both", "cannot have one name"),
        ("name: none", "neither rate"),
    ],
)
def test_a_schedule_that_cannot_be_followed_is_refused_with_its_line(tmp_path: Path, settings: str, told: str) -> None:
    path = tmp_path / "serverless.yml"
    path.write_text(
        f"service: s\nfunctions:\n  one:\n    handler: a.b\n    events:\n      - schedule: {{{settings}}}\n"
    )
    with pytest.raises(ManifestError, match=r"serverless\.yml:6: ") as caught:
        load(path, {})
    assert told in str(caught.value)


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
    clock = "c.parse = lambda e: c.Rate(d.timedelta(seconds=0.3))"
    patch = f"import emulator.manifest.events.cron as c, datetime as d\n{clock}\n"
    (folder.parent / "patch" / "sitecustomize.py").write_text(f"import sys\nsys.path.insert(0, '.')\n{patch}")
    write_service(folder, MANIFEST, app=APP)
    with running(folder, env={"PYTHONPATH": str(folder.parent / "patch")}) as started:
        started.wait_for("  tick | tick")
        started.wait_for("SCHEDULE rate(1 hour)  ok")
