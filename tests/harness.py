"""What tests need of the outside: an API client, waiting without sleeping blindly, processes."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
import weakref
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlencode

import yaml

import forked
import tenant_names
from securetenant.api import kinds
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

ROOT = Path(__file__).parents[1]
OPERATOR = ("securetenant-system", "securetenant-operator")
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"

PATIENCE = float(os.environ.get("TEST_PATIENCE", "6"))
"""How much longer than written every wait may take: several control planes share two cores."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.2

T = TypeVar("T")


def wait_for(probe: Callable[[], T | None], *, what: str, seconds: float = 10) -> T:
    """Ask until the answer is true; fail with ``what`` after ``seconds`` times ``PATIENCE``.

    It asks less and less often: what takes long does not come sooner for being asked about, and
    each question costs two processes their time.
    """
    seconds *= PATIENCE
    deadline = time.monotonic() + seconds
    pause = _FIRST_PAUSE
    while True:
        began = time.monotonic()
        answer = probe()
        if answer:
            return answer
        now = time.monotonic()
        if now > deadline:
            raise AssertionError(f"Waited {seconds} s for {what}; last answer: {answer!r}")
        time.sleep(max(pause, now - began))
        pause = min(pause * 1.2, _LONGEST_PAUSE)


@dataclass(frozen=True)
class Answer:
    """What the API server said."""

    status: int
    body: Any
    warnings: str = ""
    """What the server warns of, as kubectl would print it."""
    flow: str = ""
    """The uid of the FlowSchema by which the request was queued."""

    @property
    def message(self) -> str:
        """Return the message of a Status."""
        return str(self.body.get("message", ""))

    def ok(self) -> Any:
        """Return the body of a success; fail on anything else."""
        assert self.status < 300, f"{self.status}: {self.body}"
        return self.body


class Api:
    """One user's view of the API server: plain requests, no retries, no cache.

    ``speaking_as`` and ``group`` are impersonated; a ``token`` is used instead of the login.
    """

    def __init__(
        self, kubeconfig: Path, *, speaking_as: str = "", group: str = "", token: str = ""
    ) -> None:
        self._headers = {"Impersonate-User": speaking_as} if speaking_as else {}
        if group:
            self._headers["Impersonate-Group"] = group
        self._kubeconfig = kubeconfig
        document = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        self._port = int(cluster["server"].rpartition(":")[2])
        self._context = ssl.create_default_context(cafile=cluster["certificate-authority"])
        file = user.get("tokenFile")
        self._token = token or (Path(file).read_text() if file else "")
        if not self._token:
            self._context.load_cert_chain(user["client-certificate"], user["client-key"])
        self._connection = http.client.HTTPSConnection(
            "127.0.0.1", self._port, timeout=30, context=self._context
        )
        self._lock = threading.Lock()
        self._followed: set[http.client.HTTPSConnection] = set()
        weakref.finalize(self, self._connection.close)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        **params: str,
    ) -> Answer:
        """Send one request."""
        every = {"Content-Type": content_type, **self._headers}
        if self._token:
            every["Authorization"] = f"Bearer {self._token}"
        target = f"{path}?{urlencode(params)}" if params else path
        data = json.dumps(body) if body is not None else None
        with self._lock:
            try:
                response, text = self._exchange(method, target, data, every)
            except (ConnectionError, ssl.SSLEOFError, http.client.HTTPException):
                # The server closed a connection that was idle, or was started anew.
                self._connection.close()
                response, text = self._exchange(method, target, data, every)
        warnings = "\n".join(response.headers.get_all("Warning") or ())
        flow = response.headers.get("X-Kubernetes-PF-FlowSchema-UID", "")
        try:
            return Answer(response.status, json.loads(text), warnings, flow)
        except ValueError:
            return Answer(response.status, {"message": text.decode()}, warnings, flow)

    def _exchange(
        self, method: str, target: str, data: str | None, headers: dict[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        self._connection.request(method, target, data, headers)
        response = self._connection.getresponse()
        return response, response.read()

    def watch(self, kind: kinds.Kind) -> Iterator[Any]:
        """Yield the events of a kind, from now until the server goes."""
        yield from self.follow(f"{kind.path()}?watch=true")

    def follow(self, target: str) -> Generator[Any, None, None]:
        """Yield the events of a watch until the server ends it."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self._port, timeout=None, context=self._context
        )
        with contextlib.closing(connection):
            self._followed.add(connection)
            response = wait_for(
                lambda: self._accepted(connection, target), what=f"{target} to begin", seconds=30
            )
            assert response.status == 200, response.read()
            # A line that breaks off is no event.
            while (line := response.readline()).endswith(b"\n"):
                yield json.loads(line)

    def _accepted(
        self, connection: http.client.HTTPSConnection, target: str
    ) -> http.client.HTTPResponse | None:
        connection.request("GET", target, headers=self._headers)
        response = connection.getresponse()
        if response.status == 429:  # A kind that nobody has read yet asks for a second.
            response.read()
            return None
        return response

    def hang_up(self) -> None:
        """End every watch: an API server that is stopped would wait for them."""
        for each in tuple(self._followed):
            if each.sock is not None:
                with contextlib.suppress(OSError):
                    # That of the TLS socket takes its decryption away first: who still reads then
                    # gets what is encrypted.
                    socket.socket.shutdown(each.sock, socket.SHUT_RDWR)

    def history(self, kind: kinds.Kind, version: str) -> list[Any]:
        """Return every event of a kind since that version, up to now."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self._port, timeout=30, context=self._context
        )
        query = f"watch=true&resourceVersion={version}&timeoutSeconds=2"
        with contextlib.closing(connection):
            connection.request("GET", f"{kind.path()}?{query}")
            return [json.loads(line) for line in connection.getresponse()]

    def get(self, kind: kinds.Kind, name: str, namespace: str = "") -> Any:
        """Return the object, or None."""
        answer = self.call("GET", kind.path(namespace, name))
        return None if answer.status == 404 else answer.ok()

    def list(self, kind: kinds.Kind, namespace: str = "", **params: str) -> Any:
        """Return the items of a list."""
        return self.call("GET", kind.path(namespace), **params).ok()["items"]

    def create(self, kind: kinds.Kind, body: Any, namespace: str = "", **params: str) -> Answer:
        """Create an object."""
        if kind is kinds.SECURE_TENANT and "dryRun" not in params:
            tenant_names.record(self._kubeconfig, body["metadata"].get("name", ""))
        return self.call("POST", kind.path(namespace), body, **params)

    def create_pod(self, namespace: str, body: Any, **params: str) -> Answer:
        """Create a pod."""
        return self.call("POST", f"/api/v1/namespaces/{namespace}/pods", body, **params)

    def patch(
        self,
        kind: kinds.Kind,
        name: str,
        body: Any,
        namespace: str = "",
        *,
        content_type: str = MERGE,
        **params: str,
    ) -> Answer:
        """Patch an object."""
        path = kind.path(namespace, name)
        return self.call("PATCH", path, body, content_type=content_type, **params)

    def apply(self, kind: kinds.Kind, body: Any, *, manager: str, force: bool = True) -> Answer:
        """Apply an object as another field manager."""
        metadata = body["metadata"]
        if kind is kinds.SECURE_TENANT:
            tenant_names.record(self._kubeconfig, metadata["name"])
        return self.patch(
            kind,
            metadata["name"],
            body,
            metadata.get("namespace", ""),
            content_type=APPLY,
            fieldManager=manager,
            force="true" if force else "false",
        )

    def delete(self, kind: kinds.Kind, name: str, namespace: str = "") -> Answer:
        """Delete an object."""
        return self.call("DELETE", kind.path(namespace, name))


def wait_for_account(admin: Api, namespace: str) -> None:
    """Wait for the ServiceAccount without which no pod is admitted."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
    wait_for(lambda: admin.call("GET", path).status == 200, what=path)


class Operator:
    """The operator as a process of its own, with its own rights."""

    at_work: ClassVar[set["Operator"]] = set()
    """Those that run now: their logs belong to the report of a test that fails."""

    def __init__(
        self,
        instance: Instance,
        log: Path,
        *,
        login: Path | None = None,
        source: Path = ROOT / "operator",
        lease_seconds: int = 60,
        is_forked: bool = True,
    ) -> None:
        """``login``: another kubeconfig of the same ServiceAccount; ``source``: another version.

        ``is_forked``: whether it saves the time to import itself, where that is possible.

        The Lease is longer than by default: on a busy machine an API server may take 10 seconds to
        answer, and an operator that stops leading is what other tests are about.
        """
        self._instance = instance
        self._source = source
        self._lease_seconds = lease_seconds
        # Coverage is measured in processes that are started.
        self._is_forked = (
            is_forked
            and source == ROOT / "operator"
            and "COVERAGE_PROCESS_CONFIG" not in os.environ
        )
        self._login = login or kubeconfigs.for_service_account(instance, *OPERATOR)
        self.log = log
        self.process: subprocess.Popen[bytes] | forked.Process | None = None

    def start(self, *, until: str = "Running") -> None:
        """Start it, and wait until its log says so: that it works, or ``Standing by``."""
        arguments = ["run", f"--kubeconfig={self._login}", "--address=127.0.0.1", "--port=0"]
        variables = environment(
            PYTHONPATH=str(self._source), SECURETENANT_RUN_LEASE_SECONDS=str(self._lease_seconds)
        )
        self.at_work.add(self)
        seen = self.log.stat().st_size if self.log.exists() else 0
        if self._is_forked:
            self.process = forked.Process(arguments, environment=variables, output=self.log)
        else:
            with self.log.open("ab") as out:
                self.process = subprocess.Popen(
                    [sys.executable, "-m", "securetenant", *arguments],
                    stdout=out,
                    stderr=out,
                    env=variables,
                )

        def running() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()
            return f'"{until}"' in self.log.read_text()[seen:]

        wait_for(running, what="the operator to run", seconds=30)

    def metric(self, name: str) -> float:
        """Return a metric without labels, as a scraper sees it."""
        (line,) = (
            each for each in self.asked("metrics").splitlines() if each.startswith(f"{name} ")
        )
        return float(line.rpartition(" ")[2])

    def asked(self, page: str) -> str:
        """Return one of its pages, as a kubelet or a scraper sees it; an error is raised."""
        port = re.findall(r'"port": (\d+)', self.log.read_text(encoding="utf-8"))[-1]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}", timeout=5) as answer:
            text: str = answer.read().decode()
        return text

    def stop(self, *, by: signal.Signals = signal.SIGTERM) -> int:
        """End it and return its exit code."""
        assert self.process is not None
        self.at_work.discard(self)
        self.process.send_signal(by)
        code = self.process.wait(20)
        if by is not signal.SIGTERM or self._source != ROOT / "operator":
            # It did not let go of its Lease, and is gone for sure: no test has to wait for that.
            left = {"spec": {"holderIdentity": "", "leaseDurationSeconds": 1}}
            admin = Api(self._instance.admin_kubeconfig)
            admin.patch(kinds.LEASE, OPERATOR[1], left, OPERATOR[0]).ok()
        return code


class StatusRecorder:
    """Watches every status that the operator writes, and judges all of them at the end."""

    _KINDS = (kinds.SECURE_TENANT, kinds.TENANT_POLICY)

    def __init__(self, api: Api) -> None:
        self._api = api
        self._seen: list[Any] = []
        self._is_over = False
        self._threads = [
            threading.Thread(target=self._watch, args=(kind,), daemon=True) for kind in self._KINDS
        ]

    def start(self) -> None:
        """Begin to watch."""
        for thread in self._threads:
            thread.start()

    def _watch(self, kind: kinds.Kind) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            while not self._is_over:
                # Between two watches something may have happened unseen.
                self._seen.append(None)
                for event in self._api.watch(kind):
                    if event.get("type") in ("ADDED", "MODIFIED"):
                        self._seen.append(event["object"])

    def judge(self) -> None:
        """Fail on a status that breaks the conventions of Kubernetes or of kstatus."""
        self._is_over = True
        self._api.hang_up()
        assert any(self._seen), "nothing was watched"
        before: dict[str, Any] = {}
        for body in self._seen:
            if body is None:
                before.clear()
                continue
            problem = status_problem(body, before.get(body["metadata"]["uid"]))
            assert not problem, f"{problem}: {json.dumps(body['status'], indent=1)}"
            before[body["metadata"]["uid"]] = body


def status_problem(body: Any, before: Any) -> str:
    """Say what is wrong with a status, given the one before it; an empty string if nothing is."""
    status = body.get("status", {})
    if status.get("observedGeneration") == -1:
        return "" if "conditions" not in status else "conditions that nobody has observed"
    if status["observedGeneration"] > body["metadata"]["generation"]:
        return "a generation that does not exist yet"
    found = conditions(body)
    words = {type: each["status"] for type, each in found.items()}
    earlier = conditions(before) if before else {}
    for type, each in found.items():
        if not each["reason"].isalnum() or not each["message"]:
            return f"{type} has no one-word reason or no message"
        old = earlier.get(type, each)
        if (old["status"] == each["status"]) != (
            old["lastTransitionTime"] == each["lastTransitionTime"]
        ) and old["lastTransitionTime"] != each["lastTransitionTime"]:
            return f"{type}: the transition time moved without a transition"
    if "Ready" not in words:
        return "no Ready"
    if words["Ready"] == "True" and {"Reconciling", "Stalled"} & words.keys():
        return "ready, and yet Reconciling or Stalled"
    if {"Reconciling", "Stalled"} <= words.keys():
        return "both Reconciling and Stalled"
    if any(words.get(type, "True") != "True" for type in ("Reconciling", "Stalled")):
        return "Reconciling and Stalled are there only while True"
    # PidsLimited only reports, unless the limit is required; nothing waits for IsolationVerified.
    apart = ("Ready", "PidsLimited", "IsolationVerified")
    false = [type for type, word in words.items() if word == "False" and type not in apart]
    if words["Ready"] == "True" and false:
        return f"ready, though {false} are not"
    return ""


def kubectl(
    instance: Instance, *arguments: str, stdin: str | None = None, folder: Path = ROOT
) -> str:
    """Run kubectl as the administrator; fail with its words."""
    done = ran(instance, *arguments, stdin=stdin, folder=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def wait_for_kinds(instance: Instance, *crds: str) -> None:
    """Wait until CRDs are served: ``crd --all``, or ``-f FILE``.

    kubectl fails for one that is so new that its conditions are null.
    """
    wait_for(
        lambda: (
            ran(instance, "wait", "--for=condition=Established", "--timeout=30s", *crds).returncode
            == 0
        ),
        what=f"the kinds of {' '.join(crds)}",
        seconds=30,
    )


def ran(
    instance: Instance, *arguments: str, stdin: str | None = None, folder: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Run kubectl as the administrator, whatever comes of it."""
    return subprocess.run(
        [
            instance.record()["binaries"]["kubectl"],
            f"--kubeconfig={instance.admin_kubeconfig}",
            *arguments,
        ],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )


def audit_events(instance: Instance) -> Iterator[dict[str, Any]]:
    """Yield what the audit log holds so far."""
    with instance.audit_log.open(encoding="utf-8") as log:
        for line in log:
            if line.endswith("\n"):
                yield json.loads(line)


@dataclass
class _Reading:
    """How far an audit log was read, and the operator's writes up to there."""

    position: int = 0
    writes: list[dict[str, Any]] = field(default_factory=list)


_READ: dict[Path, _Reading] = {}


def writes_by_operator(instance: Instance) -> list[dict[str, Any]]:
    """Return the audit events of every write of the operator but the renewals of its Lease."""
    read = _READ.setdefault(instance.audit_log, _Reading())
    with instance.audit_log.open("rb") as log:
        log.seek(read.position)
        for line in log:
            if not line.endswith(b"\n"):
                break
            read.position += len(line)
            # A log holds a hundred thousand events; parsing each would take longer than the test.
            if b'"securetenant-operator' in line and _is_write(event := json.loads(line)):
                read.writes.append(event)
    return list(read.writes)


def _is_write(event: dict[str, Any]) -> bool:
    return (
        event.get("userAgent", "").startswith("securetenant-operator")
        and event["verb"] not in ("get", "list", "watch")
        and event.get("objectRef", {}).get("resource") != "leases"
    )


def settle(sandbox: Instance, *, still_for: float = 2) -> int:
    """Wait until the number of writes stands still for so many seconds; return it."""
    count, since = len(writes_by_operator(sandbox)), time.monotonic()

    def still() -> bool:
        nonlocal count, since
        now = len(writes_by_operator(sandbox))
        if now != count:
            count, since = now, time.monotonic()
        return time.monotonic() - since > still_for

    wait_for(still, what="the operator to come to rest", seconds=30 + still_for)
    return count


def conditions(body: Any) -> dict[str, Any]:
    """Return the conditions of an object by type."""
    return {each["type"]: each for each in body.get("status", {}).get("conditions", ())}


def is_alive(pid: int) -> bool:
    """Tell whether a process runs (a zombie does not)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def environment(**changes: str) -> dict[str, str]:
    """Return this process's environment with changes."""
    return {**os.environ, **changes}
