"""Builders: what they write, and what they leave out rather than open."""

from typing import Any

from factory import seen, settings_spec, tenant
from securetenant.api import names
from securetenant.api.tenancysettings import SettingsSpec
from securetenant.desired import namespaces, unit
from securetenant.desired.scope import Scope
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Tenants


def objects(
    spec: dict[str, Any], settings: SettingsSpec | None = None, namespace: str = "acme-a"
) -> dict[str, Any]:
    found = unit.build(scope_of(spec, settings, namespace))
    return {f"{ref.kind}/{ref.name}": body for ref, body in found}


def scope_of(
    spec: dict[str, Any], settings: SettingsSpec | None = None, namespace: str = "acme-a"
) -> Scope:
    known = Tenants()
    known.see("acme", seen(tenant("acme", **spec)))
    known.read("acme", settings or settings_spec(), Store())
    record = known.get("acme")
    assert record is not None
    assert not record.is_refused, record.findings
    return record.units[namespace].scope


def test_without_dns_servers_there_is_no_rule_rather_than_one_for_everybody() -> None:
    """An egress rule with an empty `to` allows every destination."""
    good = settings_spec()
    none = good.dns.model_copy(update={"pods": (), "addresses": ()})
    found = objects({}, good.model_copy(update={"dns": none}))
    assert "NetworkPolicy/securetenant-dns" not in found


def test_dns_is_allowed_to_its_servers_on_its_ports_alone() -> None:
    rule = objects({})["NetworkPolicy/securetenant-dns"]["spec"]["egress"]
    assert rule == [
        {
            "to": [
                {
                    "namespaceSelector": {
                        "matchLabels": {"kubernetes.io/metadata.name": "kube-system"},
                        "matchExpressions": [
                            {"key": "securetenant.io/tenant", "operator": "DoesNotExist"}
                        ],
                    },
                    "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
                },
                {"ipBlock": {"cidr": "169.254.20.10/32"}},
            ],
            "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
        }
    ]


def test_same_tenant_traffic_is_allowed_by_default_and_denied_on_request() -> None:
    name = "NetworkPolicy/securetenant-same-tenant"
    peers = [{"namespaceSelector": {"matchLabels": {"securetenant.io/tenant": "acme"}}}]
    assert objects({})[name]["spec"]["ingress"] == [{"from": peers}]
    assert objects({})[name]["spec"]["egress"] == [{"to": peers}]
    assert name not in objects({"network": {"sameTenant": "Deny"}})


def test_every_wall_lists_both_directions() -> None:
    """A list that is not written belongs to whoever adds to it."""
    for name, body in objects({}).items():
        if name.startswith("NetworkPolicy/"):
            assert {"ingress", "egress"} <= body["spec"].keys(), name


def test_the_quota_is_split_by_weight() -> None:
    spec = {
        "namespaces": [{"name": "acme-a", "quota": {"weight": 3}}, {"name": "acme-b"}],
        "quota": {"pods": 40, "requests.memory": "8Gi"},
    }
    hard = objects(spec)["ResourceQuota/securetenant"]["spec"]["hard"]
    assert (hard["pods"], hard["requests.memory"]) == ("30", "6Gi")
    assert hard["count/pods"] == "120", "finished pods count too, and pile up"
    assert hard["limits.memory"] == "6Gi", "absent limits are never below requests"
    assert hard["requests.cpu"] == "3", "what the tenant leaves out is the platform's default"


def test_a_fixed_part_comes_off_the_total_first() -> None:
    spec = {
        "namespaces": [{"name": "acme-a", "quota": {"hard": {"pods": 10}}}, {"name": "acme-b"}],
        "quota": {"pods": 40},
    }
    found = [objects(spec, namespace=name) for name in ("acme-a", "acme-b")]
    assert [each["ResourceQuota/securetenant"]["spec"]["hard"]["pods"] for each in found] == [
        "10",
        "30",
    ]


def test_a_namespace_may_be_stricter_than_the_tenant() -> None:
    spec = {
        "namespaces": [
            {"name": "acme-a", "podSecurity": {"level": "restricted"}},
            {"name": "acme-b"},
        ],
        "podSecurity": {"level": "baseline", "exceptionReason": "old"},
    }
    levels = [
        objects(spec, namespace=name)[f"Namespace/{name}"]["metadata"]["labels"][
            "pod-security.kubernetes.io/enforce"
        ]
        for name in ("acme-a", "acme-b")
    ]
    assert levels == ["restricted", "baseline"]


def test_pod_security_warns_of_what_is_not_set_in_pods() -> None:
    """E12: each workload was warned of what its pods get before Pod Security looks at them."""
    found = {
        mode: objects({"enforcement": mode})["Namespace/acme-a"]["metadata"]["labels"]
        for mode in ("Enforce", "Audit")
    }
    warn, enforce = (f"pod-security.kubernetes.io/{mode}" for mode in ("warn", "enforce"))
    assert [each[warn] for each in found.values()] == ["baseline", "restricted"]
    assert [each[enforce] for each in found.values()] == ["restricted", "restricted"]


def test_grants_become_one_binding_per_role_with_each_subject_once() -> None:
    devs = {"kind": "Group", "name": "devs"}
    bot = {"kind": "ServiceAccount", "name": "ci", "namespace": "acme-b"}
    spec = {
        "access": [
            {"name": "one", "role": "Developer", "subjects": [devs]},
            {"name": "two", "role": "Developer", "subjects": [devs, bot]},
            {"name": "b-only", "role": "Admin", "subjects": [devs], "namespaces": ["acme-b"]},
            {"name": "nowhere", "role": "Viewer", "subjects": [devs], "namespaces": []},
        ]
    }
    found = objects(spec)
    assert {name for name in found if name.startswith("RoleBinding")} == {
        "RoleBinding/securetenant-canary",
        "RoleBinding/securetenant-developer",
    }
    binding = found["RoleBinding/securetenant-developer"]
    assert binding["roleRef"]["name"] == "securetenant:developer"
    assert [each["name"] for each in binding["subjects"]] == ["devs", "ci"]
    assert "RoleBinding/securetenant-admin" in objects(spec, namespace="acme-b")


def test_a_namespace_is_created_without_the_labels_that_the_spec_may_drop_again() -> None:
    """What a create sets, a later apply does not take away."""
    scope = scope_of({"lockdown": "Frozen", "enforcement": "Audit"})
    dropped = {names.LOCKDOWN_LABEL, names.ENFORCEMENT_LABEL, names.READY_FOR_LABEL}
    created = namespaces.build_initial(scope).body["metadata"]["labels"]
    applied = namespaces.build_ready(scope, "uid").body["metadata"]["labels"]
    assert applied.keys() - created.keys() == dropped
