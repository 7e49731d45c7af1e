"""Changed TenancySettings go through the fleet in waves, and stop where they do harm."""

from collections.abc import Iterator
from typing import Any

import pytest

from conftest import settled
from factory import tenant
from harness import Api, Operator, conditions, wait_for
from securetenant.api import kinds, names

NGINX = {
    "name": "rolled",
    "namespaceLabels": {"kubernetes.io/metadata.name": "ingress-nginx"},
    "podLabels": {"app": "nginx"},
}
WEB = {
    "ingress": [{"name": "web", "from": [{"ingressController": "rolled"}], "ports": [{"port": 80}]}]
}
FLEET = tuple(f"a-{number}" for number in range(8))
"""Small, and first by name: their turns come before those of other tests' tenants."""


def rolled_out(admin: Api) -> dict[str, Any]:
    """Return the condition, once it is about the settings as they now are."""

    def found() -> Any:
        body = admin.get(kinds.TENANCY_SETTINGS, "default")
        condition = conditions(body).get("RolledOut", {})
        current = condition.get("observedGeneration") == body["metadata"]["generation"]
        return condition if current and condition["reason"] != "RollingOut" else None

    return dict(wait_for(found, what="the roll-out to end or halt", seconds=30))


def change(admin: Api, **spec: Any) -> dict[str, Any]:
    """Change the settings; return what became of the roll-out."""
    admin.patch(kinds.TENANCY_SETTINGS, "default", {"spec": spec}).ok()
    return rolled_out(admin)


def unready(admin: Api) -> set[str]:
    """Return the tenants of the fleet that are not ready."""
    return {
        name
        for name in FLEET
        if conditions(admin.get(kinds.SECURE_TENANT, name))["Ready"]["status"] == "False"
    }


def following(admin: Api, text: str) -> set[str]:
    """Return the tenants of the fleet whose opening is there, with that text in it."""
    return {
        name
        for name in FLEET
        if any(
            text in str(each["spec"])
            for each in admin.list(kinds.NETWORK_POLICY, f"{name}-a")
            if each["metadata"]["name"] not in (names.DEFAULT_DENY, names.SAME_TENANT)
        )
    }


@pytest.fixture(scope="module")
def settings(admin: Api, operator: Operator) -> dict[str, Any]:
    """Make eight small tenants that are opened to an ingress controller; return the settings."""
    before = admin.get(kinds.TENANCY_SETTINGS, "default")["spec"]
    change(admin, ingressControllers=[NGINX])
    for name in FLEET:
        body = tenant(name, namespaces=[{"name": f"{name}-a"}], network=WEB)
        admin.apply(kinds.SECURE_TENANT, body, manager="test").ok()
    for name in FLEET:
        settled(admin, name)
    return dict(before)


@pytest.fixture
def dns(admin: Api, settings: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return how DNS is set; the settings are put back afterwards, and reach all."""
    for name in FLEET:
        settled(admin, name)  # Who is at work when settings change is no witness of harm.
    yield settings["dns"]
    change(admin, dns=settings["dns"], ingressControllers=[NGINX])
    # A tenant of the last wave may be harmed for a moment, and recover.
    wait_for(
        lambda: rolled_out(admin)["status"] == "True", what="the settings to reach all", seconds=30
    )


@pytest.fixture(scope="module", autouse=True)
def _as_before(admin: Api, settings: dict[str, Any]) -> Iterator[None]:
    """Let the fleet go, so that nobody asks for the ingress controller any more."""
    yield
    for name in FLEET:
        admin.delete(kinds.SECURE_TENANT, name).ok()
    wait_for(
        lambda: not any(admin.get(kinds.SECURE_TENANT, name) for name in FLEET),
        what="the fleet to go",
        seconds=30,
    )
    change(admin, ingressControllers=settings.get("ingressControllers"))


def test_a_good_change_reaches_all(admin: Api, dns: dict[str, Any], operator: Operator) -> None:
    condition = change(admin, dns={**dns, "addresses": ["10.96.0.77/32"]})
    assert (condition["status"], condition["reason"]) == ("True", "AsSpecified")
    assert following(admin, "10.96.0.77/32") == set(FLEET)
    followed = operator.metric("securetenant_tenants_following_settings")
    assert followed == operator.metric("securetenant_tenants")


def test_a_change_that_does_harm_stops_at_the_first_and_a_correction_reaches_all(
    admin: Api, dns: dict[str, Any], operator: Operator
) -> None:
    """Whoever renames the ingress controller closes every opening that names it."""
    changed = {**dns, "addresses": ["10.96.0.78/32"]}
    renamed = {**NGINX, "name": "renamed"}
    condition = change(admin, dns=changed, ingressControllers=[renamed])
    assert condition["reason"] == "RollOutHalted"
    first = FLEET[0]
    wait_for(lambda: unready(admin) == {first}, what="the tenant to say so itself")
    assert f"halted, since they made unhealthy: {first} (NotInSettings)" in condition["message"]
    assert "kubectl annotate tenancysettings default" in condition["message"]
    assert following(admin, "10.96.0.78/32") == {first}
    assert following(admin, "ingress-nginx") == set(FLEET) - {first}, "all others stay open"
    assert operator.metric("securetenant_settings_roll_out_halted") == 1

    condition = change(admin, dns=changed, ingressControllers=[NGINX])
    assert condition["status"] == "True"
    assert following(admin, "10.96.0.78/32") == following(admin, "ingress-nginx") == set(FLEET)
    settled(admin, first)


def test_a_halt_outlives_the_operator_and_a_poke_lets_it_go_on(
    admin: Api, dns: dict[str, Any], operator: Operator
) -> None:
    change(admin, ingressControllers=[{**NGINX, "name": "renamed"}])
    assert operator.stop() == 0
    operator.start()
    opened = following(admin, "ingress-nginx")
    assert opened == set(FLEET[1:])
    assert rolled_out(admin)["reason"] == "RollOutHalted"
    waits = wait_for(
        lambda: [
            name
            for name in opened
            if conditions(admin.get(kinds.SECURE_TENANT, name))["NamespacesReady"]["reason"]
            == "AwaitingTurn"
        ],
        what="the tenants to say that they wait",
    )
    assert waits
    asked = {"metadata": {"annotations": {names.REQUESTED_ANNOTATION: "now"}}}
    admin.patch(kinds.TENANCY_SETTINGS, "default", asked).ok()
    wait_for(lambda: following(admin, "ingress-nginx") < opened, what="the next wave")
