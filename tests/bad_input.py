"""SecureTenants as hypothesis makes them: good ones, and ones with something wrong."""

import copy
import json
from typing import Any

from hypothesis import strategies as st

from factory import seen, settings_spec
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Tenants

SETTINGS = settings_spec()
POOL = "node-restriction.kubernetes.io/pool"
names = st.sampled_from(["one", "two", "three"])
labels = st.dictionaries(st.sampled_from(["env", "example.com/team"]), names, max_size=2)
quantities = st.sampled_from([1, "2", "500m", "4Gi", "1e3", 0])
quotas = st.dictionaries(
    st.sampled_from(["pods", "requests.cpu", "limits.memory", "requests.storage", "secrets"]),
    quantities,
    max_size=3,
)
ports = st.lists(
    st.fixed_dictionaries(
        {"port": st.integers(1, 65535)},
        optional={"protocol": st.sampled_from(["TCP", "UDP", "SCTP"])},
    ),
    min_size=1,
    max_size=2,
)


def openings(side: str) -> st.SearchStrategy[Any]:
    other = st.one_of(
        st.just({"cidr": "10.1.0.0/16"}),
        st.just({"cidr": "10.0.0.0/8", "except": ["10.9.0.0/16"]}),
        st.just({"cidr": "fd01::/32"}),
        st.just({"ingressController": "nginx"}),
        st.just({"namespaceLabels": {"a": "b"}, "podLabels": {"c": "d"}}),
    )
    return st.lists(
        st.fixed_dictionaries(
            {"name": names, side: st.lists(other, min_size=1, max_size=2), "ports": ports}
        ),
        max_size=2,
        unique_by=lambda each: each["name"],
    )


networks = st.fixed_dictionaries(
    {},
    optional={
        "sameTenant": st.sampled_from(["Allow", "Deny"]),
        "apiServer": st.sampled_from(["Allow", "Deny"]),
        "ingress": openings("from"),
        "egress": openings("to"),
        "peers": st.just(
            [{"tenant": "other", "namespaces": ["other-a"], "ports": [{"port": 443}]}]
        ),
    },
)
nodes = st.one_of(
    st.just({"dedication": "Shared"}),
    st.just({"dedication": "Dedicated", "selector": {"matchLabels": {POOL: "none"}}}),
    st.just({"podPidsLimit": 1024, "pids": "Report"}),
    st.just({"dedication": "Dedicated", "names": ["no-such-node"], "eviction": "Evict"}),
)
workloads = st.fixed_dictionaries(
    {},
    optional={
        "registries": st.just(["registry.example/"]),
        "images": st.sampled_from(["Tag", "Digest"]),
        "hostnames": st.lists(st.sampled_from([".a.example", ".b.example"]), unique=True),
        "serviceTypes": st.just(["ClusterIP"]),
        "runAsUser": st.just(1000),
    },
)
grants = st.lists(
    st.fixed_dictionaries(
        {
            "name": names,
            "role": st.sampled_from(["Admin", "Developer", "Viewer"]),
            "subjects": st.just([{"kind": "Group", "name": "devs"}]),
        }
    ),
    max_size=2,
    unique_by=lambda each: each["name"],
)
good = st.fixed_dictionaries(
    {
        "namespaces": st.lists(
            st.fixed_dictionaries(
                {"name": st.sampled_from(["NAME-a", "NAME-b", "NAME-c"])},
                optional={
                    "labels": labels,
                    "annotations": labels,
                    "quota": st.just({"weight": 2}),
                    "podSecurity": st.just({"level": "restricted"}),
                },
            ),
            min_size=1,
            max_size=3,
            unique_by=lambda each: each["name"],
        )
    },
    optional={
        "enforcement": st.sampled_from(["Enforce", "Audit"]),
        "lockdown": st.sampled_from(["None", "Frozen", "Quarantined"]),
        "deletionPolicy": st.sampled_from(["Retain", "Delete"]),
        "access": grants,
        "podSecurity": st.just({"level": "baseline", "exceptionReason": "old"}),
        "network": networks,
        "quota": quotas,
        "containerLimits": st.just({"default": {"cpu": "1"}, "max": {"cpu": "2"}}),
        "nodes": nodes,
        "workloads": workloads,
    },
)
junk = st.one_of(
    st.sampled_from(
        [None, "", "-", "x" * 300, "UPPER", "a b", "../..", "*", "0.0.0.0/0", "10.1.2.3/8"]
    ),
    st.sampled_from([-1, 0, 1.5, 2**31, 2**63, True, False, [], {}, [[]], [{}], {"": ""}]),
    st.text(max_size=8),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return every place in a document."""
    found = [path] if path else []
    children = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, child in children:
        found += places(child, (*path, key))
    return found


@st.composite
def broken(draw: st.DrawFn) -> Any:
    """Return a spec with something wrong: another value, a missing or an unknown field, a twin."""
    spec: Any = copy.deepcopy(draw(good))
    for _ in range(draw(st.integers(1, 2))):
        path = draw(st.sampled_from(places(spec)))
        parent: Any = spec
        for key in path[:-1]:
            parent = parent[key]
        match draw(st.sampled_from(["replace", "remove", "unknown", "twice"])):
            case "replace":
                parent[path[-1]] = draw(junk)
            case "remove" if len(path) > 1:
                del parent[path[-1]]
            case "unknown" if isinstance(parent, dict):
                parent[draw(st.sampled_from(["surprise", "Name", "spec", "$ref"]))] = draw(junk)
            case "twice" if isinstance(parent, list):
                parent.append(copy.deepcopy(parent[path[-1]]))
        if not places(spec):
            break
    return spec


def named(spec: Any, name: str) -> dict[str, Any]:
    """Return the SecureTenant with namespaces of its own."""
    text = json.dumps(spec).replace("NAME", name)
    return {
        "apiVersion": "securetenant.io/v1alpha1",
        "kind": "SecureTenant",
        "metadata": {"name": name},
        "spec": json.loads(text),
    }


def judgement(body: Any) -> str:
    """Return why the models refuse it, or nothing; raises whatever the operator would meet."""
    known = Tenants()
    name = body["metadata"]["name"]
    known.see(name, seen(body))
    known.read(name, SETTINGS, Store())
    record = known.get(name)
    assert record is not None
    return record.findings[0].message if record.is_refused else ""
