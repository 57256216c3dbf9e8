"""The names that the framework gives to what it deploys, in CloudFormation's template."""

from __future__ import annotations


def logical_id(name: str, kind: str) -> str:
    """What `Ref` and `Fn::GetAtt` call a function (kind `LambdaFunction`) or a layer (`LambdaLayer`)."""
    spelled = name.replace("-", "Dash").replace("_", "Underscore")
    return f"{spelled[:1].upper()}{spelled[1:]}{kind}"
