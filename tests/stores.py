"""The store of a control plane on which everything is installed: later ones begin with a copy.

To install costs a control plane more than to start. It is the same each time, so the first of a run
that is installed, and has no nodes, leaves a copy for all workers.
"""

import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

from securetenant.sandbox.instances import Instance

FOLDER = "TEST_STORE"
"""The variable with the folder of the run, for its workers; without it nothing is copied."""


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


def leave(instance: Instance) -> None:
    """Leave a copy of the store of a control plane that has just been installed."""
    store = _store()
    if not store or store.exists() or instance.record()["options"]["nodes"]:
        return
    mine = Path(tempfile.mkdtemp(dir=store.parent))
    etcd = instance.record()["programs"]["etcd"]
    # Stopped, it is as after the end of its process, which it recovers from.
    os.kill(etcd, signal.SIGSTOP)
    try:
        # What is allocated for later is empty and large.
        shutil.copytree(instance.etcd, mine / "etcd", ignore=shutil.ignore_patterns("*.tmp"))
    finally:
        os.kill(etcd, signal.SIGCONT)
    try:
        (mine / "etcd").rename(store)
    except OSError:
        # Another worker was faster.
        shutil.rmtree(mine)


def _store() -> Path | None:
    folder = os.environ.get(FOLDER)
    return Path(folder) / "store" if folder else None
