"""Manifests that the framework packages: each loads here, and what will not happen is one warning with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from emulator.manifest.loader import load
from emulator.manifest.model import IamAuthorizer, Manifest, UnavailableAuthorizer
from emulator.manifest.yaml import scalars
from emulator.manifest.yaml.document import ManifestError

ONE = "functions: {one: {handler: app.one}}\n"


def loaded(folder: Path, text: str, **options: str) -> Manifest:
    path = folder / "serverless.yml"
    path.write_text(text)
    return load(path, options)


def warned(manifest: Manifest, line: int, told: str) -> None:
    """Exactly one warning, about this line."""
    (warning,) = manifest.warnings
    assert f"serverless.yml:{line}: " in warning
    assert told in warning


def variables(manifest: Manifest) -> dict[str, str]:
    return dict(manifest.functions["one"].environment)


def test_a_parameter_that_only_an_account_has_is_a_warning(tmp_path: Path) -> None:
    text = 'service: s\nprovider:\n  vpc:\n    securityGroupIds: ["${ssm:/app/sg}"]\n'
    warned(loaded(tmp_path, text + ONE), 4, "${ssm:/app/sg} cannot be asked for here")


def test_an_environment_value_that_only_an_account_has_is_a_placeholder(tmp_path: Path) -> None:
    manifest = loaded(tmp_path, "service: s\nprovider:\n  environment:\n    KEY: a-${cf:stack.out}-b\n" + ONE)
    assert variables(manifest) == {"KEY": "a-<cf:stack.out>-b"}
    warned(manifest, 4, "--param 'cf:stack.out=value'")


def test_a_default_stands_in_for_what_only_an_account_has(tmp_path: Path) -> None:
    text = "service: s\nprovider:\n  environment:\n    KEY: \"${ssm:/app/key, 'local'}\"\n"
    manifest = loaded(tmp_path, text + ONE)
    assert variables(manifest) == {"KEY": "local"}
    warned(manifest, 4, "its default is used")


@pytest.mark.parametrize(
    "source", ["s3:bucket/key", "cf(eu-west-1):stack.out", "ssm(raw):/a", "cf.eu-west-1:stack.out", "file(a.js):x"]
)
def test_every_source_outside_this_machine_is_the_same(tmp_path: Path, source: str) -> None:
    manifest = loaded(tmp_path, f"service: s\nprovider:\n  environment:\n    KEY: ${{{source}}}\n" + ONE)
    assert variables(manifest) == {"KEY": f"<{source}>"}


def test_a_plugins_own_source_is_a_placeholder(tmp_path: Path) -> None:
    text = "service: s\nplugins: [serverless-vault]\nprovider:\n  environment:\n    KEY: ${vaulted:a/b}\n"
    assert variables(loaded(tmp_path, text + ONE)) == {"KEY": "<vaulted:a/b>"}


@pytest.mark.parametrize(
    "function", ["handler: ${ssm:/a}", "handler: a.b\n    events:\n      - httpApi: {method: GET, path: '${ssm:/a}'}"]
)
def test_a_handler_or_path_that_only_an_account_has_is_refused(tmp_path: Path, function: str) -> None:
    with pytest.raises(ManifestError, match=r"serverless\.yml:\d: .*give it with --param"):
        loaded(tmp_path, f"service: s\nfunctions:\n  one:\n    {function}\n")


DOTENV = "service: s\nuseDotenv: true\nprovider:\n  environment: {A: \"${env:FOO_OF_FILE, 'none'}\"}\n" + ONE


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({".env": "file"}, "file"),
        ({".env.dev": "stage"}, "stage"),
        ({".env": "file", ".env.dev": "stage"}, "stage"),
        ({".env": "file", ".env.local": "local"}, "local"),
        ({".env": "file", ".env.local": "local", ".env.dev.local": "stage and local"}, "stage and local"),
        ({".env.prod": "another stage"}, "none"),
    ],
)
def test_dotenv_files_feed_env(tmp_path: Path, files: dict[str, str], expected: str) -> None:
    for name, value in files.items():
        (tmp_path / name).write_text(f"FOO_OF_FILE='{value}'\n")
    manifest = loaded(tmp_path, DOTENV)
    assert variables(manifest) == {"A": expected}
    assert {path.name for path in manifest.files} >= {".env", ".env.dev", ".env.local"}, "a change reloads"


def test_a_text_file_is_used_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("hello\n")
    text = "service: s\nprovider:\n  environment:\n    KEY: a${file(t.txt)}b\n    NONE: \"${file(t.txt):x, 'none'}\"\n"
    assert variables(loaded(tmp_path, text + ONE)) == {"KEY": "ahello\nb", "NONE": "none"}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (r"\ud83d\uDE00!", "\N{GRINNING FACE}!"),
        (r"\\ud83d\\ude00", r"\ud83d\ude00"),
        (r"\ud83d", "\N{REPLACEMENT CHARACTER}"),
        (r"\u00e9\/\n\"", 'é/\n"'),
    ],
)
def test_the_escapes_of_a_json_file_are_jsons(tmp_path: Path, written: str, expected: str) -> None:
    (tmp_path / "x.json").write_text(f'{{"key": "{written}"}}')
    text = "service: s\nprovider: {environment: {KEY: '${file(x.json):key}'}}\n"
    assert variables(loaded(tmp_path, text + ONE)) == {"KEY": expected}


@pytest.mark.parametrize(
    ("plugins", "line"),
    [
        ("plugins:\n  - serverless-offline\n  - serverless-dotenv-plugin\n", 4),
        ("plugins:\n  modules:\n    - serverless-python-requirements\n    - serverless-dotenv-plugin\n", 5),
    ],
)
def test_a_plugin_whose_effect_is_missed_is_a_warning(tmp_path: Path, plugins: str, line: int) -> None:
    warned(loaded(tmp_path, f"service: s\n{plugins}{ONE}"), line, "give them with --env-file .env")


def test_the_shell_has_precedence_over_dotenv_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("FOO_OF_FILE=file\n")
    assert variables(loaded(tmp_path, DOTENV.replace("true", "false"))) == {"A": "none"}
    monkeypatch.setenv("FOO_OF_FILE", "shell")
    assert variables(loaded(tmp_path, DOTENV)) == {"A": "shell"}


def test_a_key_of_a_dotenv_file_may_be_all_that_a_variable_has(tmp_path: Path) -> None:
    (tmp_path / ".env.test").write_text("FOO_OF_FILE=test\n")
    assert variables(loaded(tmp_path, DOTENV, stage="test")) == {"A": "test"}


def test_an_image_with_a_python_command_runs_and_another_is_left_out(tmp_path: Path) -> None:
    text = """service: s
provider: {ecr: {images: {base: {path: ./}}}}
functions:
  one:
    image: {name: base, command: [app.handler, more]}
  two:
    image: 000000000000.dkr.ecr.eu-west-1.amazonaws.com/two@sha256:6bb600b4d6e1d7cf
    events: [httpApi: GET /two]
  three: {handler: app.three}
"""
    manifest = loaded(tmp_path, text)
    assert {name: one.handler for name, one in manifest.functions.items()} == {
        "one": "app.handler",
        "three": "app.three",
    }
    assert not manifest.routes
    warned(manifest, 6, "two is left out: it is an image")


@pytest.mark.parametrize(
    "image", ["{name: base}", "{name: base, command: app.handler}", "{name: base, command: [run]}"]
)
def test_an_image_without_a_handler_as_its_command_is_left_out(tmp_path: Path, image: str) -> None:
    assert not loaded(tmp_path, f"service: s\nfunctions: {{one: {{image: {image}}}}}\n").functions


def test_an_image_with_an_entry_point_of_its_own_is_left_out(tmp_path: Path) -> None:
    image = "{name: base, command: [app.handler], entryPoint: [/run]}"
    assert not loaded(tmp_path, f"service: s\nfunctions: {{one: {{image: {image}}}}}\n").functions


def test_the_runtime_is_the_functions_or_the_providers(tmp_path: Path) -> None:
    text = "service: s\nprovider: {runtime: python3.11}\nfunctions:\n  one: {handler: a.b}\n"
    manifest = loaded(
        tmp_path, text + "  two: {handler: a.b, runtime: python3.12}\n  three: {image: {command: [a.b]}}\n"
    )
    runtimes = [function.runtime for function in manifest.functions.values()]
    assert runtimes == ["python3.11", "python3.12", "python3.13"]


@pytest.mark.parametrize(
    "function", ["{handler: a.b, timeout: 900, memorySize: 10240}", "{handler: a.b, memorySize: 128}"]
)
def test_the_limits_of_time_and_memory(tmp_path: Path, function: str) -> None:
    loaded(tmp_path, f"service: s\nprovider: {{timeout: 1, memorySize: 10240}}\nfunctions: {{one: {function}}}\n")


@pytest.mark.parametrize(
    "setting", ["timeout: 0", "timeout: 901", "memorySize: 127", "memorySize: 10241", "timeout: 1.5"]
)
def test_a_setting_beyond_its_limits_is_refused(tmp_path: Path, setting: str) -> None:
    for where in (f"provider: {{{setting}}}\n{ONE}", f"functions: {{one: {{handler: a.b, {setting}}}}}\n"):
        with pytest.raises(ManifestError, match=r"serverless\.yml:2: .* must be a whole number"):
            loaded(tmp_path, f"service: s\n{where}")


def test_the_plugins_handler_is_that_of_the_application(tmp_path: Path) -> None:
    text = "service: s\ncustom: {wsgi: {app: api.app}}\nfunctions:\n  one: {handler: wsgi_handler.handler}\n"
    manifest = loaded(tmp_path, text + "  two: {handler: zone.main}\n  three: {handler: a.b}\n")
    one, *others = manifest.functions.values()
    assert [(folder / "wsgi_handler.py").is_file() for folder in map(Path, one.import_paths)] == [True]
    assert one.environment == {"EMULATOR_WSGI_APP": "api.app"}
    assert not any(other.import_paths or other.environment for other in others)


def test_a_project_may_have_a_handler_of_the_plugins_name_itself(tmp_path: Path) -> None:
    one = loaded(tmp_path, "service: s\nfunctions: {one: {handler: wsgi_handler.handler}}\n").functions["one"]
    assert not one.import_paths
    assert not one.environment


@pytest.mark.parametrize("runtime", ["provided.al2023", "nodejs22.x", "java21"])
def test_a_function_that_is_not_python_is_left_out(tmp_path: Path, runtime: str) -> None:
    text = (
        f"service: s\nfunctions:\n  one: {{handler: app.one}}\n  two:\n    runtime: {runtime}\n    handler: bootstrap\n"
    )
    manifest = loaded(tmp_path, text)
    assert list(manifest.functions) == ["one"]
    warned(manifest, 4, f"its runtime is {runtime}")


def test_functions_by_default_of_another_runtime_are_left_out(tmp_path: Path) -> None:
    text = "service: s\nprovider: {runtime: nodejs22.x}\nfunctions:\n  one: {handler: a.b}\n"
    assert list(loaded(tmp_path, text + "  two: {runtime: python3.12, handler: a.b}\n").functions) == ["two"]


def test_events_of_payload_1_0_for_one_function(tmp_path: Path) -> None:
    text = """service: s
functions:
  one: {handler: a.b, httpApi: {payload: '1.0'}, events: [httpApi: GET /one]}
  two: {handler: a.b, events: [httpApi: GET /two]}
"""
    assert [route.payload for route in loaded(tmp_path, text).routes] == ["1.0", "2.0"]
    old = text.replace("functions:", "provider: {httpApi: {payload: '1.0'}}\nfunctions:").replace(
        "payload: '1.0'}, e", "payload: '2.0'}, e"
    )
    assert [route.payload for route in loaded(tmp_path, old).routes] == ["2.0", "1.0"]


def test_merge_keys_and_anchors(tmp_path: Path) -> None:
    text = """service: s
custom:
  first: &first {A: 1, B: 1}
  second: &second {B: 2, C: 2}
provider:
  environment:
    C: 3
    <<: [*first, *second]
"""
    assert variables(loaded(tmp_path, text + ONE)) == {"A": "1", "B": "1", "C": "3"}


def test_a_wrong_value_behind_a_merge_key_is_named_where_it_is_written(tmp_path: Path) -> None:
    text = "service: s\ncustom:\n  all: &all\n    timeout: soon\nfunctions:\n  one:\n    handler: a.b\n    <<: *all\n"
    with pytest.raises(ManifestError, match=r"serverless\.yml:4: functions\.one\.timeout"):
        loaded(tmp_path, text)


def test_an_iam_authorizer_loads_with_a_warning(tmp_path: Path) -> None:
    text = "service: s\nfunctions:\n  one:\n    handler: a.b\n    events:\n      - httpApi:\n          path: /\n"
    manifest = loaded(tmp_path, text + "          method: GET\n          authorizer: {type: aws_iam}\n")
    assert isinstance(manifest.authorizers[manifest.routes[0].authorizer or ""], IamAuthorizer)
    warned(manifest, 9, "SigV4 signature, which is not checked here")


@pytest.mark.parametrize(
    "event",
    [
        "httpApi: {method: GET, path: /, authorizer: {id: abc}}",
        "http: {method: GET, path: /, authorizer: {arn: {Ref: Pool}, type: COGNITO_USER_POOLS, name: p}}",
        "http: {method: GET, path: /, authorizer: {arn: 'arn:aws:lambda:r:1:function:f'}}",
        "http: {method: GET, path: /, authorizer: {type: COGNITO_USER_POOLS, authorizerId: {Ref: A}}}",
    ],
)
def test_an_authorizer_that_cannot_be_asked_lets_nobody_pass(tmp_path: Path, event: str) -> None:
    text = f"service: s\nfunctions:\n  one:\n    handler: a.b\n    events:\n      - {event}\n"
    manifest = loaded(tmp_path, text)
    assert isinstance(manifest.authorizers[manifest.routes[0].authorizer or ""], UnavailableAuthorizer)
    warned(manifest, 6, "the answer is 403")


@pytest.mark.parametrize(
    "settings",
    [
        "{issuerUrl: !Sub 'https://cognito-idp.${AWS::Region}.amazonaws.com/${Pool}', audience: a}",
        "{issuerUrl: https://issuer.example, audience: [!Ref Client]}",
        "{issuerUrl: https://issuer.example, audience: !Ref Client}",
    ],
)
def test_an_issuer_that_only_cloudformation_knows_lets_nobody_pass(tmp_path: Path, settings: str) -> None:
    text = f"service: s\nprovider:\n  httpApi:\n    authorizers:\n      guard: {settings}\n"
    manifest = loaded(tmp_path, text + ONE)
    assert isinstance(manifest.authorizers["guard"], UnavailableAuthorizer)
    warned(manifest, 5, "the answer is 403")


def test_an_authorizer_whose_function_is_left_out_lets_nobody_pass(tmp_path: Path) -> None:
    text = """service: s
provider:
  httpApi:
    authorizers:
      guard: {type: request, functionName: guard}
      other: {type: request, functionArn: "arn:aws:lambda:r:1:function:f"}
functions:
  guard: {runtime: nodejs22.x, handler: guard.main}
  one: {handler: a.b, events: [httpApi: {method: GET, path: /, authorizer: guard}]}
"""
    manifest = loaded(tmp_path, text)
    assert all(isinstance(one, UnavailableAuthorizer) for one in manifest.authorizers.values())
    assert sorted(warning.split(": ")[0].rpartition(":")[2] for warning in manifest.warnings) == ["5", "6", "8"]


def test_a_function_that_two_files_define_is_a_warning_with_both_lines(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("one:\n  handler: a.one\n  memorySize: 256\n")
    (tmp_path / "b.yml").write_text("two: {handler: b.two}\n\none:\n  handler: b.one\n  timeout: 5\n")
    manifest = loaded(tmp_path, "service: s\nfunctions:\n  - ${file(a.yml)}\n  - ${file(b.yml)}\n")
    one = manifest.functions["one"]
    assert (one.handler, one.memory_size, one.timeout) == ("b.one", 256, 5)
    (warning,) = manifest.warnings
    assert "b.yml:3: the function one is also defined at " in warning
    assert "a.yml:1: the keys here have precedence" in warning


def test_a_value_of_the_later_file_is_named_where_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("one: {handler: a.one}\n")
    (tmp_path / "b.yml").write_text("one:\n  timeout: 5000\n")
    with pytest.raises(ManifestError, match=r"b\.yml:2: functions\.one\.timeout"):
        loaded(tmp_path, "service: s\nfunctions:\n  - ${file(a.yml)}\n  - ${file(b.yml)}\n")


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("1.0", "1"),
        ("1e3", "1000"),
        ("012345678901", "12345678901"),
        ("0xFF", "255"),
        ("0o17", "15"),
        ("0b11", "3"),
        ("1_000", "1_000"),
        ("0.1", "0.1"),
        ("1.10", "1.1"),
        ("1e21", "1e+21"),
        ("1e-7", "1e-7"),
        ("0.000001", "0.000001"),
        ("123456789.123456789123", "123456789.12345679"),
        ("12345678901234567890", "12345678901234567000"),
        ("123456789012345678901234567890", "1.2345678901234568e+29"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("-2.50", "-2.5"),
        ("True", "true"),
        ("yes", "yes"),
        ("2020-01-01", "2020-01-01"),
        ("1:30", "1:30"),
        ("'1.0'", "1.0"),
        ("!!str 1.0", "1.0"),
        ("${self:custom.n}", "1"),
        ("x${self:custom.n}", "x1"),
        ('"${opt:none, 1.50}"', "1.5"),
    ],
)
def test_a_number_is_seen_as_javascript_spells_it(tmp_path: Path, written: str, seen: str) -> None:
    manifest = loaded(
        tmp_path, f"service: s\ncustom: {{n: 1.0}}\nprovider:\n  environment:\n    KEY: {written}\n" + ONE
    )
    assert variables(manifest) == {"KEY": seen}
    assert [
        f"serverless.yml:5: KEY is a number that loses digits: functions see {seen}" in w for w in manifest.warnings
    ] == [True] * scalars.loses_digits(scalars.plain(written))


@pytest.mark.parametrize("written", ["~", "null", ".inf", ".nan"])
def test_a_value_that_is_nothing_for_the_framework_is_no_variable(tmp_path: Path, written: str) -> None:
    assert variables(loaded(tmp_path, f"service: s\nprovider: {{environment: {{KEY: {written}}}}}\n" + ONE)) == {}


@pytest.mark.parametrize(
    ("url", "signed", "streamed", "origins"),
    [
        ("true", False, False, None),
        ("{authorizer: aws_iam, invokeMode: RESPONSE_STREAM}", True, True, None),
        ("{cors: true}", False, False, ("*",)),
        ("{cors: {allowedOrigins: ['https://a.example']}}", False, False, ("https://a.example",)),
    ],
)
def test_a_function_url_is_read(
    tmp_path: Path, url: str, signed: bool, streamed: bool, origins: tuple[str, ...] | None
) -> None:
    manifest = loaded(tmp_path, f"service: s\nfunctions:\n  one:\n    handler: a.b\n    url: {url}\n")
    (found,) = manifest.urls
    assert (found.function.name, found.signed, found.streamed) == ("one", signed, streamed)
    assert (found.cors.allowed_origins if found.cors else None) == origins
    assert len(manifest.warnings) == signed + streamed


@pytest.mark.parametrize("url", ["{authorizer: none}", "{invokeMode: FAST}", "5", "[a]"])
def test_a_wrong_function_url_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(ManifestError, match=r"serverless\.yml:5: functions\.one\.url"):
        loaded(tmp_path, f"service: s\nfunctions:\n  one:\n    handler: a.b\n    url: {url}\n")


def test_the_short_forms_that_the_framework_takes(tmp_path: Path) -> None:
    text = """service: s
provider: aws
functions:
  one:
    handler: a.b
    timeout: 5.0
    events:
      - alexaSkill
  two:
"""
    manifest = loaded(tmp_path, text)
    assert (list(manifest.functions), manifest.functions["one"].timeout) == (["one"], 5)
    warned(manifest, 8, "alexaSkill events are not emulated")


@pytest.mark.parametrize(
    "schedule",
    [
        "'${ssm:/rate}'",
        "{rate: !Sub 'rate(${N} days)'}",
        "{rate: rate(1 day), timezone: '${ssm:/zone}', method: scheduler}",
    ],
)
def test_a_schedule_that_only_an_account_knows_does_not_run(tmp_path: Path, schedule: str) -> None:
    text = f"service: s\nfunctions:\n  one:\n    handler: a.b\n    events:\n      - schedule: {schedule}\n"
    manifest = loaded(tmp_path, text)
    assert (list(manifest.functions), manifest.schedules) == (["one"], ())
    assert "this schedule of one does not run" in manifest.warnings[-1]


@pytest.mark.parametrize(
    "event",
    [
        "http: {path: /, method: get, private: '${ssm:/x}', cors: '${ssm:/x}'}",
        "alb: {listenerArn: '${ssm:/x}', priority: '${ssm:/x}', conditions: {path: '${ssm:/x}'}}",
    ],
)
def test_an_event_whose_settings_only_an_account_knows_loads(tmp_path: Path, event: str) -> None:
    manifest = loaded(tmp_path, f"service: s\nfunctions:\n  one:\n    handler: a.b\n    events:\n      - {event}\n")
    assert len(manifest.routes) + len(manifest.alb_rules) == 1
    assert "${ssm:/x} cannot be asked for here" in manifest.warnings[0]


@pytest.mark.parametrize("value", ["true", "'true'", "'${ssm:/x}'"])
def test_a_route_that_may_be_private_is(tmp_path: Path, value: str) -> None:
    event = f"http: {{path: /, method: get, private: {value}}}"
    (route,) = loaded(tmp_path, f"service: s\nfunctions: {{one: {{handler: a.b, events: [{{{event}}}]}}}}\n").routes
    assert route.rest is not None
    assert route.rest.private


def test_a_url_whose_authorizer_only_an_account_knows_needs_a_signature(tmp_path: Path) -> None:
    text = "service: s\nfunctions: {one: {handler: a.b, url: {authorizer: '${ssm:/a}', invokeMode: '${ssm:/m}'}}}\n"
    (url,) = loaded(tmp_path, text).urls
    assert (url.signed, url.streamed) == (True, False)


@pytest.mark.parametrize(
    "setting",
    ["onError: arn:aws:sns:eu-west-1:1:dead", "fileSystemConfig: {localMountPath: /mnt/x, arn: !GetAtt X.Arn}"],
)
def test_a_setting_whose_effect_is_missed_is_a_warning(tmp_path: Path, setting: str) -> None:
    manifest = loaded(tmp_path, f"service: s\nfunctions:\n  one:\n    handler: a.b\n    {setting}\n")
    warned(manifest, 5, f"{setting.partition(':')[0]} is not emulated")


def test_the_path_of_a_rest_route_may_be_empty(tmp_path: Path) -> None:
    text = "service: s\nfunctions: {one: {handler: a.b, events: [{http: {path: '', method: get}}]}}\n"
    assert [route.path for route in loaded(tmp_path, text).routes] == ["/"]


def test_an_event_whose_settings_are_beside_it_is_left_out_with_a_warning(tmp_path: Path) -> None:
    text = "service: s\nfunctions:\n  one:\n    handler: a.b\n    events:\n      - http:\n        path: /a\n"
    manifest = loaded(tmp_path, text + "        method: get\n")
    assert not manifest.routes
    assert [warning.split(": ")[0].rpartition(":")[2] for warning in manifest.warnings] == ["6", "7", "8"]
