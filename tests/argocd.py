"""Runs the health checks for Argo CD, in the language version that it embeds (Lua 5.1)."""

from pathlib import Path
from typing import Any

import yaml
from lupa import lua51

from harness import ROOT

CHECKS = ROOT / "manifests/argocd/securetenant.io"


def health(kind: str, body: Any) -> dict[str, str]:
    """Return what Argo CD would show of an object: a status and a message."""
    lua = lua51.LuaRuntime(register_eval=False, register_builtins=False)
    # Argo CD gives its scripts neither files nor processes.
    for name in ("io", "os", "require", "package", "dofile", "loadfile"):
        lua.globals()[name] = None
    lua.globals().obj = _table(lua, body)
    script = (CHECKS / kind / "health.lua").read_text(encoding="utf-8")
    return dict(lua.execute(script))


def _table(lua: Any, value: Any) -> Any:
    if isinstance(value, dict):
        return lua.table_from({key: _table(lua, each) for key, each in value.items()})
    if isinstance(value, list):
        return lua.table_from([_table(lua, each) for each in value])
    return value


def cases(kind: str) -> list[tuple[Path, dict[str, str]]]:
    """Return the test data of a kind, with what is expected, as Argo CD lays it out."""
    listed = yaml.safe_load((CHECKS / kind / "health_test.yaml").read_text(encoding="utf-8"))
    return [(CHECKS / kind / each["inputPath"], each["healthStatus"]) for each in listed["tests"]]
