"""The command that prints a sample event, for `invoke NAME --event -`."""

from __future__ import annotations

import enum
import json
from typing import Annotated

import typer

from emulator.cli import options, output
from emulator.service import sample_events
from emulator.service.sample_events import BodyError, Sender


class Kind(enum.StrEnum):
    """A service that sends events."""

    SQS = "sqs"
    SNS = "sns"
    S3 = "s3"
    DYNAMODB = "dynamodb"
    KINESIS = "kinesis"
    EVENT_BRIDGE = "eventBridge"


KindArgument = Annotated[Kind, typer.Argument(help="The service that sends it.")]
Body = Annotated[
    list[str],
    typer.Option(help="A message, an object's content, or JSON: an item, a detail. Several make several records."),
]
Name = Annotated[str, typer.Option(help="Of the queue, topic, bucket, table or stream; for EventBridge the source.")]
Key = Annotated[str, typer.Option(help="An object's key in its bucket; a record's partition key or message group.")]
DetailType = Annotated[str, typer.Option(help="For EventBridge.")]
Region = Annotated[str, typer.Option(help="The region in the event.")]


def event(
    kind: KindArgument,
    body: Body = ["{}"],  # noqa: B006
    name: Name = Sender.name,
    key: Key = Sender.key,
    detail_type: DetailType = Sender.detail_type,
    region: Region = Sender.region,
) -> None:
    """Print an event as a service sends it to a function: event sqs --body hello | invoke NAME --event -."""
    try:
        made = sample_events.event(kind.value, Sender(region, name, key, detail_type), body)
    except BodyError as error:
        options.refuse(str(error))
    output.write(json.dumps(made, indent=2) + "\n")
