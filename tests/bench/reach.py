"""The proof of reachability over a large cluster: time, memory, one change, and one hole in it.

The objects are those that the product builds. They are written to files first, and judged by a
process of its own that reads them one by one, so that its memory is that of the proof.
"""

import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.cluster import table
from factory import enough, seen, settings_spec, tenant
from securetenant.api import names
from securetenant.api.securetenant import TenantSpec
from securetenant.checks.declared import Declared
from securetenant.checks.judgement import Judge
from securetenant.checks.reachability import Namespace, Pod, World
from securetenant.desired import admin_tier, unit
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Tenants

PER_TENANT = 10
PODS = ("web", "api", "db")
KINDS = ("tenant", "namespace", "pod", "policy", "cluster")
HTTPS = [{"port": 443}]
_NAME = names.NAMESPACE_NAME_LABEL
_MEBIBYTE = 1024
SETTINGS = {
    "apiServer": {"addresses": ["10.96.0.1/32"], "ports": [443]},
    "nodeNetworks": ["172.31.0.0/16"],
    "podNetworks": ["10.128.0.0/9"],
    "ingressControllers": [
        {
            "name": "nginx",
            "namespaceLabels": {_NAME: "ingress-nginx"},
            "podLabels": {"app": "nginx"},
        }
    ],
}


def run(sizes: tuple[int, ...]) -> str:
    """Measure each number of namespaces; return a Markdown table."""
    rows = [
        [
            "Namespaces",
            "Pods",
            "Policies",
            "reading JSON",
            "made ready",
            "judged",
            "all",
            "peak memory",
            "one change",
            "undeclared",
        ]
    ]
    paths = os.pathsep.join(sys.path)
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), size)
            # The numbers of a process that did nothing else.
            done = subprocess.run(
                [sys.executable, "-m", "bench.reach", folder],
                env={**os.environ, "PYTHONPATH": paths},
                check=True,
                capture_output=True,
                text=True,
            )
        rows.append(json.loads(done.stdout))
    return table(rows)


def measure(folder: Path) -> list[str]:
    """Judge the objects of a folder; return the figures."""
    began = time.process_time()
    for kind in KINDS:
        for _ in _read(folder, kind):
            pass
    read = time.process_time() - began
    began = time.process_time()
    specs = {
        each["name"]: TenantSpec.model_validate(each["spec"]) for each in _read(folder, "tenant")
    }
    spaces = list(_read(folder, "namespace"))
    world = World(
        (Namespace(name=each["name"], labels=each["labels"]) for each in spaces),
        (_pod(each) for each in _read(folder, "pod")),
        _read(folder, "policy"),
        _read(folder, "cluster"),
    )
    ready = time.process_time()
    judge = Judge(world, Declared(specs, settings_spec(**SETTINGS)))
    found = judge.openings()
    done = time.process_time()
    changed = spaces[len(spaces) // 3]["name"]
    body = next(each for each in spaces if each["name"] == changed)
    pods = [_pod(each) for each in _read(folder, "pod") if each["namespace"] == changed]
    policies = [
        each for each in _read(folder, "policy") if each["metadata"]["namespace"] == changed
    ]
    namespace = Namespace(name=changed, labels=body["labels"])
    before = time.process_time()
    world.put(namespace, pods, policies)
    judge.look_again([changed])
    again = judge.openings()
    after = time.process_time()
    through = [each for each in found if each.source and each.target and len(each.tenants) > 1]
    by_hole = [
        each for each in found if "hole" in {one.policy for one in each[-2:] if one is not None}
    ]
    if again != found or by_hole != list(found) or len(through) != 1:
        raise RuntimeError(f"The hole is not found, or something else is: {found[:5]}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MEBIBYTE
    counts = {kind: sum(1 for _ in _read(folder, kind)) for kind in ("pod", "policy", "cluster")}
    return [
        f"{len(spaces):,}",
        f"{counts['pod']:,}",
        f"{counts['policy'] + counts['cluster']:,}",
        f"{read:.1f} s",
        f"{ready - began:.1f} s",
        f"{done - ready:.1f} s",
        f"{done - began:.1f} s",
        f"{peak:.0f} MiB",
        f"{(after - before) * 1000:.0f} ms",
        f"{len(found)}, {len(through)} between tenants, all by the one hole",
    ]


def write(folder: Path, size: int) -> None:
    """Write the objects of a cluster, those of each kind to a file of its own."""
    with contextlib.ExitStack() as stack:
        files = {
            kind: stack.enter_context((folder / kind).open("w", encoding="utf-8")) for kind in KINDS
        }
        for kind, body in _objects(size):
            files[kind].write(json.dumps(body) + "\n")


def _read(folder: Path, kind: str) -> Iterator[Any]:
    """Yield the objects of a kind, one at a time."""
    with (folder / kind).open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _pod(body: Any) -> Pod:
    return Pod(
        namespace=body["namespace"],
        name=body["name"],
        labels=body["labels"],
        addresses=(body["address"],),
    )


# --- the cluster --------------------------------------------------------------------------------


def _objects(size: int) -> Iterator[tuple[str, Any]]:
    """Yield what the product builds for pairs of tenants, and one hole.

    The hole is a rule for everybody at one end and one for all pods' addresses at the other, where
    both tenants have lost their ClusterNetworkPolicy.
    """
    settings = settings_spec(**SETTINGS)
    platform = (("kube-system", "kube-dns"), ("ingress-nginx", "nginx"), ("monitoring", "agent"))
    for number, (name, app) in enumerate(platform):
        yield "namespace", {"name": name, "labels": {_NAME: name}}
        yield "pod", _running(name, app, f"10.128.0.{number}", {"k8s-app": app, "app": app})
    spaces = 0
    for number in range(0, size // PER_TENANT, 2):
        pair = [_tenant(number, number + 1), _tenant(number + 1, number)]
        known = Tenants()
        for version, body in enumerate(pair):
            known.see(body["metadata"]["name"], seen(body, version + 1))
        for body in pair:
            name = body["metadata"]["name"]
            known.read(name, settings, Store())
            record = known.get(name)
            if record is None or record.is_refused:
                raise RuntimeError(f"{name} is refused")
            yield "tenant", {"name": name, "spec": body["spec"]}
            scopes = [each.scope for _, each in sorted(record.units.items())]
            agreed = {each for scope in scopes for each in scope.agreements}
            if name not in ("t0", f"t{size // PER_TENANT - 1}"):
                yield "cluster", admin_tier.build(scopes, agreed).manifest.body
            for scope in scopes:
                manifests = unit.build(scope)
                where = manifests[0].ref.name
                labels = {**manifests[0].body["metadata"]["labels"], _NAME: where}
                yield "namespace", {"name": where, "labels": labels}
                for column, app in enumerate(PODS):
                    address = f"10.{129 + (spaces >> 8)}.{spaces & 255}.{column + 1}"
                    yield "pod", _running(where, app, address, {"app": app, "version": "1"})
                spaces += 1
                for ref, manifest in manifests:
                    if ref.kind == "NetworkPolicy":
                        yield "policy", manifest
    last = size // PER_TENANT - 1
    yield "policy", _hole(f"t{last}-1", ingress=[{}])
    yield "policy", _hole("t0-1", egress=[{"to": [{"ipBlock": {"cidr": "10.128.0.0/9"}}]}])


def _tenant(number: int, other: int) -> dict[str, Any]:
    return tenant(
        f"t{number}",
        namespaces=[{"name": f"t{number}-{column}"} for column in range(PER_TENANT)],
        quota=enough(PER_TENANT),
        network={
            "ingress": [{"name": "web", "from": [{"ingressController": "nginx"}], "ports": HTTPS}],
            "egress": [
                {"name": "all", "to": [{"cidr": "0.0.0.0/0"}], "ports": HTTPS, "reason": "tried"}
            ],
            "peers": [
                {
                    "tenant": f"t{other}",
                    "direction": "Both",
                    "namespaces": [f"t{other}-0"],
                    "ports": HTTPS,
                }
            ],
        },
    )


def _running(namespace: str, name: str, address: str, labels: dict[str, str]) -> dict[str, Any]:
    return {"namespace": namespace, "name": name, "address": address, "labels": labels}


def _hole(namespace: str, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": namespace, "name": "hole"},
        "spec": {"podSelector": {}, "policyTypes": [], "ingress": [], "egress": [], **spec},
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(Path(sys.argv[1]))))
