"""`websocket` events of a manifest: what is read, what is a warning, and what is refused with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.manifest.events.websocket_model import Selection, WebSocketApi, WebSocketAuthorizer
from emulator.manifest.loader import load
from emulator.manifest.model import Manifest
from emulator.manifest.yaml.document import ManifestError

PROVIDER = "service: chat\nprovider:\n  name: aws\n"
HEADER = ("route.request.header.Auth",)


def read(tmp_path: Path, event: str, provider: str = "", more: str = "") -> Manifest:
    """A manifest with one event, on line 7 or, without further settings of the provider, on line 6."""
    path = tmp_path / "serverless.yml"
    functions = f"functions:\n  one:\n    handler: app.one\n    events: [{{websocket: {event}}}]\n"
    path.write_text(f"{PROVIDER}{provider}{functions}  auth: {{handler: app.auth}}\n{more}")
    return load(path, {})


def api(tmp_path: Path, event: str, provider: str = "") -> WebSocketApi:
    found = read(tmp_path, event, provider).websocket
    assert found is not None
    return found


def refusal(tmp_path: Path, event: str, provider: str = "", more: str = "") -> str:
    with pytest.raises(ManifestError) as caught:
        read(tmp_path, event, provider, more)
    return str(caught.value).partition("serverless.yml")[2]


@pytest.mark.parametrize("event", ["$connect", "{route: $connect}", "{route: $connect, authorizer: ''}"])
def test_the_short_and_the_long_form(tmp_path: Path, event: str) -> None:
    found = api(tmp_path, event)
    assert found.name == "dev-chat-websockets"
    route = found.routes["$connect"]
    assert (route.function, route.line, route.authorizer, route.responds) == ("one", 7, None, False)


def test_the_providers_settings(tmp_path: Path) -> None:
    settings = "  websocketsApiName: rooms\n  websocketsDescription: All rooms\n"
    settings += "  websocketsApiRouteSelectionExpression: $request.body.type\n"
    found = api(tmp_path, "{route: say, routeResponseSelectionExpression: $default}", settings)
    assert (found.name, found.selection) == ("rooms", Selection("$request.body.type"))
    assert found.routes["say"].responds


def test_a_manifest_without_events_has_no_api_whatever_its_settings_are(tmp_path: Path) -> None:
    (tmp_path / "serverless.yml").write_text(f"{PROVIDER}  websocketsApiName: rooms\n")
    manifest = load(tmp_path / "serverless.yml", {})
    assert (manifest.websocket, manifest.websocket_paths) == (None, ())


@pytest.mark.parametrize(
    ("authorizer", "sources"),
    [
        ("auth", HEADER),
        ("arn:aws:lambda:us-east-1:123456789012:function:chat-dev-auth", HEADER),
        ("{name: auth}", HEADER),
        ("{arn: 'arn:aws:lambda:us-east-1:123456789012:function:chat-dev-auth'}", HEADER),
        (
            "{name: auth, identitySource: [route.request.querystring.user, context.identity.sourceIp]}",
            ("route.request.querystring.user", "context.identity.sourceIp"),
        ),
    ],
)
def test_the_forms_of_an_authorizer(tmp_path: Path, authorizer: str, sources: tuple[str, ...]) -> None:
    route = api(tmp_path, f"{{route: $connect, authorizer: {authorizer}}}").routes["$connect"]
    assert route.authorizer == WebSocketAuthorizer("auth", sources)


@pytest.mark.parametrize(
    ("authorizer", "reason"),
    [
        ("aws_iam", "IAM authorization of handshakes is not emulated"),
        ("{name: x, type: aws_iam}", "IAM authorization of handshakes is not emulated"),
        ("arn:aws:lambda:us-east-1:123456789012:function:other", "its function is not in this manifest"),
        ("{name: x, arn: !GetAtt Other.Arn}", "its ARN is not known here"),
        ("node", "its runtime is nodejs20.x"),
    ],
)
def test_an_authorizer_that_cannot_be_asked_closes_the_api_with_a_warning(
    tmp_path: Path, authorizer: str, reason: str
) -> None:
    event = f"{{route: $connect, authorizer: {authorizer}}}"
    manifest = read(tmp_path, event, more="  node: {handler: app.node, runtime: nodejs20.x}\n")
    assert manifest.websocket is not None
    found = manifest.websocket.routes["$connect"].authorizer
    assert found is not None
    assert reason in found.unavailable
    warnings = [one for one in manifest.warnings if reason in one and "403" in one]
    assert len(warnings) == 1
    assert "serverless.yml:7: " in warnings[0]


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ("{}", "needs a value for 'route'"),
        ("{route: ''}", "must be a text"),
        ("{route: 7}", "must be a text"),
        ("7", "must be an object"),
        ("$conect", "'$conect' is no route: those with a $ are $connect, $disconnect, $default"),
        ("{route: say, routeResponseSelectionExpression: yes}", "must be $default"),
        ("{route: say, authorizer: auth}", "only $connect can have an authorizer"),
        ("{route: $connect, authorizer: nobody}", "there is no function 'nobody'"),
        ("{route: $connect, authorizer: {}, x: 1}", None),
        ("{route: $connect, authorizer: {name: auth, identitySource: [method.request.header.A]}}", "is not like"),
        ("{route: $connect, authorizer: {name: auth, identitySource: [route.request.header.]}}", "is not like"),
        ("{route: $connect, authorizer: {name: auth, identitySource: {a: 1}}}", "must be a list of texts"),
    ],
)
def test_a_wrong_event_is_refused_with_its_line(tmp_path: Path, event: str, message: str | None) -> None:
    if message is None:  # an empty authorizer is none, and an unknown key is a warning
        assert any("is not a key that belongs here" in one for one in read(tmp_path, event).warnings)
    else:
        found = refusal(tmp_path, event)
        assert found.startswith(":7: ")
        assert message in found


def test_a_route_belongs_to_one_function(tmp_path: Path) -> None:
    more = "  two: {handler: app.two, events: [{websocket: say}]}\n"
    assert ":9: " in (found := refusal(tmp_path, "say", more=more))
    assert "say is already the route of one, line 7" in found


@pytest.mark.parametrize("value", ["7", "''", "[]"])
@pytest.mark.parametrize("key", ["websocketsApiName", "websocketsDescription", "websocketsApiRouteSelectionExpression"])
def test_a_wrong_setting_of_the_provider_is_refused_with_its_line(tmp_path: Path, key: str, value: str) -> None:
    assert refusal(tmp_path, "say", f"  {key}: {value}\n").startswith(":4: ")


def test_a_variable_that_is_not_in_a_message_is_a_warning(tmp_path: Path) -> None:
    manifest = read(tmp_path, "say", "  websocketsApiRouteSelectionExpression: $request.header.x\n")
    assert len(manifest.warnings) == 1
    assert "serverless.yml:4: " in manifest.warnings[0]
    assert "request.header.x has no value here" in manifest.warnings[0]
    assert manifest.websocket is not None
    assert manifest.websocket.route('{"x": "say"}') is None


@pytest.mark.parametrize(
    ("expression", "message", "key"),
    [
        ("$request.body.action", '{"action": "say"}', "say"),
        ("${request.body.action}", '{"action": "say"}', "say"),
        ("$request.body.a.b-c", '{"a": {"b-c": "say"}}', "say"),
        ("${request.body.service}/${request.body.action}", '{"service": "chat", "action": "say"}', "chat/say"),
        ("${request.body.version}-beta", '{"version": 2}', "2-beta"),
        ("$request.body.on", '{"on": true}', "true"),
        ("\\$default", "{}", "$default"),
        ("$request.body.action", '{"action": null}', None),
        ("$request.body.action", '{"action": ["say"]}', None),
        ("$request.body.action", "[1]", None),
        ("$request.body.action", "say", None),
        ("$request.body.action", "[" * 100_000, None),
        ("${request.body.service}/${request.body.action}", '{"action": "say"}', None),
        ("$context.connectionId", "{}", None),
    ],
)
def test_a_selection_expression_finds_the_key_in_a_message(expression: str, message: str, key: str | None) -> None:
    assert Selection(expression).key(message) == key
