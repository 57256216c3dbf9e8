"""Manifests that would hang, grow or raise: each is refused with one line that names its file and line."""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.manifest.loader import load
from emulator.manifest.yaml.document import ManifestError
from emulator.manifest.yaml.limits import MAX_BYTES

GOOD = "service: s\nprovider: {name: aws}\nfunctions: {one: {handler: app.one}}\n"
HEAD = "service: s\nfunctions: {one: {handler: app.one}}\nprovider: {tags: {X: '${self:custom.x}'}}\n"
LAUGHS = "".join(f"  l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 10))
DOUBLE_TEXT = "".join(f"  t{n}: '${{self:custom.t{n - 1}}}${{self:custom.t{n - 1}}}'\n" for n in range(1, 60))
DOUBLE_LIST = "".join(f"  t{n}: ['${{self:custom.t{n - 1}}}', '${{self:custom.t{n - 1}}}']\n" for n in range(1, 60))
CHAIN = "".join(f"  t{n}: '${{self:custom.t{n - 1}}}'\n" for n in range(1, 500))
NESTED = "${opt:a, " * 400 + "'x'" + "}" * 400
WRAPPED = "".join(f"  t{n}: ['${{self:custom.t{n - 1}}}']\n" for n in range(1, 150))
TOUCHED = ", ".join(f"'${{self:custom.t{n}}}'" for n in range(150))

BIG = "[" + "a, " * 30_000 + "]"
STEPS = "".join(f"  s{n}: '${{self:custom.big}}'\n" for n in range(10))
STEPPED = ", ".join(f"'${{self:custom.s{n}.0}}'" for n in range(10))
OBJECT = "{" + ", ".join(f"k{n}: 1" for n in range(5000)) + "}"

HOSTILE = {
    "a large value used twice": (
        HEAD + f"custom:\n  big: {BIG}\n  x: ['${{self:custom.big}}', '${{self:custom.big}}']\n",
        3,
    ),
    "a large value on many ways": (HEAD + f"custom:\n  big: {BIG}\n{STEPS}  x: [{STEPPED}]\n", None),
    "many merges": (GOOD + f"custom:\n  a: &a {OBJECT}\n  x:\n    <<: [{'*a, ' * 9}]\n", 7),
    "billion laughs": (HEAD + f"custom:\n  l0: &l0 [lol, lol]\n{LAUGHS}  x: *l9\n", 10),
    "billion laughs nobody asks for": (GOOD + f"custom:\n  l0: &l0 [lol, lol]\n{LAUGHS}", 10),
    "a text that doubles": (HEAD + f"custom:\n  t0: aaaa\n{DOUBLE_TEXT}  x: '${{self:custom.t59}}'\n", None),
    "a list that doubles": (HEAD + f"custom:\n  t0: aaaa\n{DOUBLE_LIST}  x: '${{self:custom.t59}}'\n", None),
    "a chain of variables": (HEAD + f"custom:\n  t0: a\n{CHAIN}  x: '${{self:custom.t499}}'\n", None),
    "lists that wrap one another": (HEAD + f"custom:\n  t0: a\n{WRAPPED}  x: [{TOUCHED}]\n", None),
    "variables in variables": (HEAD + f'custom:\n  x: "{NESTED}"\n', 5),
    "braces without end": (HEAD + f"custom:\n  x: '{'${self:' * 5000}'\n", 5),
    "a cycle": (HEAD + "custom:\n  a: '${self:custom.x}'\n  x: '${self:custom.a}'\n", None),
    "a cycle on the way": (HEAD + "custom:\n  a: '${self:custom.x.y}'\n  x: '${self:custom.a.y}'\n", None),
    "a cycle of files": (HEAD + "custom:\n  x: '${file(serverless.yml):custom}'\n", None),
    "nested lists": (GOOD + "custom:\n  x: " + "[" * 3000 + "]" * 3000 + "\n", 5),
    "nested blocks": (GOOD + "custom:\n  x:\n    " + "- " * 3000 + "a\n", 6),
    "nested objects": (GOOD + "custom:\n  x: " + "{a: " * 3000 + "}" * 3000 + "\n", 5),
    "many values": (GOOD + "custom:\n  x: [" + "a," * 200_000 + "]\n", 5),
    "a merge of a number": (GOOD + "custom:\n  <<: 5\n", 5),
    "a merge of a list of numbers": (GOOD + "custom:\n  a: 1\n  <<: [{b: 1}, 5]\n", 6),
    "a key that is a list": (GOOD + "custom:\n  ? [a]\n  : b\n", 5),
    "a number of 5,000 digits": (GOOD + f"custom:\n  x: {'9' * 5000}\n", 5),
    "a hexadecimal number of 5,000 digits": (GOOD + f"custom:\n  x: 0x{'f' * 5000}\n", 5),
    "a number with a large exponent": (GOOD + "custom:\n  x: 1e999\n", 5),
    "a default of 5,000 digits": (HEAD + f"custom:\n  x: '${{opt:a, {'9' * 5000}}}'\n", 5),
    "an alias without an anchor": (GOOD + "custom:\n  x: *nobody\n", 5),
    "two documents": (GOOD + "---\na: b\n", 4),
    "a tag of Python": (GOOD + "custom:\n  x: !!python/object/apply:os.system [ls]\n", 5),
    "a control character": (GOOD + "custom:\n  x: a\x07b\n", 5),
    "a folder": (HEAD + "custom:\n  x: ${file(/etc)}\n", 5),
    "a device": (HEAD + "custom:\n  x: ${file(/dev/zero)}\n", 5),
    "a pipe": (HEAD + "custom:\n  x: ${file(pipe)}\n", 5),
    "a file that is too large": (HEAD + "custom:\n  x: ${file(large.txt)}\n", 5),
    "bytes that are no text": (HEAD + "custom:\n  x: ${file(bytes.txt)}\n", 5),
    "a path with a NUL": (HEAD + 'custom:\n  x: "${file(a\\0b)}"\n', 5),
    "a path that is too long": (HEAD + f"custom:\n  x: ${{file({'a' * 5000})}}\n", 5),
    "a loop of links": (HEAD + "custom:\n  x: ${file(loop)}\n", 5),
    "10 MB": (GOOD + "x: " + "a" * 10_000_000, None),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_manifest_is_one_line(tmp_path: Path, name: str) -> None:
    text, line = HOSTILE[name]
    path = tmp_path / "serverless.yml"
    path.write_text(text)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large.txt").write_bytes(b"a" * (MAX_BYTES + 1))
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    began = time.process_time()
    with pytest.raises(ManifestError) as caught:
        load(path, {})
    assert time.process_time() - began < 2, "a second, or two on a machine that is busy"
    assert re.match(rf"{re.escape(str(path))}:{line or '[0-9]+'}: " if name != "10 MB" else "", str(caught.value))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 420 + len(str(path))


def test_a_file_outside_the_project_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "shared.txt").write_text("x" * MAX_BYTES)
    (tmp_path / "project").mkdir()
    path = tmp_path / "project" / "serverless.yml"
    text = f"service: s\nprovider: {{environment: {{X: '${{file({tmp_path}/shared.txt)}}'}}}}\n"
    path.write_text(text + "functions: {one: {handler: app.one}}\n")
    assert len(load(path, {}).functions["one"].environment["X"]) == MAX_BYTES


def test_a_variable_that_many_use_is_resolved_once_and_costs_little(tmp_path: Path) -> None:
    (tmp_path / "custom.yml").write_text("".join(f"k{n}: value {n}\n" for n in range(500)))
    used = "".join(f"    K{n}: ${{self:custom.k{n % 500}}}\n" for n in range(3000))
    path = tmp_path / "serverless.yml"
    head = "service: s\ncustom: ${file(custom.yml)}\nprovider:\n  environment:\n"
    path.write_text(head + used + "functions: {one: {handler: a.b}}\n")
    assert load(path, {}).functions["one"].environment["K501"] == "value 1"


def test_an_error_in_an_included_file_names_that_file(tmp_path: Path) -> None:
    (tmp_path / "part.yml").write_text("a: 1\none:\n  handler: app.one\n  timeout: ${env:SURELY_MISSING}\n")
    (tmp_path / "serverless.yml").write_text("service: s\nprovider: {}\nfunctions: ${file(part.yml)}\n")
    with pytest.raises(ManifestError, match=r"part\.yml:4: nothing gives"):
        load(tmp_path / "serverless.yml", {})


def test_a_wrong_value_in_an_included_file_names_that_file(tmp_path: Path) -> None:
    (tmp_path / "part.yml").write_text("a: 1\nshared:\n  one: &one\n    handler: app.one\n    timeout: soon\n")
    (tmp_path / "serverless.yml").write_text("service: s\nprovider: {}\nfunctions: ${file(part.yml):shared}\n")
    with pytest.raises(ManifestError, match=r"part\.yml:5: functions\.one\.timeout: must be"):
        load(tmp_path / "serverless.yml", {})


PIECES = st.sampled_from(
    """service:~s|provider:|functions:|~~one:|~~~~handler:~a.b|~~~~events:|~~~~~~-~|httpApi:~|schedule:~|GET~/{a+}|rate(1~day)
    cron(*~*~*~*~?~*)|${self:|${env:X,~|${file(|}|&a~|*a|<<:~|[|]|{|}|:~|-~|,~|~~~~|!Ref~|?~|'|"|1e3|environment:~|timeout:~
    cors:~|authorizer:~|custom|)|#|%|---|\t|\ufeff|\x00|\n|\n|\n|\n""".replace("\n    ", "|")
    .replace("~", " ")
    .split("|")
)


def check(path: Path) -> None:
    """A manifest is read, or refused with one line."""
    try:
        load(path, {})
    except ManifestError as error:
        told = str(error)
    else:
        told = ""
    assert "\n" not in told


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES | st.text(max_size=5), max_size=40).map("".join))
def test_any_text_is_a_manifest_or_an_error_of_one_line(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "serverless.yml"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        check(path)


KEYS = (
    *("handler", "events", "httpApi", "http", "schedule", "rate", "method", "path", "authorizer", "cors", "name"),
    *("environment", "timeout", "image", "url", "runtime", "input", "authorizers", "type", "Ref", "functionName"),
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        ["a.b", "GET /", "*", "rate(1 day)", "${self:}", "${self:functions}", "httpApi", "http", "schedule"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=4) | st.sampled_from(KEYS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(VALUES, VALUES, VALUES, st.sampled_from(["error", "warn"]))
def test_values_of_any_type_are_a_manifest_or_an_error(
    function: object, events: object, api: object, mode: str
) -> None:
    good = {"handler": "a.b", "events": events}
    manifest = {
        "service": "s",
        "configValidationMode": mode,
        "provider": {"httpApi": api, "environment": api, "apiGateway": api},
        "functions": {"one": function, "two": good},
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "serverless.json"
        path.write_text(json.dumps(manifest))
        check(path)


def test_many_files_count_together(tmp_path: Path) -> None:
    used = []
    for number in range(8):
        (tmp_path / f"part{number}.yml").write_text(BIG)
        used.append(f"'${{file(part{number}.yml):0}}'")
    path = tmp_path / "serverless.yml"
    path.write_text(HEAD + f"custom:\n  x: [{', '.join(used)}]\n")
    with pytest.raises(ManifestError, match="more values than a manifest may hold"):
        load(path, {})
