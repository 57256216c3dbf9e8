"""Functions in processes of their own: pools, queues, isolation, reloading, and no process left behind."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from emulator.containers.process import memory_is_known
from emulator.containers.watch import INTERVAL
from tests.emulator.harness import TIMEOUT, Answer, Emulator, eventually, running, write_service

MANIFEST = """
service: small
provider:
  name: aws
  environment: {PLACE: manifest, KEPT: manifest}
functions:
  pid: {handler: app.pid, events: [{httpApi: GET /pid}]}
  wait: {handler: app.wait, timeout: 10, events: [{httpApi: GET /wait}]}
  environ: {handler: app.environ, events: [{httpApi: GET /environ}]}
  grow: {handler: app.grow, memorySize: 128, events: [{httpApi: GET /grow}]}
  stubborn: {handler: app.stubborn, timeout: 1, events: [{httpApi: GET /stubborn}]}
  children: {handler: app.children, timeout: 1, events: [{httpApi: GET /children}]}
  die: {handler: app.die, events: [{httpApi: GET /die}]}
  leave: {handler: app.leave, events: [{httpApi: GET /leave}]}
  memory: {handler: app.memory}
  late: {handler: app.late}
  say: {handler: app.say}
  twins: {handler: app.twins, events: [{httpApi: GET /twins}]}
  close: {handler: app.close, timeout: 900, events: [{httpApi: GET /close}]}
"""
APP = """
import atexit, os, pathlib, signal, subprocess, sys, time

HERE = pathlib.Path(__file__).parent

def pid(event, context):
    return {"pid": os.getpid(), "emulator": "emulator" in sys.modules}

def wait(event, context):
    (HERE / f"waiting-{os.getpid()}").touch()
    with (HERE / "order").open("a") as order:
        order.write(event["rawQueryString"])
    while not (HERE / "go").exists():
        time.sleep(0.01)
    return os.getpid()

def environ(event, context):
    return dict(os.environ)

def grow(event, context):
    kept = bytearray(300_000_000)
    time.sleep(1)
    return len(kept)

def stubborn(event, context):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    (HERE / "stubborn").write_text(str(os.getpid()))
    while True:
        try:
            time.sleep(5)
        except BaseException:
            pass

def children(event, context):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    (HERE / "children").write_text(f"{os.getpid()} {child.pid}")
    time.sleep(60)

def die(event, context):
    print("last words")
    os.kill(os.getpid(), signal.SIGSEGV if event["rawQueryString"] else signal.SIGKILL)

def close(event, context):
    os.closerange(3, 256)
    time.sleep(900)

def memory(event, context):
    bytearray(event["kilobytes"] * 1024)
    return int(pathlib.Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])

def late(event, context):
    (HERE / "begun").touch()
    time.sleep(0.7)
    (HERE / "finished").touch()

def leave(event, context):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    (HERE / "children").write_text(str(child.pid))
    os._exit(4)

def twins(event, context):
    return os.getpid() if os.fork() else "child"

def say(event, context):
    print("tag", event["tag"])
    os.write(1, f"tag {event['tag']}\\n".encode())

def drained():
    (HERE / f"drained-{os.getpid()}").touch()

atexit.register(drained)
"""

needs_proc = pytest.mark.skipif(not memory_is_known(), reason="this system does not tell a process's memory")


@pytest.fixture
def small(folder: Path) -> Path:
    return write_service(folder, MANIFEST, app=APP)


def alive(pid: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], stdout=subprocess.PIPE, text=True).stdout
    return state.strip()[:1] not in ("", "Z")


class Asking:
    """Requests under way, each in a thread."""

    def __init__(self, emulator: Emulator, path: str, count: int) -> None:
        self.answers: list[Answer] = []
        self.threads = [threading.Thread(target=self._ask, args=(emulator, path)) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def _ask(self, emulator: Emulator, path: str) -> None:
        with contextlib.suppress(ConnectionError, http.client.HTTPException):
            self.answers.append(emulator.get(path))

    def wait(self) -> list[Answer]:
        for thread in self.threads:
            thread.join(TIMEOUT)
        return self.answers


def test_each_function_has_a_warm_process_of_its_own(small: Path) -> None:
    with running(small) as started:
        first = started.get("/pid").json
        assert started.get("/pid").json == first
        assert first["emulator"] is False
        assert first["pid"] != started.process.pid
        started.wait_for("GET     /pid  200")
        assert started.output().count("cold start") == 1


def test_a_request_that_waited_too_long_for_a_busy_process_is_refused(small: Path) -> None:
    with running(small, "--max-containers", "2", "--queue-seconds", "0.5") as started:
        asking = Asking(started, "/wait", 2)
        eventually(lambda: len(list(small.glob("waiting-*"))) == 2)
        begun = time.monotonic()
        refused = started.get("/wait")
        assert time.monotonic() - begun > 0.4
        assert (refused.status, refused.json) == (429, {"message": "Too Many Requests"})
        (small / "go").touch()
        assert [answer.status for answer in asking.wait()] == [200] * 2


def test_requests_beyond_the_limit_queue_and_are_served_in_their_order(small: Path) -> None:
    with running(small, "--max-containers", "1") as started, contextlib.ExitStack() as stack:
        connections = [http.client.HTTPConnection("127.0.0.1", started.port, timeout=20) for _ in range(4)]
        for number, connection in enumerate(connections):
            stack.enter_context(contextlib.closing(connection))
            connection.request("GET", f"/wait?{number}")
            eventually(lambda: list(small.glob("waiting-*")))
            assert started.get("/pid").status == 200  # it was sent later: what came before it is queued by now
        (small / "go").touch()
        answers = [connection.getresponse() for connection in connections]
        assert [answer.status for answer in answers] == [200] * 4
        assert len({answer.read() for answer in answers}) == 1
        assert (small / "order").read_text() == "0123"


@pytest.mark.parametrize("runtime", ["workers", "ric"])
def test_an_idle_process_is_ended_and_runs_what_it_registered(small: Path, runtime: str) -> None:
    with running(small, "--idle-seconds", "0.3", "--runtime", runtime) as started:
        pid = started.get("/pid").json["pid"]
        eventually(lambda: not alive(pid))
        assert (small / f"drained-{pid}").exists()
        assert started.get("/pid").json["pid"] != pid


def test_prewarmed_processes_start_before_the_first_request_and_serve_it(folder: Path) -> None:
    manifest = "service: warm\nfunctions:\n  pid: {handler: app.pid, events: [{httpApi: GET /pid}]}\n"
    mark = "import os, pathlib\n(pathlib.Path(__file__).parent / f'imported-{os.getpid()}').touch()\n"
    write_service(folder, manifest, app=mark + "def pid(event, context):\n    return os.getpid()\n")
    with running(folder, "--prewarm", "2") as started:
        eventually(lambda: len(list(folder.glob("imported-*"))) == 2)
        served = started.get("/pid").body.decode()
        assert (folder / f"imported-{served}").exists()
        assert len(list(folder.glob("imported-*"))) == 2


def test_the_shells_environment_stays_outside(small: Path, tmp_path: Path) -> None:
    env_file = tmp_path / "more.env"
    env_file.write_text("# comment\nexport FROM_FILE='quoted value'\nPLACE=file\n")
    options = ("--env-file", str(env_file), "--pass-env", "WANTED_*")
    shell = {"SECRET": "x", "WANTED_ONE": "1", "PLACE": "shell"}
    with running(small, *options, env=shell) as started:
        seen = started.get("/environ").json
    assert "SECRET" not in seen
    assert "PYTHONUNBUFFERED" not in seen
    wanted = {"WANTED_ONE": "1", "PLACE": "file", "KEPT": "manifest", "FROM_FILE": "quoted value"}
    wanted |= {"_HANDLER": "app.environ", "AWS_REGION": "us-east-1", "LAMBDA_TASK_ROOT": str(small), "TZ": ":UTC"}
    wanted |= {"AWS_LAMBDA_FUNCTION_NAME": "small-dev-environ", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST"}
    assert {name: seen.get(name) for name in wanted} == wanted


def test_a_stubborn_function_is_ended_at_its_timeout(small: Path) -> None:
    with running(small) as started:
        assert started.get("/stubborn").status == 503
        pid = int((small / "stubborn").read_text())
        eventually(lambda: not alive(pid))


def test_what_a_function_started_ends_with_it(small: Path) -> None:
    with running(small) as started:
        assert started.get("/children").status == 503
        pids = [int(pid) for pid in (small / "children").read_text().split()]
        eventually(lambda: not any(map(alive, pids)))


def test_what_a_function_leaves_behind_ends_with_it(small: Path) -> None:
    with running(small) as started:
        assert started.get("/leave").status == 500
        child = int((small / "children").read_text())
        eventually(lambda: not alive(child))


@pytest.mark.parametrize(
    ("path", "told"),
    [("/die", "signal: killed"), ("/die?segv", "signal: segmentation fault"), ("/close", "signal: killed")],
)
def test_a_process_that_dies_is_noticed_at_once(small: Path, path: str, told: str) -> None:
    with running(small) as started:
        assert started.get(path).status == 500
        output = started.wait_for(told)
        assert ("last words" in output) == path.startswith("/die")
        assert started.get("/pid").status == 200


def test_a_forked_child_that_returns_too_does_not_answer(small: Path) -> None:
    with running(small) as started:
        answers = [started.get("/twins").body for _ in range(4)]
    assert len(set(answers)) == 1
    assert answers[0].isdigit()


@needs_proc
def test_memory_is_enforced_when_asked(small: Path) -> None:
    with running(small, "--enforce-memory") as started:
        assert started.get("/grow").status == 500
    with running(small) as started:
        assert started.get("/grow").body == b"300000000"


@needs_proc
def test_the_report_tells_the_true_peak_of_memory(small: Path) -> None:
    with running(small) as started:
        peaks = []
        for kilobytes in (0, 10_000, 0, 90_000, 0):
            body, headers = json.dumps({"kilobytes": kilobytes}).encode(), [("X-Amz-Log-Type", "Tail")]
            answer = started.request("POST", "/2015-03-31/functions/memory/invocations", body, headers)
            log = base64.b64decode(answer.header("x-amz-log-result") or "").decode()
            told = int(log.split("Max Memory Used: ")[1].split()[0])
            assert abs(told - answer.json / 1024) < 2
            peaks.append(told)
        assert peaks == sorted(peaks)
        assert peaks[0] < peaks[1] < peaks[3]


def test_changed_code_runs_at_the_next_request(small: Path) -> None:
    (small / "helper.py").write_text("VALUE = 1\n")
    module = "import helper\ndef pid(event, context):\n    return helper.VALUE\n"
    write_service(small, MANIFEST, app=APP + module)
    with running(small) as started:
        assert started.get("/pid").body == b"1"
        (small / "helper.py").write_text("VALUE = 22\n")
        time.sleep(2 * INTERVAL)  # changes are looked for once in an interval
        assert started.get("/pid").body == b"22"
        (small / "helper.py").write_text("VALUE = (\n")
        time.sleep(2 * INTERVAL)  # changes are looked for once in an interval
        assert started.get("/pid").status == 500
        assert "helper.py, line 1" in started.wait_for("UserCodeSyntaxError")
        (small / "helper.py").write_text("VALUE = 4\n")
        assert started.get("/pid").body == b"4"


def test_a_changed_manifest_counts_at_the_next_request(small: Path) -> None:
    with running(small) as started:
        assert started.get("/new").status == 404
        write_service(small, MANIFEST + "  new: {handler: app.pid, events: [{httpApi: GET /new}]}\n")
        time.sleep(2 * INTERVAL)  # changes are looked for once in an interval
        assert started.get("/new").status == 200
        write_service(small, MANIFEST + "  newer: {}\n")
        time.sleep(2 * INTERVAL)  # changes are looked for once in an interval
        assert started.get("/pid").status == 500
        started.wait_for("functions.newer: needs a value for 'handler'")
        write_service(small, MANIFEST)
        assert started.get("/pid").status == 200


def test_a_stop_drains_and_leaves_no_process(small: Path) -> None:
    with running(small) as started:
        pids = [started.get("/pid").json["pid"]]
        assert started.stop() == 0
    assert not any(map(alive, pids))
    assert all((small / f"drained-{pid}").exists() for pid in pids)


def test_a_stop_lets_asynchronous_invocations_finish(small: Path) -> None:
    with running(small) as started:
        path, headers = "/2015-03-31/functions/late/invocations", [("X-Amz-Invocation-Type", "Event")]
        assert started.request("POST", path, b"{}", headers).status == 202
        eventually((small / "begun").exists)
        assert started.stop() == 0
        assert "INVOKE  small-dev-late  ok  " in started.output()
    assert (small / "finished").exists()


def test_no_process_outlives_an_emulator_that_was_killed(small: Path) -> None:
    with running(small) as started:
        pids = [started.get("/pid").json["pid"]]
        asking = Asking(started, "/stubborn", 1)
        eventually((small / "stubborn").exists)
        eventually(lambda: (small / "stubborn").read_text())
        pids.append(int((small / "stubborn").read_text()))
        os.kill(started.process.pid, signal.SIGKILL)
        started.process.wait(TIMEOUT)
        eventually(lambda: not any(map(alive, pids)))
        for thread in asking.threads:
            thread.join(TIMEOUT)


@pytest.mark.parametrize("runtime", ["workers", "ric"])
def test_what_is_printed_belongs_to_its_own_invocation(small: Path, runtime: str) -> None:
    def ask(started: Emulator, tags: range) -> list[bytes]:
        headers = [("X-Amz-Log-Type", "Tail")]
        path = "/2015-03-31/functions/say/invocations"
        answers = [started.request("POST", path, json.dumps({"tag": tag}).encode(), headers) for tag in tags]
        return [base64.b64decode(answer.header("x-amz-log-result") or "") for answer in answers]

    with running(small, "--runtime", runtime) as started, ThreadPoolExecutor(8) as pool:
        logs = list(pool.map(lambda part: ask(started, range(part * 100, part * 100 + 50)), range(8)))
    for part, found in enumerate(logs):
        for number, log in enumerate(found):
            assert re.findall(rb"tag (\d+)", log) == [b"%d" % (part * 100 + number)] * 2


def test_the_log_of_an_invocation_reaches_the_screen(small: Path) -> None:
    with running(small) as started:
        started.get("/die")
        lines = started.wait_for("GET     /die").splitlines()
    assert "  die | last words" in lines


@pytest.mark.skipif(memory_is_known(), reason="here memory can be enforced")
def test_memory_that_no_system_call_tells_is_refused_to_be_enforced(small: Path) -> None:
    with (
        pytest.raises(AssertionError, match="--enforce-memory needs Linux's /proc"),
        running(small, "--enforce-memory"),
    ):
        pass
