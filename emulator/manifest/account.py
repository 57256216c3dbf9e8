"""The AWS account that the emulator pretends to be, and the ARNs in it."""

from __future__ import annotations

ACCOUNT_ID = "123456789012"


def arn(service: str, region: str, resource: str) -> str:
    """The ARN of a resource of this account; services without regions, as IAM, have an empty region."""
    return f"arn:aws:{service}:{region}:{ACCOUNT_ID}:{resource}"
