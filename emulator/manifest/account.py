"""The AWS account that the emulator pretends to be, and the ARNs in it."""

from __future__ import annotations

ACCOUNT_ID = "123456789012"
PARTITION = "aws"
URL_SUFFIX = "amazonaws.com"


def arn(service: str, region: str, resource: str) -> str:
    """The ARN of a resource of this account; services without regions, as IAM, have an empty region."""
    return f"arn:{PARTITION}:{service}:{region}:{ACCOUNT_ID}:{resource}"


def pseudo_parameters(region: str) -> dict[str, str]:
    """CloudFormation's pseudo parameters, as far as they are known without a stack."""
    return {
        "AWS::AccountId": ACCOUNT_ID,
        "AWS::Partition": PARTITION,
        "AWS::Region": region,
        "AWS::URLSuffix": URL_SUFFIX,
    }
