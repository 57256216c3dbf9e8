"""What functions can import: layers, modules of their own, and what PYTHONPATH means."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.emulator.conftest import RUNTIMES
from tests.emulator.harness import running
from tests.emulator.test_command_line import run

MANIFEST = """
service: layered
provider:
  name: aws
  runtime: python3.12
  layers: [{Ref: FirstLambdaLayer}, {Ref: SecondDashlayerLambdaLayer}, "arn:aws:lambda:eu-west-1:1:layer:far:3"]
  environment: {PYTHONPATH: "/var/task/src:/opt/extra:/somewhere"}
layers:
  first: {path: layers/first}
  second-layer: {path: layers/second}
  unused: {path: layers/none}
functions:
  names: {handler: app.names, events: [{httpApi: GET /names}]}
  paths: {handler: paths.paths, events: [{httpApi: GET /paths}]}
  without: {handler: paths.paths, layers: [], events: [{httpApi: GET /without}]}
"""
LAYERS = "layers/first", "layers/second"
SITE = "python/lib/python3.12/site-packages"
FILES = {
    "serverless.yml": MANIFEST,
    "app.py": "import in_both, in_first, in_project, in_site, in_src, in_extra\n"
    "def names(event, context):\n"
    "    return [in_both.NAME, in_first.NAME, in_project.NAME, in_site.NAME, in_src.NAME, in_extra.NAME]\n",
    "paths.py": "import sys\ndef paths(event, context):\n    return sys.path\n",
    "in_project.py": "NAME = 'project'",
    "src/in_src.py": "NAME = 'src'",
    "layers/first/python/in_first.py": "NAME = 'first'",
    "layers/first/python/in_both.py": "NAME = 'both, first'",
    "layers/second/python/in_both.py": "NAME = 'both, second'",
    "layers/second/python/in_project.py": "NAME = 'project, second'",
    "layers/first/python/in_site.py": "NAME = 'site, python'",
    f"layers/first/{SITE}/in_site.py": "NAME = 'site, site-packages'",
    "layers/first/extra/in_extra.py": "NAME = 'extra'",
}
MODULES = """
service: modules
provider: {name: aws}
plugins: [serverless-python-requirements]
package: {individually: true}
functions:
  one: {handler: main.handler, module: one, events: [{httpApi: GET /one}]}
  two: {handler: main.handler, module: two, events: [{httpApi: GET /two}]}
  whole: {handler: one/main.handler, events: [{httpApi: GET /whole}]}
"""
MAIN = """
import os, helper
def handler(event, context):
    return [helper.NAME, os.path.basename(os.environ.get("LAMBDA_TASK_ROOT", "")), os.path.basename(os.getcwd())]
"""


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_layers_come_after_the_project_and_the_last_one_first(folder: Path, runtime: str) -> None:
    with running(write(folder, FILES), *RUNTIMES[runtime]) as started:
        answer = started.get("/names")
        assert answer.json == ["both, second", "first", "project", "site, site-packages", "src", "extra"]


def test_the_import_path_is_in_lambdas_order(folder: Path) -> None:
    with running(write(folder, FILES)) as started:
        found, without = started.get("/paths").json, started.get("/without").json
    first, second = (str(folder / layer) for layer in LAYERS)
    layers = [f"{second}/{SITE}", f"{first}/{SITE}", f"{second}/python", f"{first}/python"]
    assert found[:9] == [str(folder), *layers, f"{folder}/src", f"{second}/extra", f"{first}/extra", "/somewhere"]
    assert without[:3] == [str(folder), f"{folder}/src", "/somewhere"]


def test_what_is_no_layer_of_the_project_is_warned_about(folder: Path) -> None:
    told = run("routes", "--manifest", str(write(folder, FILES) / "serverless.yml"))
    assert "serverless.yml:6: the layer 'arn:aws:lambda:eu-west-1:1:layer:far:3' is not here" in told.stderr
    assert "serverless.yml:11: there is no folder 'layers/none'" in told.stderr
    assert told.stderr.count("warning: ") == 2


@pytest.mark.parametrize("layer", ["{Ref: [1]}", "5", "{Ref: 7LambdaLayer}", "{Fn::ImportValue: far}"])
def test_a_layer_that_is_unknown_is_named(folder: Path, layer: str) -> None:
    text = f"service: s\nlayers: {{6: {{path: .}}}}\nfunctions:\n  one:\n    handler: app.one\n    layers: [{layer}]\n"
    told = run("routes", "--manifest", str(write(folder, {"serverless.yml": text}) / "serverless.yml"))
    assert "serverless.yml:6: the layer " in told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize("runtime", ["workers", "ric"])
def test_a_module_is_the_root_of_its_function(folder: Path, runtime: str) -> None:
    files = {"serverless.yml": MODULES, "one/main.py": MAIN, "two/main.py": MAIN, "helper.py": "NAME = 'helper'"}
    files |= {f"{name}/helper.py": f"NAME = '{name}'" for name in ("one", "two")}
    with running(write(folder, files), "--runtime", runtime) as started:
        assert started.get("/one").json == ["one", "one", "one"]
        assert started.get("/two").json == ["two", "two", "two"]
        assert started.get("/whole").json == ["helper", "service", "service"]


def test_inline_each_module_has_its_own_modules(folder: Path) -> None:
    files = {"serverless.yml": MODULES, "one/main.py": MAIN, "two/main.py": MAIN}
    files |= {f"{name}/helper.py": f"NAME = '{name}'" for name in ("one", "two")}
    with running(write(folder, files), "--inline") as started:
        assert [started.get(f"/{name}").json[0] for name in ("one", "two", "one")] == ["one", "two", "one"]


def test_a_module_without_packages_of_their_own_has_no_effect(folder: Path) -> None:
    files = {
        "serverless.yml": MODULES.replace("true", "false"),
        "one/main.py": MAIN,
        "main.py": MAIN,
        "helper.py": "NAME=1",
    }
    told = run("invoke", "one", "--manifest", str(write(folder, files) / "serverless.yml"))
    warned = run("routes", "--manifest", str(folder / "serverless.yml")).stderr
    assert warned.count("module has an effect only with package.individually: true") == 2
    assert json.loads(told.stdout) == [1, "service", "service"]
