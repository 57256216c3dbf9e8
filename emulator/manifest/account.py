"""The AWS account that the emulator pretends to be, and the ARNs in it."""

from __future__ import annotations

ACCOUNT_ID = "123456789012"
PARTITION = "aws"
URL_SUFFIX = "amazonaws.com"
API_ID = "local"


def api_host(region: str) -> str:
    """The host name of an API of this account."""
    return f"{API_ID}.execute-api.{region}.{URL_SUFFIX}"


def arn(service: str, region: str, resource: str) -> str:
    """The ARN of a resource of this account; services without regions, as IAM, have an empty region."""
    return f"arn:{PARTITION}:{service}:{region}:{ACCOUNT_ID}:{resource}"


def references(region: str) -> dict[str, str]:
    """What `Ref` gives in a template: pseudo parameters that are known without a stack, and the WebSocket API's id."""
    return {
        "WebsocketsApi": API_ID,
        "AWS::AccountId": ACCOUNT_ID,
        "AWS::Partition": PARTITION,
        "AWS::Region": region,
        "AWS::URLSuffix": URL_SUFFIX,
    }
