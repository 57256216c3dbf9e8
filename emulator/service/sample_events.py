"""The events of services that are not emulated, as these send them to a function."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import time
import urllib.parse
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from emulator.containers import stamp
from emulator.manifest.account import ACCOUNT_ID, arn

Record = dict[str, Any]


@dataclass(frozen=True)
class Sender:
    """Who sends an event: the names that are in it."""

    region: str = "us-east-1"
    name: str = "sample"
    """Of the queue, topic, bucket, table or stream; for EventBridge the source."""
    key: str = "sample.txt"
    """Of the object in the bucket; the partition key of a stream."""
    detail_type: str = "Sample"


class BodyError(Exception):
    """A body from which no event of this kind can be made."""


def sqs(sender: Sender, body: str, number: int) -> Record:
    """One message of a queue."""
    now = str(int(time.time() * 1000))
    attributes = {"ApproximateReceiveCount": "1", "SentTimestamp": now, "SenderId": ACCOUNT_ID}
    if sender.name.endswith(".fifo"):
        attributes |= {"SequenceNumber": f"{18850000000000000000 + number}", "MessageGroupId": sender.key}
        attributes["MessageDeduplicationId"] = hashlib.sha256(body.encode()).hexdigest()
    return {
        "messageId": str(uuid.uuid4()),
        "receiptHandle": base64.b64encode(random.randbytes(48)).decode(),  # noqa: S311
        "body": body,
        "attributes": {**attributes, "ApproximateFirstReceiveTimestamp": now},
        "messageAttributes": {},
        "md5OfBody": hashlib.md5(body.encode(), usedforsecurity=False).hexdigest(),
        "eventSource": "aws:sqs",
        "eventSourceARN": arn("sqs", sender.region, sender.name),
        "awsRegion": sender.region,
    }


def sns(sender: Sender, body: str, _: int) -> Record:
    """One message of a topic."""
    topic, host = arn("sns", sender.region, sender.name), f"https://sns.{sender.region}.amazonaws.com"
    subscription = f"{topic}:{uuid.uuid4()}"
    return {
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": subscription,
        "Sns": {
            "Type": "Notification",
            "MessageId": str(uuid.uuid4()),
            "TopicArn": topic,
            "Subject": None,
            "Message": body,
            "Timestamp": stamp(time.time()),
            "SignatureVersion": "1",
            "Signature": "EXAMPLE",
            "SigningCertUrl": f"{host}/SimpleNotificationService-EXAMPLE.pem",
            "UnsubscribeUrl": f"{host}/?Action=Unsubscribe&SubscriptionArn={subscription}",
            "MessageAttributes": {},
        },
    }


def s3(sender: Sender, body: str, number: int) -> Record:
    """The upload of one object, whose content is the body."""
    content = body.encode()
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": sender.region,
        "eventTime": stamp(time.time()),
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "AWS:EXAMPLE"},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": "EXAMPLE123456789", "x-amz-id-2": "EXAMPLE123/abcdefghijklambda"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "sample",
            "bucket": {
                "name": sender.name,
                "ownerIdentity": {"principalId": "EXAMPLE"},
                "arn": f"arn:aws:s3:::{sender.name}",
            },
            "object": {
                "key": urllib.parse.quote_plus(sender.key, safe="/"),
                "size": len(content),
                "eTag": hashlib.md5(content, usedforsecurity=False).hexdigest(),
                "sequencer": f"{0x0A1B2C3D4E5F678900 + number:018X}",
            },
        },
    }


def dynamodb(sender: Sender, body: str, number: int) -> Record:
    """The insertion of one item, a JSON object; its first attribute is the table's key."""
    item = _object(body, "an item")
    if not item:
        raise BodyError("an item needs at least one attribute, which is its key")
    image = {name: _attribute(value) for name, value in item.items()}
    created = datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
    return {
        "eventID": uuid.uuid4().hex,
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": sender.region,
        "dynamodb": {
            "ApproximateCreationDateTime": int(time.time()),
            "Keys": dict(list(image.items())[:1]),
            "NewImage": image,
            "SequenceNumber": f"{111000000000000000000001 + number}",
            "SizeBytes": len(body.encode()),
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
        "eventSourceARN": arn("dynamodb", sender.region, f"table/{sender.name}/stream/{created}"),
    }


def kinesis(sender: Sender, body: str, number: int) -> Record:
    """One record of a stream."""
    sequence = f"{49590338271490256608559692538361571095921575989136588898 + number}"
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": sender.key,
            "sequenceNumber": sequence,
            "data": base64.b64encode(body.encode()).decode(),
            "approximateArrivalTimestamp": round(time.time(), 3),
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"shardId-000000000000:{sequence}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": arn("iam", "", "role/local"),
        "awsRegion": sender.region,
        "eventSourceARN": arn("kinesis", sender.region, f"stream/{sender.name}"),
    }


def event_bridge(sender: Sender, bodies: Sequence[str]) -> Record:
    """One event of a bus, with the body, a JSON object, as its detail."""
    if len(bodies) != 1:
        raise BodyError("EventBridge sends one event at a time: give one body")
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": sender.detail_type,
        "source": sender.name,
        "account": ACCOUNT_ID,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "region": sender.region,
        "resources": [],
        "detail": _object(bodies[0], "a detail"),
    }


RECORDS: dict[str, Callable[[Sender, str, int], Record]] = {
    "sqs": sqs,
    "sns": sns,
    "s3": s3,
    "dynamodb": dynamodb,
    "kinesis": kinesis,
}


def event(kind: str, sender: Sender, bodies: Sequence[str]) -> Record:
    """The event of a kind, with one record for each body."""
    if kind == "eventBridge":
        return event_bridge(sender, bodies)
    return {"Records": [RECORDS[kind](sender, body, number) for number, body in enumerate(bodies)]}


def _object(body: str, what: str) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise BodyError(f"{what} is a JSON object, not {body[:100]!r}")
    return value


def _attribute(value: Any) -> dict[str, Any]:
    """A JSON value as DynamoDB writes it, with its type."""
    if isinstance(value, bool):
        return {"BOOL": value}
    if value is None:
        return {"NULL": True}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, list):
        return {"L": [_attribute(item) for item in value]}
    if isinstance(value, dict):
        return {"M": {name: _attribute(item) for name, item in value.items()}}
    return {"N": json.dumps(value)}
