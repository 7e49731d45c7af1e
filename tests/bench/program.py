"""The program about many tenants: time, processor time and memory of each command.

What answers is a server of prepared lists: a real API server takes an hour to make as many objects,
and adds its own time to each page. The program is a process of its own, as people start it.
"""

import collections
import contextlib
import http.server
import json
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

import factory
from bench.cluster import table
from harness import ROOT, environment
from securetenant.answers import built, report
from securetenant.answers.built import State
from securetenant.api import kinds, names
from securetenant.api.kinds import Kind

_ALIKE = 20
_TURN = "t-turn-"
_LAUNCH = """
import json, os, subprocess, sys
process = subprocess.Popen([sys.executable, "-m", "securetenant", *sys.argv[2:]])
_, status, used = os.wait4(process.pid, 0)
process.returncode = os.waitstatus_to_exitcode(status)
with open(sys.argv[1], "w") as file:
    json.dump([process.returncode, used.ru_utime + used.ru_stime, used.ru_maxrss], file)
"""
"""A process between, since the most memory of one counts that of the one that started it."""
_COMMANDS = (
    ("status",),
    ("status", "t0-01"),
    ("reach", "t0-01-a", "t0-03-a", "--port", "443"),
    ("reach", "--to", "t0-01"),
    ("plan", "-f", "CHANGED"),
    ("plan", "-f", "SETTINGS"),
    ("check",),
    ("check", "t0-01"),
    ("report", "-o", "html"),
    ("report", "-o", "json"),
)


class Store:
    """Lists as an API server gives them, each object as text."""

    def __init__(self, size: int) -> None:
        """Hold tenants of two namespaces; each tenth has a peer, each namespace a pod."""
        self.lists: dict[str, list[str]] = collections.defaultdict(list)
        self.inside: dict[str, dict[str, list[str]]] = collections.defaultdict(
            lambda: collections.defaultdict(list)
        )
        self.settings = factory.settings()
        self.kinds = {each.path(): each for each in vars(kinds).values() if isinstance(each, Kind)}
        self.requests = 0
        # Twenty are built, and the others are these by other names.
        bodies = {name: self._tenant(number, name) for number, name in enumerate(_names(_ALIKE))}
        state = State(settings=built.settings(self.settings)[0], tenants=bodies)
        kinds_of = {each.name: each for each in self.kinds.values()}
        made: list[tuple[Kind, str, str]] = []
        for name, found in built.build(state, built.There(), bodies).items():
            made.append((kinds.SECURE_TENANT, "", json.dumps(bodies[name])))
            for namespace, manifests in found.manifests.items():
                for body in (*manifests.values(), _pod(namespace)):
                    kind = kinds_of[body["kind"]]
                    home = namespace if kind.namespaced else ""
                    made.append((kind, home, json.dumps(_stored(body, name))))
        for turn in range(-(-size // _ALIKE)):
            for kind, home, text in made:
                self._put(kind, _renamed(home, turn), _renamed(text, turn))
        self.changed = json.loads(_renamed(json.dumps(bodies[_names(2)[1]]), 0))
        self.changed["spec"]["network"]["peers"][0]["ports"] = [{"port": 443}, {"port": 5432}]

    def _tenant(self, number: int, name: str) -> dict[str, Any]:
        other = _names(_ALIKE)[number ^ 1]
        peer = {
            "tenant": other,
            "direction": "Both",
            "namespaces": [f"{other}-a"],
            "ports": [{"port": 443}],
        }
        body = factory.tenant(name, network={"peers": [peer]} if number < 2 else None)
        body["metadata"] |= {"uid": f"uid-{name}", "resourceVersion": "1", "generation": 1}
        body["status"] = {
            "conditions": [
                {"type": type, "status": "True", "reason": "AsSpecified", "message": "x" * 150}
                for type in report._CONDITIONS
            ]
        }
        return body

    def _put(self, kind: Kind, namespace: str, text: str) -> None:
        self.lists[kind.path()].append(text)
        if namespace:
            self.inside[kind.path()][namespace].append(text)

    def answer(self, path: str, query: Mapping[str, str]) -> bytes | None:
        """Return the answer to a GET; nothing: it is not there."""
        self.requests += 1
        if path == "/version":
            return b'{"gitVersion": "v1.37.1"}'
        if path == kinds.TENANCY_SETTINGS.path("", names.SETTINGS_NAME):
            return json.dumps(self.settings).encode()
        served = [each for each in self.kinds.values() if path == each.path().rpartition("/")[0]]
        if served:
            return json.dumps(
                {"resources": [{"name": each.plural, "kind": each.name} for each in served]}
            ).encode()
        head, between, rest = path.partition("/namespaces/")
        namespace, *end = rest.split("/")
        if between and end:
            kind = self.kinds.get(f"{head}/{end[0]}")
            every = self.inside[f"{head}/{end[0]}"][namespace]
        else:
            kind = self.kinds.get(path) or self.kinds.get(path.rpartition("/")[0])
            every = self.lists[kind.path()] if kind else []
            end = [] if path in self.kinds else ["", path.rpartition("/")[2]]
        if kind is None:
            return None
        if len(end) > 1:
            wanted = f'"name": "{end[1]}"'
            return next((each.encode() for each in every if wanted in each), None)
        return _page(every, query)


def _names(size: int) -> list[str]:
    return [f"{_TURN}{number:02}" for number in range(size)]


def _renamed(text: str, turn: int) -> str:
    return text.replace(_TURN, f"t{turn}-")


def _stored(body: Mapping[str, Any], tenant: str) -> dict[str, Any]:
    found = json.loads(json.dumps(body))
    found["metadata"] |= {"uid": "u", "resourceVersion": "1"}
    if found["kind"] == kinds.RESOURCE_QUOTA.name:
        hard = found["spec"]["hard"]
        found["status"] = {"hard": hard, "used": dict.fromkeys(hard, "0")}
    if found["kind"] == kinds.NAMESPACE.name:
        found["metadata"]["labels"] |= {
            names.TENANT_LABEL: tenant,
            names.NAMESPACE_NAME_LABEL: found["metadata"]["name"],
        }
    return dict(found)


def _pod(namespace: str) -> dict[str, Any]:
    metadata = {"name": "web", "namespace": namespace, "uid": "u", "resourceVersion": "1"}
    return {"apiVersion": "v1", "kind": "Pod", **factory.pod(), "metadata": metadata}


def _page(every: list[str], query: Mapping[str, str]) -> bytes:
    if selector := query.get("labelSelector"):
        key, _, value = selector.partition("=")
        every = [each for each in every if f'"{key}": "{value}"' in each]
    start, size = int(query.get("continue", "0")), int(query.get("limit", "500"))
    more = f'"continue": "{start + size}"' if start + size < len(every) else ""
    items = ",".join(every[start : start + size])
    comma = ", " if more else ""
    return f'{{"metadata": {{"resourceVersion": "1"{comma}{more}}}, "items": [{items}]}}'.encode()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, store: Store) -> None:
        self.store = store
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer in one piece: else each waits for the acknowledgement of its first part.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, _Server)
        path, _, query = self.path.partition("?")
        answer = server.store.answer(path, dict(urllib.parse.parse_qsl(query)))
        self._send(200 if answer else 404, answer or b'{"message": "not found"}')

    def do_PUT(self) -> None:
        """Say yes to a dry run."""
        self._send(200, self.rfile.read(int(self.headers["Content-Length"])))

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Run(NamedTuple):
    """What one command took."""

    code: int
    seconds: float
    cpu: float
    megabytes: float
    requests: int
    size: int
    errors: str


class Program:
    """The program, and the cluster that it asks."""

    def __init__(self, store: Store, kubeconfig: Path, folder: Path) -> None:
        self._store = store
        self._kubeconfig = kubeconfig
        self._folder = folder

    def run(self, *arguments: str) -> Run:
        """Run a command to its end."""
        before = self._store.requests
        began = time.monotonic()
        with (self._folder / "out").open("wb") as out, (self._folder / "errors").open("wb") as err:
            subprocess.run(
                [sys.executable, "-c", _LAUNCH, str(self._folder / "used"), *arguments],
                env={**environment(), "KUBECONFIG": str(self._kubeconfig)},
                cwd=ROOT,
                stdout=out,
                stderr=err,
                check=True,
            )
        code, cpu, kilobytes = json.loads((self._folder / "used").read_text(encoding="utf-8"))
        return Run(
            code,
            time.monotonic() - began,
            cpu,
            kilobytes / 1024,
            self._store.requests - before,
            (self._folder / "out").stat().st_size,
            (self._folder / "errors").read_text(encoding="utf-8"),
        )


@contextlib.contextmanager
def asked(size: int) -> Iterator[tuple[Program, dict[str, Path]]]:
    """Serve so many tenants; also yield files with a changed spec and changed settings."""
    store = Store(size)
    server = _Server(store)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            config = {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "bench",
                "clusters": [
                    {
                        "name": "bench",
                        "cluster": {"server": f"http://127.0.0.1:{server.server_port}"},
                    }
                ],
                "users": [{"name": "bench", "user": {"token": "none"}}],
                "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
            }
            settings = json.loads(json.dumps(store.settings))
            opening = {"name": "proxy", "to": [{"cidr": "192.0.2.0/24"}], "ports": [{"port": 3128}]}
            settings["spec"]["network"] = {"egress": [opening]}
            files = {}
            for what, body in (
                ("kubeconfig", config),
                ("CHANGED", store.changed),
                ("SETTINGS", settings),
            ):
                files[what] = folder / what
                files[what].write_text(yaml.safe_dump(body), encoding="utf-8")
            yield Program(store, files.pop("kubeconfig"), folder), files
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def run(sizes: tuple[int, ...]) -> str:
    """Measure every command about so many tenants; return a Markdown table."""
    rows = [["Command", "Tenants", "time", "processor time", "memory", "requests", "answer"]]
    found: dict[str, list[list[str]]] = collections.defaultdict(list)
    for size in sizes:
        with asked(size) as (program, files):
            for command in _COMMANDS:
                told = [str(files.get(each, each)) for each in command]
                done = program.run(*told)
                if done.code not in (0, 2):
                    raise RuntimeError(f"{command}: {done.errors}")
                called = {"CHANGED": "one-tenant.yaml", "SETTINGS": "settings.yaml"}
                name = " ".join(called.get(each, each) for each in command)
                found[name].append(
                    [
                        f"`{name}`",
                        f"{size:,}",
                        f"{done.seconds:.1f} s",
                        f"{done.cpu:.1f} s",
                        f"{done.megabytes:.0f} MB",
                        str(done.requests),
                        f"{done.size / 1e6:.2f} MB",
                    ]
                )
    return table([*rows, *(row for each in found.values() for row in each)])
