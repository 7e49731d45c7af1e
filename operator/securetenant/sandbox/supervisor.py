"""The process that owns a sandbox's programs: they end when it ends, whatever ends it.

Run as ``python -m securetenant.sandbox.supervisor NAME OPTIONS-JSON``, detached, by
:mod:`control`. It speaks one JSON object a line on its standard output until the sandbox is
ready, and then never again. It uses no threads: the parent-death signal of a child belongs
to the thread that made it, and signals are waited for, not handled.
"""

import contextlib
import ctypes
import fcntl
import http.client
import json
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from importlib import resources
from pathlib import Path
from typing import Any

from securetenant.sandbox import instances, kubeconfigs, nodes, pki, programs
from securetenant.sandbox.errors import SandboxError
from securetenant.sandbox.instances import Instance, Options
from securetenant.sandbox.realnodes import archives, cgroups, files, hub, layout, requirements
from securetenant.sandbox.realnodes.layout import RealNode

_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}
_PR_SET_PDEATHSIG = 1
_READY_SECONDS = 120.0
_KILL_AFTER_SECONDS = 5.0
_TICK_SECONDS = 30.0
_LOG_TAIL_LINES = 6
_PORTS = range(20000, 30000)
"""Below those of connections that go out (32768 on Linux), and below NodePorts."""
_libc = ctypes.CDLL(None, use_errno=True)


class _StartFailedError(Exception):
    """A start that did not work; the message is for the person who waits."""


class _StoppedError(Exception):
    """Somebody asked the supervisor to end."""


class Supervisor:
    """Starts the programs in order, watches them, renews tokens, ends everything."""

    def __init__(self, instance: Instance, options: Options, binaries: dict[str, Path]) -> None:
        self._instance = instance
        self._options = options
        self._binaries = binaries
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._guests: dict[str, subprocess.Popen[bytes]] = {}
        self._commands: dict[str, list[str]] = {}
        self._inside: list[str] = []
        """What to put before a command line to run it where the control plane is."""
        self._nodes: dict[str, RealNode] = {}
        self._timings: dict[str, float] = {}
        self._record: dict[str, Any] = {}
        self._last = time.monotonic()

    def run(self) -> int:
        """Run until asked to stop (0) or until something fails (1)."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        code = 0
        try:
            self._start()
            self._watch()
        except _StoppedError:
            pass
        except (_StartFailedError, SandboxError, OSError) as error:
            code = 1
            _say(error=str(error))
            if self._record:
                self._instance.write_record({**self._record, "crash": str(error)})
        finally:
            self._end()
        return code

    # --- start ------------------------------------------------------------------------------

    def _start(self) -> None:
        instance, options = self._instance, self._options
        port = _free_port(options.port)
        instance.logs.mkdir()
        self._record = {
            "pid": os.getpid(),
            "port": port,
            "options": instances.options_record(options),
            "binaries": {name: str(path) for name, path in self._binaries.items()},
            "programs": {},
            "ready": False,
        }
        instance.write_record(self._record)
        place, probed = _on_loopback(port), port
        if options.real_nodes:
            place = self._make_hub(port)
            port = layout.SERVER_PORT
        keys = programs.make_credentials(instance, place)
        self._took("certificates")
        binary = self._binaries
        if options.store:
            shutil.copytree(options.store, instance.etcd)
        self._spawn("etcd", programs.etcd(instance, binary["etcd"], options))
        self._spawn(
            "kube-apiserver",
            programs.api_server(instance, binary["kube-apiserver"], keys, port, options, place),
        )
        probe = _Probe(probed, keys)
        self._wait("the API server to be ready", lambda: probe.get("/readyz"))
        self._took("etcd and API server")
        self._spawn(
            "kube-controller-manager",
            programs.controller_manager(binary["kube-controller-manager"], keys, options),
        )
        self._spawn("kube-scheduler", programs.scheduler(binary["kube-scheduler"], keys, options))
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        self._wait("the controller-manager to work", lambda: probe.get(account))
        self._took("controller-manager and scheduler")
        if options.nodes:
            stages = Path(str(resources.files(__package__))) / "stages.yaml"
            self._spawn("kwok", programs.kwok(binary["kwok"], keys, stages))
            body = nodes.manifests(options.nodes, options.node_labels)
            self._create(body)
            last = f"/api/v1/nodes/{nodes.name(options.nodes - 1)}"
            self._wait("the nodes to be ready", lambda: nodes.is_ready(probe.read(last)))
            self._took(f"{options.nodes} nodes")
        if options.real_nodes:
            self._start_nodes(keys)
            paths = [f"/api/v1/nodes/{each}" for each in self._nodes]
            self._wait(
                "the real nodes to be ready",
                lambda: all(nodes.is_ready(probe.read(path)) for path in paths),
            )
            self._label_nodes()
            self._create(files.dns())
            self._took(f"{options.real_nodes} real nodes")
        self._record = {**self._record, "ready": True, "timings": self._timings}
        self._write_programs()
        _say(ready=True, timings=self._timings)

    def _make_hub(self, port: int) -> programs.Place:
        """Start the network namespace of the control plane; what starts later runs in it."""
        every = layout.of_instance(self._instance, self._options.real_nodes)
        images = layout.images(self._instance)
        images.mkdir()
        archives.pack(self._binaries["pause"], layout.PAUSE, images / "pause.tar")
        archives.pack(self._binaries["coredns"], layout.COREDNS, images / "coredns.tar")
        self._spawn("hub", hub.command())
        pid = self._children["hub"].pid
        self._wait("a network namespace", lambda: hub.is_apart(pid))
        self._nodes = {node.name: node for node in every}
        hub.configure(pid, every)
        self._spawn("door", hub.door(port, pid))
        self._inside = hub.inside(pid)
        self._spawn("registry", hub.registry(images))
        self._took("network")
        return programs.Place(
            server=f"https://127.0.0.1:{port}",
            inside=f"https://127.0.0.1:{layout.SERVER_PORT}",
            bind="0.0.0.0",  # noqa: S104 - of the hub, which no other machine reaches.
            advertise=layout.HUB,
        )

    def _start_nodes(self, keys: programs.Credentials) -> None:
        setting = files.Setting(
            binaries=self._binaries,
            authority=pki.Authority(keys.authority.certificate.parent, "ca"),
            proxy_mode=requirements.proxy_mode(),
            pids=self._options.pods_pids,
        )
        every = tuple(self._nodes.values())
        self._inside = []
        for node in every:
            file = files.write(node, every, setting)
            cgroups.make(node.group)
            self._spawn(node.name, hub.node(file))
            self._connect(node)

    def _start_again(self, node: RealNode) -> None:
        """Switch a node on that lost its power, once everything in it is off."""
        del self._children[node.name]
        self._wait(f"{node.name} to end", lambda: cgroups.clear(node.group))
        cgroups.make(node.group)
        hub.disconnect(self._children["hub"].pid, node)
        self._spawn(node.name, self._commands[node.name])
        self._connect(node)

    def _connect(self, node: RealNode) -> None:
        pid = self._children[node.name].pid
        self._wait(f"the namespaces of {node.name}", lambda: hub.is_apart(pid))
        hub.connect(self._children["hub"].pid, node, pid)

    def _label_nodes(self) -> None:
        for index, node in enumerate(self._nodes.values()):
            labels = nodes.labels_of(index, self._options.node_labels)
            given = [f"{key}={value}" for key, value in labels.items()]
            if given:
                self._call("label", "node", node.name, *given)

    def _create(self, body: str) -> None:
        self._call("create", "-f", "-", stdin=body)

    def _call(self, *arguments: str, stdin: str = "") -> None:
        """Run kubectl as the administrator."""
        done = subprocess.run(
            [
                str(self._binaries["kubectl"]),
                f"--kubeconfig={self._instance.admin_kubeconfig}",
                *arguments,
            ],
            input=stdin.encode(),
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            raise _StartFailedError(done.stderr.decode(errors="replace").strip())

    def _spawn(self, name: str, command: list[str]) -> None:
        """Start a program without which the sandbox is of no use."""
        self._commands[name] = command
        self._children[name] = self._start_program(name, [*self._inside, *command])

    def _start_program(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        """Start a program that dies with this process, in a session of its own."""
        with (self._instance.logs / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._instance.folder,
                # This process has one thread, so running Python between fork and exec is safe.
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - see the line above.
            )

    def _wait(self, what: str, done: Any) -> None:
        """Poll until ``done()``; fail when a program ends or the time is up."""
        deadline = time.monotonic() + _READY_SECONDS
        while not done():
            self._check_children()
            if time.monotonic() > deadline:
                raise _StartFailedError(
                    f"Waited {_READY_SECONDS:.0f} s for {what}. Logs: {self._instance.logs}"
                )
            self._pause(0.03)

    def _took(self, step: str) -> None:
        now = time.monotonic()
        self._timings[step] = round(now - self._last, 2)
        self._last = now
        _say(step=step, seconds=self._timings[step])

    # --- run --------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Wait for signals; renew tokens; fail when a program ends."""
        with open(os.devnull, "w", encoding="utf-8") as nothing:
            os.dup2(nothing.fileno(), sys.stdout.fileno())
        while True:
            self._pause(_TICK_SECONDS)
            self._check_children()
            for token in kubeconfigs.stale(self._instance):
                # A failure is tried again at the next tick; the old token still has half its life.
                kubeconfigs.renew(self._instance, token)

    def _pause(self, seconds: float) -> None:
        """Sleep until a child ends or the time is up; raise when asked to stop."""
        got = signal.sigtimedwait(_SIGNALS, seconds)
        if got is None or got.si_signo == signal.SIGCHLD:
            return
        if got.si_signo != signal.SIGHUP:
            raise _StoppedError
        self._attach()

    def _check_children(self) -> None:
        for name, child in list(self._children.items()):
            code = child.poll()
            if code is None:
                continue
            if name in self._nodes and self._record.get("ready"):
                self._start_again(self._nodes[name])
                self._write_programs()
                continue
            if self._options.restart and self._record.get("ready"):
                self._spawn(name, self._commands[name])
                self._write_programs()
                continue
            log = self._instance.logs / f"{name}.log"
            raise _StartFailedError(
                f"{name} ended with code {code}. The end of {log}:\n{_tail(log)}"
            )

    def _attach(self) -> None:
        """Start what others asked to be run for as long as the sandbox; restart what runs."""
        for file in sorted(self._instance.attached.glob("*.json")):
            running = self._guests.get(file.stem)
            if running is not None:
                _stop(running)
            self._guests[file.stem] = self._start_program(file.stem, json.loads(file.read_text()))
        self._write_programs()

    def _write_programs(self) -> None:
        every = {**self._children, **self._guests}
        self._record["programs"] = {name: child.pid for name, child in every.items()}
        self._instance.write_record(self._record)

    # --- end --------------------------------------------------------------------------------

    def _end(self) -> None:
        """End the programs in the reverse order of their start: etcd goes last."""
        for name in self._nodes.keys() & self._children.keys():
            # Everything in it ends with it; asking it to end would do nothing.
            self._children[name].kill()
        for child in reversed([*self._children.values(), *self._guests.values()]):
            _stop(child)


def _stop(child: subprocess.Popen[bytes]) -> None:
    """End a program, politely first."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(_KILL_AFTER_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


class _Probe:
    """Asks the API server as the administrator, over TLS that is verified."""

    def __init__(self, port: int, keys: programs.Credentials) -> None:
        self._port = port
        self._context = ssl.create_default_context(cafile=str(keys.authority.certificate))
        self._context.load_cert_chain(keys.admin.certificate, keys.admin.key)

    def get(self, path: str) -> bool:
        return bool(self.read(path))

    def read(self, path: str) -> bytes:
        """Return the body of a 200, and nothing for anything else."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self._port, timeout=5, context=self._context
        )
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException):
            return b""
        finally:
            connection.close()
        return body if response.status == http.client.OK else b""


def _on_loopback(port: int) -> programs.Place:
    server = f"https://127.0.0.1:{port}"
    return programs.Place(server=server, inside=server)


def _free_port(wanted: int) -> int:
    """Return the port that is wanted, or a free one where none is."""
    with socket.socket() as held:
        if not wanted:
            _bind_anywhere(held)
            return int(held.getsockname()[1])
        try:
            _bind(held, wanted)
        except OSError as error:
            raise _StartFailedError(
                f"Port {wanted} is taken or forbidden ({error.strerror}). Choose another"
                " --port, or leave it out to get a free one."
            ) from error
        return wanted


def _bind_anywhere(each: socket.socket) -> None:
    """Bind to a free port of those that no system gives to connections that go out.

    A port is free for a moment between the choice and the start of the program; one that the
    system itself hands out may be taken by then.
    """
    for port in random.sample(_PORTS, 100):
        with contextlib.suppress(OSError):
            _bind(each, port)
            return
    _bind(each, 0)


def _bind(each: socket.socket, port: int) -> None:
    each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    each.bind(("127.0.0.1", port))


def _die_with_parent() -> None:
    """Run in the child before exec: take the parent's death, keep nothing else of it."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setsid()


def _tail(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-_LOG_TAIL_LINES:])


def _say(**message: Any) -> None:
    """Tell ``up`` something; a closed pipe means that nobody waits any more: stop."""
    try:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()
    except (BrokenPipeError, ValueError):
        raise _StoppedError from None


def main() -> int:
    """Take the instance's lock for life, then run."""
    instance = instances.named(sys.argv[1])
    raw = json.loads(sys.argv[2])
    options = Options(**{**raw["options"], "node_labels": tuple(raw["options"]["node_labels"])})
    binaries = {name: Path(path) for name, path in raw["binaries"].items()}
    # Detach: a process that nobody waits for, in a session that no terminal ends.
    if os.fork():
        os._exit(0)
    os.setsid()
    # Held until this process ends, however it ends; children do not inherit it.
    lock = instance.lock_path.open("a", encoding="utf-8")
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return Supervisor(instance, options, binaries).run()


if __name__ == "__main__":
    sys.exit(main())
