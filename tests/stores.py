"""The store of a control plane on which everything is installed: later ones begin with a copy.

To install costs a control plane more than to start. It is the same each time, so the first of a run
that is installed, and has no nodes, leaves a copy for all workers.

The copy holds everything but the bindings of policies. An API server that starts with them looks
for the kinds of their parameters before it serves them, and then again after half a minute.
"""

import contextlib
import json
import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any

import pytest

import documents
from harness import Api, kubectl, wait_for, wait_for_kinds
from securetenant.api import kinds, names
from securetenant.sandbox.instances import Instance

FOLDER = "TEST_STORE"
"""The variable with the folder of the run, for its workers; without it nothing is copied."""
_LAST = "securetenant-settings"
"""The binding of a policy that refuses everybody, whatever there is: by it the rest is known."""
_BINDINGS = {each.name: each for each in (kinds.VALIDATING_BINDING, kinds.MUTATING_BINDING)}


def begin(config: pytest.Config) -> None:
    """Make the folder, once for all workers."""
    if not hasattr(config, "workerinput"):
        os.environ[FOLDER] = tempfile.mkdtemp(prefix="securetenant-store-")


def end(config: pytest.Config) -> None:
    """Remove it."""
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop(FOLDER), ignore_errors=True)


def found() -> str:
    """Return the folder of the store to begin with, or nothing while there is none."""
    store = _store()
    return str(store) if store and store.is_dir() else ""


def is_wanted(instance: Instance) -> bool:
    """Tell whether this control plane is the one that leaves a copy."""
    store = _store()
    return bool(store and not store.exists() and not instance.record()["options"]["nodes"])


def install(instance: Instance) -> None:
    """Install everything as a user does, but leave a copy before the bindings come."""
    kubectl(instance, "apply", "-k", "crds")
    wait_for_kinds(instance, "crd", "--all")
    every = documents.read(kubectl(instance, "kustomize", "manifests"))
    bindings = [each for each in every if each["kind"] in _BINDINGS]
    others = [each for each in every if each["kind"] not in _BINDINGS]
    kubectl(instance, "apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, others)))
    _leave(instance, bindings)
    bind(instance, bindings)


def bind(instance: Instance, bindings: list[Any] | None = None) -> None:
    """Put the policies in force, by default those of the store, once their parameters are known."""
    store = _store()
    if bindings is None:
        assert store is not None
        bindings = json.loads((store / "bindings.json").read_text(encoding="utf-8"))
    admin = Api(instance.admin_kubeconfig)
    parameters = (kinds.TENANCY_SETTINGS, kinds.TENANT_POLICY)

    def are_served() -> bool:
        answer = admin.call("GET", f"/apis/{names.API_VERSION}")
        served = {each["name"] for each in answer.body.get("resources", ())}
        return answer.status == 200 and served.issuperset(each.plural for each in parameters)

    wait_for(are_served, what="the kinds of parameters", seconds=30)
    for each in parameters:
        # Whoever watches a kind first waits until it can be, and what policies look at is refused
        # after a second of that.
        begins = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
        path = f"{each.path()}?{begins}&allowWatchBookmarks=true"
        with contextlib.closing(admin.follow(path)) as events:
            next(events)
    for body in sorted(bindings, key=lambda each: str(each["metadata"]["name"]) == _LAST):
        admin.call("POST", _BINDINGS[body["kind"]].path(), body).ok()
    path = kinds.TENANCY_SETTINGS.path("", names.SETTINGS_NAME)
    wait_for(
        lambda: admin.call("DELETE", path, dryRun="All").status == 403,
        what="the policies to be in force",
        seconds=30,
    )


def _leave(instance: Instance, bindings: list[Any]) -> None:
    store = _store()
    assert store is not None
    mine = Path(tempfile.mkdtemp(dir=store.parent)) / "etcd"
    etcd = instance.record()["programs"]["etcd"]
    # Stopped, it is as after the end of its process, which it recovers from.
    os.kill(etcd, signal.SIGSTOP)
    try:
        # What is allocated for later is empty and large.
        shutil.copytree(instance.etcd, mine, ignore=shutil.ignore_patterns("*.tmp"))
    finally:
        os.kill(etcd, signal.SIGCONT)
    (mine / "bindings.json").write_text(json.dumps(bindings), encoding="utf-8")
    try:
        mine.rename(store)
    except OSError:
        # Another worker was faster.
        shutil.rmtree(mine)


def _store() -> Path | None:
    folder = os.environ.get(FOLDER)
    return Path(folder) / "store" if folder else None
