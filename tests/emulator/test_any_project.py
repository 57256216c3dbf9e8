"""Other people's services: their folders, their module names, their manifests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulator.harness import Emulator, running

MANIFEST = """
service: {name: theirs}
frameworkVersion: ^3.0
useDotenv: true
plugins: [serverless-python-requirements, serverless-offline]
custom:
  common: ${file(config/${sls:stage}.yml)}
  pythonRequirements: {zip: true}
package: {individually: true, patterns: ["!**", "services/**"]}
provider:
  name: aws
  runtime: python3.12
  stage: ${opt:stage, 'test'}
  memorySize: ${self:custom.common.memory}
  iam: {role: {statements: [{Effect: Allow, Action: "s3:*", Resource: !GetAtt Bucket.Arn}]}}
  tracing: {lambda: true}
  environment:
    BUCKET: !Ref Bucket
    QUEUE: {"Fn::GetAtt": [Queue, Arn]}
    COLOUR: ${self:custom.common.colour}
functions:
  - ${file(functions.yml)}
  - second:
      handler: services/second/main.handle
      environment: {COLOUR: own}
      events:
        - httpApi: {path: /second, method: '*'}
        - httpApi: GET /also
        - sns: some-topic
resources:
  Resources:
    Bucket: {Type: "AWS::S3::Bucket"}
"""
FILES = {
    "serverless.yml": MANIFEST,
    "config/test.yml": "memory: 192\ncolour: blue\n",
    "functions.yml": "first:\n  handler: services.first.handler.main\n  events: [{httpApi: GET /first/{proxy+}}]\n",
    "services/__init__.py": "",
    "services/first/__init__.py": "",
    "services/first/handler.py": "from shared import NAME\nimport emulator, functions, os\n"
    "def main(event, context):\n"
    "    return [NAME, emulator.NAME, functions.NAME, os.environ['COLOUR'], os.environ['BUCKET'],"
    " os.environ['QUEUE'], context.memory_limit_in_mb]\n",
    "services/second/main.py": "import os\ndef handle(event, context):\n    return os.environ['COLOUR']\n",
    "shared.py": "NAME = 'their shared'\n",
    "emulator.py": "NAME = 'their emulator'\n",
    "functions.py": "NAME = 'their functions'\n",
}


@pytest.fixture(scope="module", params=["workers", "ric"])
def theirs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    folder: Path = tmp_path_factory.mktemp("theirs") / "service"
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("GET /first/{proxy+}", "'GET /first/{proxy+}'"))
    with running(folder, "--runtime", request.param) as started:
        yield started


def test_their_modules_are_theirs(theirs: Emulator) -> None:
    answer = theirs.get("/first/a/b")
    assert answer.status == 200, theirs.output()
    names = ["their shared", "their emulator", "their functions"]
    assert answer.json == [*names, "blue", "<Ref:Bucket>", "<Fn::GetAtt:Queue.Arn>", "192"]


def test_a_function_may_have_several_routes(theirs: Emulator) -> None:
    assert theirs.request("PUT", "/second", b"").body == b"own"
    assert theirs.get("/also").body == b"own"


def test_what_is_not_emulated_is_said(theirs: Emulator) -> None:
    output = theirs.output()
    assert "warning: " in output
    assert "BUCKET is Ref Bucket, which only CloudFormation can resolve" in output
    assert "sns events are not emulated" in output
    assert "theirs (test) at http://" in output
