"""The pool on the real API server: shares go where pods are refused, and the sum always holds."""

import contextlib
import functools
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import factory
from conftest import Ready
from factory import tenant
from harness import APPLY, Api, conditions, wait_for, wait_for_account
from securetenant.api import kinds, names, quantities
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

WAIT_SECONDS = 45
"""Ten times what the slowest pod took in docs/benchmarks/quota.md, with a storm elsewhere."""
SMALL = {"cpu": "100m", "memory": "64Mi", "ephemeral-storage": "64Mi"}


def deployment(name: str, replicas: int, **resources: Any) -> dict[str, Any]:
    """Return a Deployment of pods that Pod Security admits."""
    labels = {"app": name}
    template = factory.pod(**resources)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": template["spec"]},
        },
    }


def deploy(admin: Api, namespace: str, body: dict[str, Any]) -> None:
    """Create a Deployment."""
    admin.call("POST", f"/apis/apps/v1/namespaces/{namespace}/deployments", body).ok()


def pods(admin: Api, namespace: str) -> int:
    """Return how many pods there are."""
    return len(admin.call("GET", f"/api/v1/namespaces/{namespace}/pods").ok()["items"])


def has_one(admin: Api, namespace: str) -> bool:
    """Tell whether there is one pod."""
    return pods(admin, namespace) == 1


def hard(admin: Api, namespace: str, key: str) -> int:
    """Return what the quota of a namespace says of one key, in units."""
    quota = admin.get(kinds.RESOURCE_QUOTA, names.QUOTA, namespace)
    return quantities.units(key, quota["spec"]["hard"][key])


def scale(admin: Api, namespace: str, name: str, replicas: int) -> None:
    """Change how many pods a Deployment has."""
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"
    body = {"spec": {"replicas": replicas}}
    admin.call("PATCH", path, body, content_type="application/merge-patch+json").ok()


@contextlib.contextmanager
def within(admin: Api, spaces: Iterable[str], **totals: int) -> Iterator[None]:
    """Look at every version of the quotas that there is meanwhile: the sums hold."""
    found = admin.call("GET", kinds.RESOURCE_QUOTA.path()).ok()
    held = {}
    every = [{"object": each} for each in found["items"]]
    yield
    every += admin.history(kinds.RESOURCE_QUOTA, found["metadata"]["resourceVersion"])
    for event in every:
        body = event["object"]
        if body["metadata"]["namespace"] not in spaces:
            continue
        parts = (body["spec"]["hard"], body["status"]["hard"], body["status"]["used"])
        held[body["metadata"]["namespace"]] = parts
        for key, total in totals.items():
            for number in range(len(parts)):
                counted = (each[number].get(key, 0) for each in held.values())
                assert sum(quantities.units(key, value) for value in counted) <= total, held


def test_a_deployment_that_is_refused_gets_the_room_that_others_leave(
    admin: Api, ready: Ready
) -> None:
    """E9: with fixed shares of one CPU each, seven of the ten pods would never be made."""
    spaces = [f"pooled-{each}" for each in "abcd"]
    quota = {"limits.cpu": 4, "limits.memory": "16Gi", "pods": 40}
    ready(tenant("pooled", namespaces=[{"name": each} for each in spaces], quota=quota))
    wait_for_account(admin, "pooled-a")
    with within(admin, spaces, **{"limits.cpu": 4000, "pods": 40}):
        deploy(admin, "pooled-a", deployment("web", 10, limits={**SMALL, "cpu": "300m"}))
        wait_for(lambda: pods(admin, "pooled-a") == 10, what="ten pods", seconds=WAIT_SECONDS)
        # What is idle there now goes elsewhere, and comes back.
        scale(admin, "pooled-a", "web", 1)
        wait_for_account(admin, "pooled-b")
        deploy(admin, "pooled-b", deployment("web", 9, limits={**SMALL, "cpu": "400m"}))
        wait_for(
            lambda: pods(admin, "pooled-b") == 9, what="nine pods elsewhere", seconds=WAIT_SECONDS
        )
    found = conditions(admin.get(kinds.SECURE_TENANT, "pooled"))
    assert found["Ready"]["status"] == found["QuotaEnforced"]["status"] == "True"


def test_a_member_who_asks_everywhere_at_once_gets_no_more_than_the_total(
    admin: Api, ready: Ready, sandbox: Instance
) -> None:
    """By pods made by hand in all namespaces at a time: nobody waits for a share."""
    spaces = [f"greedy-{each}" for each in "abc"]
    grant = {"name": "all", "role": "Admin", "subjects": [{"kind": "Group", "name": "greedy"}]}
    quota = {"limits.cpu": 3, "limits.memory": "6Gi", "pods": 60}
    ready(tenant("greedy", namespaces=[{"name": n} for n in spaces], quota=quota, access=[grant]))
    for each in spaces:
        wait_for_account(admin, each)
    login = kubeconfigs.for_user(sandbox, "grabber", ("greedy",))
    body = factory.pod(limits={**SMALL, "cpu": "250m"})

    def grab(worker: int) -> set[int]:
        api = Api(login)
        return {
            api.create_pod(
                spaces[(worker + turn) % len(spaces)],
                {**body, "metadata": {"name": f"grab-{worker}-{turn}"}},
            ).status
            for turn in range(12)
        }

    with within(admin, spaces, **{"limits.cpu": 3000, "pods": 60}):
        with ThreadPoolExecutor(6) as pool:
            answers = set().union(*pool.map(grab, range(6)))
        assert 201 in answers
        assert answers <= {201, 403, 409}
        assert 0 < sum(pods(admin, each) for each in spaces) <= 12


def test_twenty_namespaces_on_the_default_quota_each_run_a_pod(admin: Api, ready: Ready) -> None:
    """E9, T2: a pod that says nothing of its size runs in each."""
    spaces = [f"dozen-{number:02}" for number in range(20)]
    ready(tenant("dozen", namespaces=[{"name": each} for each in spaces]))
    for each in spaces:
        wait_for_account(admin, each)
        deploy(admin, each, deployment("web", 1))
    wait_for(
        lambda: all(pods(admin, each) == 1 for each in spaces),
        what="a pod in each namespace",
        seconds=WAIT_SECONDS,
    )


def test_one_device_goes_to_who_asks_for_it_and_comes_back(admin: Api, ready: Ready) -> None:
    """E9: one GPU over three namespaces belonged to the first by name for good."""
    spaces = [f"device-{each}" for each in "abc"]
    gpu = "requests.nvidia.com/gpu"
    ready(tenant("device", namespaces=[{"name": each} for each in spaces], quota={gpu: 1}))
    asked = {"requests": {"nvidia.com/gpu": 1}, "limits": {**SMALL, "nvidia.com/gpu": 1}}
    with within(admin, spaces, **{gpu: 1}):
        for namespace in ("device-c", "device-b"):
            wait_for_account(admin, namespace)
            deploy(admin, namespace, deployment("train", 1, **asked))
            wait_for(
                functools.partial(has_one, admin, namespace), what=namespace, seconds=WAIT_SECONDS
            )
            scale(admin, namespace, "train", 0)


def test_what_is_guaranteed_stays_free_and_a_max_is_kept(admin: Api, ready: Ready) -> None:
    """The one who is greedy gets what is not kept for others, and no more than its max."""
    spaces: list[dict[str, Any]] = [
        {"name": "sure-greedy", "quota": {"max": {"pods": 6}}},
        {"name": "sure-kept", "quota": {"guaranteed": {"pods": 5}}},
        {"name": "sure-other"},
    ]
    ready(tenant("sure", namespaces=spaces, quota={"pods": 10}))
    for each in ("sure-greedy", "sure-other"):
        wait_for_account(admin, each)
    with within(admin, [str(each["name"]) for each in spaces], pods=10):
        deploy(admin, "sure-other", deployment("web", 9, limits=SMALL))
        wait_for(
            lambda: pods(admin, "sure-other") == 5,
            what="all that is not kept",
            seconds=WAIT_SECONDS,
        )
        told = wait_for(
            lambda: _exhausted(admin, "sure"), what="the condition", seconds=WAIT_SECONDS
        )
        assert hard(admin, "sure-kept", "pods") == 5
        scale(admin, "sure-other", "web", 0)
        deploy(admin, "sure-greedy", deployment("web", 9, limits=SMALL))
        # Five are kept for another, so it does not even get its max.
        wait_for(lambda: pods(admin, "sure-greedy") == 5, what="what is left", seconds=WAIT_SECONDS)
    assert "sure-other (pods)" in told
    assert "pods: 10" in told
    policy = admin.get(kinds.TENANT_POLICY, names.POLICY_NAME, "sure-kept")["spec"]
    assert (policy["quotaMode"], policy["guaranteed"]) == ("Pool", {"pods": "5"})


def _exhausted(admin: Api, name: str) -> str:
    found = conditions(admin.get(kinds.SECURE_TENANT, name))["QuotaEnforced"]
    return str(found["message"]) if found["reason"] == "PoolExhausted" else ""


def test_a_claim_that_is_refused_gets_room_too(admin: Api, ready: Ready) -> None:
    """A StatefulSet says in an event that its volume claim was refused."""
    spaces = [f"disk-{each}" for each in "abcd"]
    quota = {"requests.storage": "8Gi"}
    allowed = {"storageClasses": ["fast"]}
    listed = [{"name": each} for each in spaces]
    ready(tenant("disk", namespaces=listed, quota=quota, workloads=allowed))
    wait_for_account(admin, "disk-d")
    body = deployment("db", 1, limits=SMALL)
    claim = {
        "metadata": {"name": "data"},
        "spec": {
            "storageClassName": "fast",
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "5Gi"}},
        },
    }
    body |= {"kind": "StatefulSet"}
    body["spec"] |= {"serviceName": "db", "volumeClaimTemplates": [claim]}
    admin.call("POST", "/apis/apps/v1/namespaces/disk-d/statefulsets", body).ok()
    path = "/api/v1/namespaces/disk-d/persistentvolumeclaims"
    wait_for(lambda: admin.call("GET", path).ok()["items"], what="the claim", seconds=WAIT_SECONDS)


def test_the_status_says_how_much_is_used(admin: Api, ready: Ready) -> None:
    """The resource of which the least is left is in kubectl get."""
    ready(tenant("spent", namespaces=[{"name": "spent-a"}], quota={"pods": 4}))
    wait_for_account(admin, "spent-a")
    for _ in range(3):
        admin.create_pod("spent-a", factory.pod(limits=SMALL)).ok()

    def told() -> Any:
        found = admin.get(kinds.SECURE_TENANT, "spent")["status"]["quota"]
        return found if found["summary"] == "pods 75%" else None

    found = wait_for(told, what="the use", seconds=60)
    rows = {each["resource"]: each for each in found["resources"]}
    assert rows["pods"] == {"resource": "pods", "total": "4", "used": "3", "free": "1"}


def test_the_status_can_say_that_nothing_is_used_any_more(admin: Api) -> None:
    """The last row of a list that was a map could not be taken out: every status was refused."""
    body = tenant("emptied", namespaces=[{"name": "emptied-a"}])
    admin.create(kinds.SECURE_TENANT, body).ok()
    row = {"resource": "pods", "total": "50", "used": "1", "free": "49"}
    for rows in ([row], []):
        part = {"summary": "under 5%", "resources": rows}
        document = {
            **{key: body[key] for key in ("apiVersion", "kind")},
            "metadata": {"name": "emptied"},
            "status": {"quota": part},
        }
        path = kinds.SECURE_TENANT.path("", "emptied", "status")
        answer = admin.call(
            "PATCH", path, document, content_type=APPLY, fieldManager="test", force="true"
        )
        assert answer.ok()["status"]["quota"] == part
