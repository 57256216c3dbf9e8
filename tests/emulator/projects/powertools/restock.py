"""Powertools' validation of an event's body by a JSON Schema."""

from __future__ import annotations

import json
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from aws_lambda_powertools.utilities.validation import SchemaValidationError, envelopes, validate

SCHEMA = {"type": "object", "required": ["article"], "properties": {"article": {"type": "string"}}}


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """What was delivered, or what is wrong with it."""
    try:
        body = validate(event=event, schema=SCHEMA, envelope=envelopes.API_GATEWAY_HTTP)
    except SchemaValidationError as error:
        return {"statusCode": 400, "body": json.dumps({"wrong": error.validation_message})}
    return {"statusCode": 200, "body": json.dumps(body)}
