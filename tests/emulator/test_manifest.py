"""The manifest: what is read from it, and what is refused with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.manifest.loader import load
from emulator.manifest.model import JwtAuthorizer, Manifest, RequestAuthorizer
from emulator.manifest.yaml.document import ManifestError
from tests.emulator.harness import ROOT

HEAD = "service: s\nprovider: {name: aws}\n"
GOOD = HEAD + "functions:\n  one:\n    handler: app.one\n"


def read(tmp_path: Path, text: str, stage: str | None = None, **params: str) -> Manifest:
    path = tmp_path / "serverless.yml"
    path.write_text(text)
    return load(path, {} if stage is None else {"stage": stage}, params)


def environment(tmp_path: Path, value: str, custom: str = "", stage: str | None = None, **params: str) -> str:
    """What an environment variable of this value reaches the function as."""
    text = f"service: s\n{custom}\nprovider:\n  name: aws\n  environment:\n    X: {value}\n"
    return (
        read(tmp_path, text + "functions:\n  one: {handler: app.one}\n", stage, **params)
        .functions["one"]
        .environment["X"]
    )


def test_the_projects_own_manifest_is_understood() -> None:
    manifest = load(ROOT / "serverless.yml", {"stage": "test"})
    assert {function.name for function in manifest.functions.values()} >= {"create", "end", "validate"}
    assert not manifest.warnings
    create = manifest.functions["create"]
    assert (create.full_name, create.handler) == ("switchboard-sessions-test-create", "functions.create.handler")


def test_defaults_and_overrides(tmp_path: Path) -> None:
    text = """
service: s
provider: {name: aws, timeout: 10, memorySize: 256, environment: {A: all, B: all}, region: eu-north-1}
functions:
  plain: {handler: a.b}
  special: {handler: sub/a.b, timeout: 2, memorySize: 128, environment: {B: own}, name: named}
"""
    manifest = read(tmp_path, text)
    plain, special = manifest.functions["plain"], manifest.functions["special"]
    assert (plain.timeout, plain.memory_size, plain.environment) == (10, 256, {"A": "all", "B": "all"})
    assert (special.timeout, special.memory_size, special.environment) == (2, 128, {"A": "all", "B": "own"})
    assert (plain.full_name, special.full_name) == ("s-dev-plain", "named")
    assert special.arn == "arn:aws:lambda:eu-north-1:123456789012:function:named"
    bare = read(tmp_path, GOOD).functions["one"]
    assert (bare.timeout, bare.memory_size) == (6, 1024)


def test_a_function_is_found_by_every_name_it_has(tmp_path: Path) -> None:
    manifest = read(tmp_path, GOOD)
    one = manifest.functions["one"]
    for name in ("one", "one:$LATEST", "s-dev-one", one.arn, f"{one.arn}:$LATEST", "123456789012:function:s-dev-one"):
        assert manifest.function(name) is one
    assert manifest.function("two") is None
    assert manifest.function(f"{one.arn}:live") is None, "it has no alias"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", "plain"),
        ("${env:EMULATOR_TEST}", "from the shell"),
        ("${env:MISSING, 'default'}", "default"),
        ('${env:MISSING, "a, b"}', "a, b"),
        ("${env:MISSING, ${env:ALSO_MISSING, 'inner'}}", "inner"),
        ("${env:MISSING, self:custom.word}", "word"),
        ("${self:custom.word}-${self:custom.list.1}", "word-second"),
        ("${self:custom.${self:custom.key}}", "word"),
        ("${self:custom.later}", "dev-word"),
        ("${opt:stage, 'dev'}", "dev"),
        ("${opt:missing, 5}", "5"),
        ("${opt:missing, true}", "true"),
        ("${sls:stage}", "dev"),
        ("${aws:accountId}", "123456789012"),
        ("${param:given}", "param"),
        ("${param:declared}", "for dev"),
        ("${param:of_all}", "for all"),
        ("${param:of_stages}", "for this stage"),
        ("${file(part.yml):inside.deep}", "from a file"),
        ("${file(missing.yml), 'no file'}", "no file"),
        ("${strToBool(1)}", "true"),
        ("arn:${AWS::Region}:x", "arn:${AWS::Region}:x"),
        ("${Pool.Arn} ${My-Pool} ${word} ${!Literal} ${}", "${Pool.Arn} ${My-Pool} ${word} ${!Literal} ${}"),
        ("${Pool${self:custom.word}}", "${Poolword}"),
        (r"'\${self:custom.word} \${AWS::Region}'", "${self:custom.word} ${AWS::Region}"),
        (r"'\\${self:custom.word} \\\${Pool} \x \\'", r"\word \${Pool} \x \\"),
        ("on", "on"),
        ("2020-01-01", "2020-01-01"),
    ],
)
def test_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, expected: str) -> None:
    monkeypatch.setenv("EMULATOR_TEST", "from the shell")
    (tmp_path / "part.yml").write_text("inside: {deep: '${self:custom.from_file}'}\n")
    custom = (
        "custom: {word: word, key: word, list: [first, second], later: '${sls:stage}-${self:custom.word}',"
        " from_file: from a file}\nparams: {dev: {declared: for dev}, default: {declared: no, of_all: for all}}\n"
        "stages: {dev: {params: {of_stages: for this stage}}}"
    )
    assert environment(tmp_path, value, custom, given="param") == expected


def test_the_stage_of_the_command_line_wins(tmp_path: Path) -> None:
    assert environment(tmp_path, "${sls:stage}-${opt:stage, 'dev'}", stage="prod") == "prod-prod"


def test_what_lives_elsewhere_can_be_given(tmp_path: Path) -> None:
    text = "service: s\nprovider: {name: aws, environment: {X: '${ssm:/key}'}}\nfunctions: {one: {handler: a.b}}\n"
    path = tmp_path / "serverless.yml"
    path.write_text(text)
    assert load(path, {}, {"ssm:/key": "known"}).functions["one"].environment == {"X": "known"}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("${env:SURELY_MISSING}", "no default"),
        ("${self:custom.nothing}", "no default"),
        ("${aws:colour}", "aws:colour} is not a variable"),
        ("${madeup:x}", "not a variable"),
        ("${sls:colour}", "not a variable"),
        ("${env:X, ${word}}", "not a variable"),
        ("${self:provider.environment.X}", "refers to itself"),
        ("'${env:X'", "closing brace"),
        ("'a ${self:functions} b'", "cannot be inside"),
        ("{a: b}", "cannot be an object"),
        ("[a]", "cannot be a list"),
    ],
)
def test_a_bad_value_is_refused_with_its_line(tmp_path: Path, value: str, told: str) -> None:
    with pytest.raises(ManifestError, match=r"serverless\.yml:6: ") as caught:
        environment(tmp_path, value)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("", None, "is empty"),
        ("- a\n", 1, "must be an object"),
        ("a: b: c\n", 1, "mapping values"),
        ("a: 'open\n", 2, ""),
        ("service: s\nservice: t\n", 2, "twice"),
        ("a: &a [*a]\n", 1, "contains itself"),
        ("provider: {}\n", 1, "name of its service"),
        ("service: s\nfunctions: text\n", 2, "must be an object"),
        ("service: s\nfunctions:\n  - text\n", 3, "must be objects"),
        (GOOD + "    timeout: 0\n", 6, "from 1 to 900"),
        (GOOD + "    timeout: soon\n", 6, "from 1 to 900"),
        (GOOD + "    memorySize: 64\n", 6, "from 128"),
        (HEAD + "functions:\n  one: {}\n", 4, "handler"),
        (HEAD + "functions:\n  one:\n    handler: nodot\n", 5, "nodot"),
        (GOOD + "    events: {httpApi: GET /}\n", 6, "must be a list"),
        (GOOD + "    events:\n      - httpApi: GET\n", 7, "method and a path"),
        (GOOD + "    events:\n      - httpApi: FETCH /\n", 7, "FETCH"),
        (GOOD + "    events:\n      - httpApi: GET nothing\n", 7, "slash"),
        (GOOD + "    events:\n      - httpApi: GET /{a+}/b\n", 7, "parameter"),
        (GOOD + "    events:\n      - httpApi: GET /x{a}\n", 7, "parameter"),
        (GOOD + "    events:\n      - httpApi: GET /{a}\n      - httpApi: GET /{b}\n", 8, "line 7"),
        (GOOD + "    events:\n      - httpApi: {method: GET, path: /, authorizer: {name: who}}\n", 7, "who"),
        (GOOD + "    events:\n      - schedule: daily\n", 7, "neither rate"),
        (GOOD + "    events:\n      - schedule: rate(1 minutes)\n", 7, "one minute"),
    ],
)
def test_a_bad_manifest_is_refused_with_its_line(tmp_path: Path, text: str, line: int | None, told: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read(tmp_path, text)
    place = f"serverless.yml:{line}: " if line else "serverless.yml: "
    assert place in str(caught.value)
    assert told in str(caught.value)


GUARDED = """service: s
provider: {httpApi: {authorizers: {g: {issuerUrl: "https://issuer.example", audience: a}}}}
functions:
  one:
    handler: app.one
    events:
"""
UNKNOWN = [
    ("service: s\nfunktions: {}\n", 2, "funktions"),
    ("service: s\nx-shared: {}\n", 2, "x-shared"),
    ("service: s\nprovider:\n  memory: 5\n", 3, "provider.memory"),
    ("service: s\nprovider: {httpApi: {corse: true}}\n", 2, "corse"),
    (GOOD + "    timout: 5\n", 6, "timout"),
    (GOOD + "    cors: true\n", 6, "functions.one.cors"),
    (GOOD + "    httpApi: {payloads: '1.0'}\n", 6, "payloads"),
    (GOOD + "    events:\n      - httpapi: GET /\n", 7, "httpapi"),
    (GOOD + "    events:\n      - httpApi: {method: GET, path: /, cors: true}\n", 7, "cors"),
    (GUARDED + "      - httpApi: {method: GET, path: /, authorizer: {name: g, scope: b}}\n", 7, "authorizer.scope"),
    (GOOD + "    events:\n      - http: {method: GET, path: /, caching: {enabled: true}}\n", 7, "caching"),
    (HEAD + "functions:\n  - one: {handler: a.b}\n  - two:\n      handler: a.b\n      alarms: []\n", 7, "alarms"),
]


@pytest.mark.parametrize(("text", "line", "told"), UNKNOWN)
def test_a_key_that_nobody_knows_is_a_warning(tmp_path: Path, text: str, line: int, told: str) -> None:
    (warning,) = read(tmp_path, text).warnings
    assert f"serverless.yml:{line}: " in warning
    assert told in warning
    assert read(tmp_path, text + "configValidationMode: off\n").warnings == ()


@pytest.mark.parametrize(("text", "line", "told"), UNKNOWN)
def test_a_key_that_nobody_knows_is_refused_where_the_manifest_asks_for_it(
    tmp_path: Path, text: str, line: int, told: str
) -> None:
    with pytest.raises(ManifestError, match=rf"serverless\.yml:{line}: .*{told}"):
        read(tmp_path, text + "configValidationMode: error\n")


def test_events_that_nothing_sends_are_noted(tmp_path: Path) -> None:
    manifest = read(tmp_path, GOOD + "    events:\n      - sqs: arn:aws:sqs:eu-west-1:1:queue\n")
    assert len(manifest.warnings) == 1
    assert "serverless.yml:7: sqs events are not emulated" in manifest.warnings[0]


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ("!Ref AWS::Region", "us-east-1"),
        ("{Ref: 'AWS::AccountId'}", "123456789012"),
        (
            "!Sub 'arn:${AWS::Partition}:s3:::b-${AWS::AccountId}.${AWS::URLSuffix}/${!Kept}'",
            "arn:aws:s3:::b-123456789012.amazonaws.com/${Kept}",
        ),
        ("!Sub 'https://${Api}.${AWS::Region}'", "<Fn::Sub:https://${Api}.${AWS::Region}>"),
        ("!Sub 'https://${WebsocketsApi}.execute-api.${AWS::Region}'", "https://local.execute-api.us-east-1"),
        ("!Sub '${AWS::StackName}'", "<Fn::Sub:${AWS::StackName}>"),
    ],
)
def test_pseudo_parameters_have_their_value(tmp_path: Path, value: str, seen: str) -> None:
    assert environment(tmp_path, value) == seen


def test_what_only_cloudformation_knows_becomes_a_placeholder(tmp_path: Path) -> None:
    text = "service: s\nprovider:\n  environment:\n    TABLE: !Ref Table\n    ARN: {'Fn::GetAtt': [T, Arn]}\n"
    manifest = read(tmp_path, text + "functions: {one: {handler: a.b}}\n")
    assert manifest.functions["one"].environment == {"TABLE": "<Ref:Table>", "ARN": "<Fn::GetAtt:T.Arn>"}
    assert [warning.split(": ")[0].rpartition(":")[2] for warning in manifest.warnings] == ["4", "5"]


def test_authorizers(tmp_path: Path) -> None:
    text = """
service: s
provider:
  httpApi:
    authorizers:
      mine:
        type: request
        functionName: guard
        identitySource: $request.header.Authorization
        enableSimpleResponses: true
      theirs: {issuerUrl: "https://issuer.example", audience: [school]}
functions:
  guard: {handler: a.guard}
  one: {handler: a.b, events: [{httpApi: {method: GET, path: /, authorizer: {name: mine}}}]}
"""
    manifest = read(tmp_path, text)
    mine, theirs = manifest.authorizers["mine"], manifest.authorizers["theirs"]
    assert isinstance(mine, RequestAuthorizer)
    assert mine.function is manifest.functions["guard"]
    assert (mine.simple_responses, mine.ttl) == (True, 0)
    assert isinstance(theirs, JwtAuthorizer)
    assert (theirs.issuer, theirs.audience) == ("https://issuer.example", ("school",))
    assert manifest.routes[0].authorizer == "mine"


def test_cors_true_means_what_the_framework_means(tmp_path: Path) -> None:
    text = (
        "service: s\nprovider: {httpApi: {cors: true}}\nfunctions:\n  one: {handler: a.b, events: [{httpApi: GET /}]}\n"
    )
    cors = read(tmp_path, text).cors
    assert cors is not None
    assert (cors.allowed_origins, cors.allowed_methods) == (("*",), ("OPTIONS", "GET"))
    assert "X-Amz-Date" in cors.allowed_headers


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        ('"A=B": x', "'A=B' cannot be the name"),
        ('"": x', "'' cannot be the name"),
        ('"NU\\0L": x', "cannot be the name"),
        ('GOOD: "a\\0b"', "the value has a character"),
        ("_HANDLER: x", "_HANDLER is reserved"),
        ("AWS_REGION: x", "AWS_REGION is reserved"),
        ('"A=B": null', "'A=B' cannot be the name"),
        ('"A=B": {Ref: Table}', "'A=B' cannot be the name"),
    ],
)
@pytest.mark.parametrize("place", ["provider", "function"])
def test_a_variable_that_no_process_can_have_is_refused_with_its_line(
    tmp_path: Path, place: str, variable: str, told: str
) -> None:
    text = f"{HEAD[:-1]}\nfunctions:\n  one:\n    handler: app.one\n    environment:\n      FINE: x\n      {variable}\n"
    if place == "provider":
        text = f"service: s\nprovider:\n  name: aws\n\n\n  environment:\n    FINE: x\n    {variable}\n"
        text += "functions:\n  one: {handler: app.one}\n"
    with pytest.raises(ManifestError) as refused:
        read(tmp_path, text)
    assert "serverless.yml:8: " in str(refused.value)
    assert told in str(refused.value)


def test_what_only_aws_refuses_in_an_environment_is_a_warning(tmp_path: Path) -> None:
    text = GOOD + "    environment:\n      X: one\n      _UNDER: two\n      GOOD_1: three\n"
    manifest = read(tmp_path, text + f"      LONG: {'x' * 4096}\n")
    places = [warning.split(" AWS refuses ")[0].rpartition("serverless.yml")[2] for warning in manifest.warnings[:2]]
    assert places == [":7:", ":8:"]
    assert [warning for warning in manifest.warnings if "AWS allows 4096" in warning]
    assert len(manifest.warnings) == 3
