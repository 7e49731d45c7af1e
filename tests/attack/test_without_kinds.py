"""Parameters gone, and our CRDs with them: tenants admit nothing, others are refused nothing."""

import os
import time
from collections.abc import Iterator

import pytest

import factory
from attack_harness import Policy, verdict
from conftest import install
from harness import MERGE, Api, kubectl, wait_for, wait_for_account
from securetenant.api import kinds, names
from securetenant.sandbox import control, instances, kubeconfigs
from securetenant.sandbox.instances import Instance, Options

MIRRORS = Policy("securetenant-mirror-pods")


@pytest.fixture(scope="module")
def bare() -> Iterator[Instance]:
    """A control plane of its own, in which somebody removed a guard, the settings, and our CRDs."""
    instance = instances.named(f"test-{os.getpid()}-bare")
    control.up(instance, Options(type_checks=False), lambda _: None)
    try:
        install(instance)
        groups = ("system:masters", "securetenant:break-glass")
        breaker = Api(kubeconfigs.for_user(instance, "breaker", groups))
        for name in ("theirs", "ordinary"):
            breaker.create(kinds.NAMESPACE, {"metadata": {"name": name}}).ok()
            wait_for_account(breaker, name)
        theirs = {"metadata": {"labels": {names.TENANT_LABEL: "ghost"}}}
        breaker.patch(kinds.NAMESPACE, "theirs", theirs).ok()
        # Who is in the group of nodes, and not one by name: only the policy asks for the group.
        nodes = ("system:masters", "system:nodes")
        some_node = Api(kubeconfigs.for_user(instance, "some-node", nodes))

        def mirrored() -> str:
            answer = some_node.create_pod("ordinary", factory.pod(), dryRun="All")
            return verdict(answer, MIRRORS)

        wait_for(lambda: mirrored() == "Blocked", what="the parameter to be read")
        kubectl(instance, "delete", "-f", "manifests/policies/crds.yaml")

        crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        path = f"{crds}/tenancysettings.securetenant.io"
        wait_for(
            lambda: breaker.call("DELETE", path, dryRun="All").status == 200,
            what="the guard to be gone",
        )
        kubectl(instance, "delete", "-k", "crds", "--wait=false")
        wait_for(lambda: is_gone(breaker, crds), what="the kinds to be gone", seconds=60)
        wait_for(lambda: mirrored() == "Open", what="the parameter to be missed")
        yield instance
    finally:
        with instances.starting(instance):
            instances.stop(instance)


def is_gone(admin: Api, crds: str) -> bool:
    """Tell whether our CRDs are gone; change those that are left.

    Now and then the API server's finalizer misses one, and looks again when it is changed, or after
    five minutes (the resync of its informers): so long this took once in a full run.
    """
    left = [
        each["metadata"]["name"]
        for each in admin.call("GET", crds).ok()["items"]
        if each["metadata"]["name"].endswith(names.GROUP)
    ]
    for each in left:
        change = {"metadata": {"annotations": {"nudged": str(time.monotonic())}}}
        admin.call("PATCH", f"{crds}/{each}", change, content_type=MERGE)
    return not left


def test_without_its_kinds_a_tenants_namespace_admits_nothing(bare: Instance) -> None:
    answer = Api(bare.admin_kubeconfig).create_pod("theirs", factory.pod(), dryRun="All")
    assert "policy 'securetenant-" in answer.message
    assert "no params found" in answer.message


def test_without_its_kinds_everybody_else_works_on(bare: Instance) -> None:
    """A parameter that is missing is judged before anybody's conditions are."""
    admin = Api(bare.admin_kubeconfig)
    admin.create_pod("ordinary", factory.pod(), dryRun="All").ok()
    admin.create(kinds.NAMESPACE, {"metadata": {"name": "more"}}, dryRun="All").ok()
    account = {"kind": "ServiceAccount", "name": "default", "namespace": "ordinary"}
    binding = factory.binding(account)
    admin.create(kinds.ROLE_BINDING, binding, "ordinary", dryRun="All").ok()
    quota = {"metadata": {"name": "q"}, "spec": {}}
    admin.create(kinds.RESOURCE_QUOTA, quota, "ordinary", dryRun="All").ok()
