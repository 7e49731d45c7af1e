"""Agents: which entries are in force."""

from factory import seen, settings_spec, tenant
from securetenant.api import kinds, names
from securetenant.api.objects import Ref
from securetenant.desired import policy
from securetenant.plan import ownership
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Tenants

SETTINGS = settings_spec(
    protectedNames=["issuers", "scalers"],
    agents=[
        {
            "name": each,
            "serviceAccount": {"namespace": f"{each}s", "name": each},
            "allows": {"annotations": [f"{each}.example/b", f"{each}.example/a"]},
        }
        for each in ("issuer", "scaler")
    ],
)


def agents(store: Store) -> list[dict[str, object]]:
    """Return the agents in a TenantPolicy."""
    known = Tenants()
    known.see("acme", seen(tenant("acme")))
    known.read("acme", SETTINGS, store)
    record = known.get("acme")
    assert record is not None
    found = policy.build(record.units["acme-a"].scope).body["spec"]["agents"]
    return list(found)


def test_an_entry_becomes_what_policies_compare() -> None:
    assert agents(Store()) == [
        {
            "user": f"system:serviceaccount:{each}s:{each}",
            "annotations": [f"{each}.example/a", f"{each}.example/b"],
        }
        for each in ("issuer", "scaler")
    ]


def test_a_namespace_that_a_tenant_has_makes_no_agents() -> None:
    """It could have been given before it was protected."""
    store = Store()
    body = {
        "kind": "Namespace",
        "metadata": {
            "name": "issuers",
            "uid": "u",
            "resourceVersion": "1",
            "labels": {names.TENANT_LABEL: "beta"},
        },
    }
    store.put(Ref(kinds.NAMESPACE.name, "", "issuers"), ownership.observe(body))
    assert [each["user"] for each in agents(store)] == ["system:serviceaccount:scalers:scaler"]
    known = Tenants()
    known.see("acme", seen(tenant("acme")))
    known.read("acme", SETTINGS, store)
    (finding,) = known.records["acme"].findings
    assert (finding.reason, finding.informs) == ("AgentOfTenant", True)
    assert "issuer (issuers is tenant beta's)" in finding.message
