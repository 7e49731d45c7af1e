"""Ordinary applications, not written for restricted Pod Security, run as docs/applications.md says.

In a namespace with restricted Pod Security alone none of their pods is made: the difference.
"""

import datetime
import functools
import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import documents
import factory
from attack_harness import may
from conftest import control_plane, operating, settled
from harness import (
    JSON_PATCH,
    MERGE,
    ROOT,
    Answer,
    Api,
    Operator,
    kubectl,
    wait_for,
    wait_for_account,
)
from ordinary import APPLICATIONS, FOLDER, Application, Outcome, Refusal, collection, pod_of, table
from securetenant.api import kinds, names
from securetenant.api.tenantpolicy import PolicySpec
from securetenant.checks import standing
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

PAGE = ROOT / "docs" / "applications.md"
BEGIN = "<!-- applications: written by `make test ARGS='-k applications --update-golden'` -->\n"
END = "<!-- end of applications -->\n"
CLASS = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "fast"},
    "provisioner": "example.com/none",
    "volumeBindingMode": "Immediate",
}
VOLUMES = 10
"""As many as all claims of the applications, and those of the database made by hand."""
RIGHTS = {
    "": "events",
    "cert-manager.io": "certificates",
    "gateway.networking.k8s.io": "httproutes",
}
"""What the add-ons give."""
ADDONS = ("cert-manager", "events", "gateway-api")
GPU = {"capacity": {"nvidia.com/gpu": "1"}, "allocatable": {"nvidia.com/gpu": "1"}}
CERTIFICATES = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "certificates.cert-manager.io"},
    "spec": {
        "group": "cert-manager.io",
        "scope": "Namespaced",
        "names": {"kind": "Certificate", "plural": "certificates", "singular": "certificate"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                    }
                },
            }
        ],
    },
}
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
ORDINARY = ("web", "database", "jobs", "agent")
"""Those that are also tried without SecureTenant."""
GIVEN = "app-everything"
EVERYWHERE: dict[str, Any] = {
    "name": "everywhere",
    "ports": [{"port": 1, "endPort": 65535}],
    "reason": "The widest that a spec can say",
}
EVERYTHING: dict[str, Any] = {
    "podSecurity": {"level": "baseline", "exceptionReason": "The widest that a spec can say"},
    "network": {
        "ingress": [{**EVERYWHERE, "from": [{"cidr": "0.0.0.0/0"}]}],
        "egress": [{**EVERYWHERE, "name": "out", "to": [{"cidr": "0.0.0.0/0"}]}],
    },
    "workloads": {
        "annotations": ["example.com/*"],
        "imagePullPolicy": "Any",
        "rootFilesystem": "Any",
        "serviceAccountTokens": {"automount": "Allow", "audiences": ["istio-ca"]},
        "serviceTypes": ["ClusterIP", "LoadBalancer", "NodePort"],
    },
}
"""The widest that a spec can say, of what these applications ask for."""
FAILED = 300
FIRST = ("Role", "ServiceAccount")
"""What others name, so that a dry run of those finds it."""


@pytest.fixture(scope="module")
def storage(admin: Api) -> Iterator[None]:
    """Make a class of storage, and volumes for all claims: nobody provisions in a sandbox."""
    admin.call("POST", "/apis/storage.k8s.io/v1/storageclasses", CLASS).ok()
    for index in range(VOLUMES):
        volume = {
            "metadata": {"name": f"disk-{index}"},
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "fast",
                "hostPath": {"path": f"/disk-{index}"},
            },
        }
        admin.call("POST", "/api/v1/persistentvolumes", volume).ok()
    yield
    # Left there, they would be bound to other tests' claims, which may not change then.
    for index in range(VOLUMES):
        admin.call("DELETE", f"/api/v1/persistentvolumes/disk-{index}").ok()


@pytest.fixture(scope="module")
def device(admin: Api) -> Iterator[None]:
    """Give a node a GPU, for as long as these tests run."""
    path = "/api/v1/nodes/node-0/status"
    admin.call("PATCH", path, {"status": GPU}, content_type=MERGE).ok()
    yield
    gone = {key: dict.fromkeys(devices) for key, devices in GPU.items()}
    admin.call("PATCH", path, {"status": gone}, content_type=MERGE).ok()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Instance]:
    """A control plane of its own: quotas are not counted for half a minute after a kind came."""
    with control_plane(f"test-{os.getpid()}-apps", nodes=3) as instance:
        yield instance


@pytest.fixture(scope="module")
def admin(sandbox: Instance) -> Api:
    """Its administrator."""
    return Api(sandbox.admin_kubeconfig)


@pytest.fixture(scope="module")
def operator(sandbox: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """Its operator."""
    with operating(sandbox, tmp_path_factory.mktemp("operator") / "log") as process:
        yield process


@pytest.fixture(scope="module")
def definitions(admin: Api) -> None:
    """Install the kinds of Gateway API, and one of cert-manager."""
    text = (ROOT / "tests/gateway_api.yaml").read_text(encoding="utf-8")
    bodies = [*documents.read(text), CERTIFICATES]
    for body in bodies:
        admin.call("POST", DEFINITIONS, body).ok()


@pytest.fixture(scope="module")
def login(sandbox: Instance) -> Path:
    """The kubeconfig of the admin of every tenant of this file."""
    return kubeconfigs.for_user(sandbox, "app-admin", ("app-admins",))


@pytest.fixture(scope="module")
def tenants(admin: Api, operator: Operator) -> None:
    """A tenant for each application, which asks for nothing but a namespace and an admin.

    And one that is given everything.
    """
    subjects = [{"kind": "Group", "name": "app-admins"}]
    access = [{"name": "admins", "role": "Admin", "subjects": subjects}]
    for app in APPLICATIONS:
        spaces = [{"name": app.namespace}]
        body = factory.tenant(app.namespace, namespaces=spaces, access=access)
        admin.create(kinds.SECURE_TENANT, body).ok()
    body = factory.tenant(GIVEN, namespaces=[{"name": GIVEN}], access=access, **EVERYTHING)
    admin.create(kinds.SECURE_TENANT, body).ok()
    for name in (*(app.namespace for app in APPLICATIONS), GIVEN):
        settled(admin, name, seconds=20)
        wait_for_account(admin, name)


Outcomes = Callable[[Application], Outcome]


@pytest.fixture(scope="module")
def outcomes(
    tenants: None,
    storage: None,
    device: None,
    definitions: None,
    login: Path,
    admin: Api,
    sandbox: Instance,
) -> Iterator[Outcomes]:
    """What became of each application. They are tried side by side: most of it is waiting."""
    trials = {app: Trial(app, Api(sandbox.admin_kubeconfig), Api(login)) for app in APPLICATIONS}
    for app, trial in trials.items():
        if app.addons:
            trial.observe()
    for each in ADDONS:
        kubectl(sandbox, "apply", "-k", f"manifests/roles/addons/{each}")
    wait_for(lambda: all(_may(admin, *each) for each in RIGHTS.items()), what="the rights")
    with ThreadPoolExecutor(max_workers=6) as pool:
        found: dict[str, Future[Outcome]] = {
            app.file: pool.submit(trial.run) for app, trial in trials.items()
        }
        yield lambda app: found[app.file].result()
    for each in ADDONS:
        kubectl(sandbox, "delete", "-k", f"manifests/roles/addons/{each}")
    # Another file claims that members have no such rights.
    wait_for(lambda: not any(_may(admin, *each) for each in RIGHTS.items()), what="them to go")


def _may(admin: Api, group: str, resource: str) -> bool:
    return may(
        admin,
        user="app-admin",
        groups=("app-admins",),
        verb="create",
        resource=f"{group}:{resource}",
        namespace=APPLICATIONS[0].namespace,
    )


def _one_line(answer: Answer) -> str:
    return " ".join(answer.message.split())


class Trial:
    """One application in its tenant: what is refused, step by step, until it runs."""

    def __init__(self, app: Application, admin: Api, member: Api, namespace: str = "") -> None:
        self._app = app
        self._namespace = namespace or app.namespace
        self._admin = admin
        self._member = member
        self._seen: list[tuple[Refusal, ...]] = []
        self._objects = app.objects()

    def observe(self) -> None:
        """Keep what is refused now: something is, and something else than before."""
        before = self._seen[-1] if self._seen else ()
        what = f"{self._app.file}: something to be refused, and no more {before}"

        def probe() -> tuple[Refusal, ...]:
            now = tuple(self._refusals())
            return () if now == before else now

        self._seen.append(wait_for(probe, what=what))

    def refused(self) -> set[str]:
        """Return what is refused now, by kind and name."""
        return {each.what for each in self._refusals()}

    def run(self) -> Outcome:
        """Take each step, and run the application."""
        app = self._app
        count = len(self._objects) + len([each for each in self._objects if pod_of(each)])
        if app.change:
            self.observe()
            self._objects = app.changed()
        if app.runs:
            for spec in app.fields:
                self.observe()
                self._admin.patch(kinds.SECURE_TENANT, app.namespace, {"spec": spec}).ok()
                settled(self._admin, app.namespace)
            wait_for(lambda: not [*self._refusals()], what=f"nothing of {app.file} to be refused")
            for body in self._objects:
                self._send(body).ok()
            wait_for(self._is_running, what=f"the pods of {app.file}", seconds=30)
        return Outcome(count, tuple(self._seen))

    def _refusals(self) -> Iterator[Refusal]:
        """Try every object and every pod; nothing of it stays."""
        made = []
        try:
            for body in self._objects:
                what = f"{body['kind']} {body['metadata']['name']}"
                stays = body["kind"] in FIRST
                answer = self._send(body, **({} if stays else {"dryRun": "All"}))
                if answer.status >= FAILED:
                    yield Refusal(what, _one_line(answer))
                elif stays:
                    made.append(f"{collection(body, self._namespace)}/{body['metadata']['name']}")
                if pod := pod_of(body):
                    yield from self._of_pod(pod, what, answer)
        finally:
            for path in made:
                self._member.call("DELETE", path).ok()

    def _of_pod(self, pod: Any, what: str, workload: Answer) -> Iterator[Refusal]:
        answer = self._send(pod, dryRun="All")
        if answer.status >= FAILED:
            yield Refusal(f"Pod of {what}", _one_line(answer))
        elif lacks := self._app.lacks(answer.body):
            warned = workload.warnings.partition("securetenant: ")[1:]
            said = "".join(warned).partition('"')[0]
            yield Refusal(f"Pod of {what}", f"{lacks}. It is warned: `{said}`" if said else lacks)

    def _send(self, body: Any, **params: str) -> Answer:
        """Create an object as Helm does, again where the API server only asks for patience.

        It knows a new Role a moment later, and writes what a quota counts one at a time.
        """
        path = collection(body, self._namespace)

        def probe() -> list[Answer]:
            answer = self._member.call("POST", path, body, **params)
            waits = answer.status >= FAILED and (
                answer.body["reason"] == "Conflict"
                or (answer.body["reason"] == "NotFound" and self._has_role(body))
            )
            return [] if waits else [answer]

        (answer,) = wait_for(probe, what=f"an answer about {body['kind']}")
        return answer

    def _has_role(self, binding: Any) -> bool:
        """Tell whether it is a RoleBinding of a Role that is there."""
        if binding["kind"] != "RoleBinding":
            return False
        path = collection({**binding, "kind": "Role"}, self._namespace)
        return self._member.call("GET", f"{path}/{binding['roleRef']['name']}").status == 200

    def _is_running(self) -> bool:
        return running(self._admin, self._namespace).total() >= self._app.pods


def running(admin: Api, namespace: str) -> Counter[str]:
    """Return how many pods of each application run, or have run to their end."""
    pods = admin.call("GET", f"/api/v1/namespaces/{namespace}/pods").ok()["items"]
    return Counter(
        each["metadata"].get("labels", {}).get("app", "")
        for each in pods
        if each["status"].get("phase") in ("Running", "Succeeded")
    )


@pytest.mark.parametrize("app", APPLICATIONS, ids=[each.file for each in APPLICATIONS])
def test_an_ordinary_application_runs_after_what_the_page_names_and_not_before(
    app: Application, outcomes: Outcomes
) -> None:
    """Created by the tenant's admin; the controllers make the pods, the scheduler places them."""
    steps = len(app.fields) + bool(app.change) + bool(app.addons)
    assert len(outcomes(app).refusals) == steps


@pytest.mark.parametrize("app", [each for each in APPLICATIONS if each.change], ids=str)
def test_what_must_change_is_refused_whatever_the_tenant_is_given(
    app: Application, outcomes: Outcomes, admin: Api, login: Path
) -> None:
    at_first = {each.what for each in outcomes(app).refusals[0]}
    assert Trial(app, admin, Api(login), GIVEN).refused() == at_first


def is_served(admin: Api, path: str) -> bool:
    return admin.call("GET", path).status == 200


@pytest.mark.parametrize("app", [each for each in APPLICATIONS if each.runs], ids=str)
def test_nothing_of_a_running_application_would_be_refused_today(
    app: Application, outcomes: Outcomes, admin: Api
) -> None:
    """Whatever the cluster wrote into it since; what is there already is judged by this."""
    outcomes(app)
    policy = admin.get(kinds.TENANT_POLICY, names.POLICY_NAME, app.namespace)
    spec = PolicySpec.model_validate(policy["spec"])
    rules = standing.today(app.namespace, spec, datetime.datetime.now(datetime.UTC))
    seen = 0
    for kind in standing.KINDS:
        if kind == kinds.TLS_ROUTE:
            continue  # Its CRD is not among those of this file.
        path = kind.path(app.namespace)
        # The storage of a kind whose CRD is new answers 429 for a moment.
        wait_for(functools.partial(is_served, admin, path), what=path)
        for body in admin.call("GET", path).ok()["items"]:
            labels = body["metadata"].get("labels") or {}
            if labels.get(names.MANAGED_BY_LABEL) != names.MANAGED_BY:
                seen += 1
                assert standing.judge(kind, body, rules) == ()
    assert seen


def test_an_account_from_before_keeps_what_was_set_for_it(
    outcomes: Outcomes, admin: Api, login: Path
) -> None:
    """Where tokens mount themselves again, its pods have one when the field is removed."""
    (app,) = (each for each in APPLICATIONS if each.file == "writable")
    outcomes(app)
    member = Api(login)
    accounts = f"/api/v1/namespaces/{app.namespace}/serviceaccounts"
    field = "automountServiceAccountToken"
    made = member.call("POST", accounts, {"metadata": {"name": "before"}}).ok()
    assert made[field] is False
    spec = {"workloads": {"serviceAccountTokens": {"automount": "Allow"}}}
    admin.patch(kinds.SECURE_TENANT, app.namespace, {"spec": spec}).ok()

    def is_left_alone() -> bool:
        body = {"metadata": {"name": "after"}}
        return field not in member.call("POST", accounts, body, dryRun="All").ok()

    wait_for(is_left_alone, what="new ServiceAccounts to be left alone")
    assert member.call("GET", f"{accounts}/before").ok()[field] is False
    removal = [{"op": "remove", "path": f"/{field}"}]
    path = f"{accounts}/before"
    answer = member.call("PATCH", path, removal, content_type=JSON_PATCH)
    assert field not in answer.ok()


def test_the_page_shows_each_application_with_what_was_refused(
    outcomes: Outcomes, request: pytest.FixtureRequest
) -> None:
    shown = table([(app, outcomes(app)) for app in APPLICATIONS])
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    if request.config.getoption("--update-golden"):
        PAGE.write_text(f"{before}{BEGIN}{shown}{END}{after}", encoding="utf-8")
    assert f"{BEGIN}{shown}{END}" in PAGE.read_text(encoding="utf-8")


def test_by_hand_with_pod_security_alone_none_of_their_pods_is_made(
    admin: Api, sandbox: Instance, storage: None
) -> None:
    labels = {
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/enforce-version": "v1.37",
    }
    body = {"metadata": {"name": "by-hand", "labels": labels}}
    admin.create(kinds.NAMESPACE, body).ok()
    for name in ORDINARY:
        kubectl(sandbox, "apply", "-n", "by-hand", "-f", str(FOLDER / f"{name}.yaml"))

    def refused() -> set[str]:
        path = "/api/v1/namespaces/by-hand/events"
        events = admin.call("GET", path, fieldSelector="reason=FailedCreate").ok()["items"]
        return {
            owner
            for each in events
            for owner in ("web", "database", "migrate", "agent")
            if each["involvedObject"]["name"].startswith(owner)
            and "violates PodSecurity" in each["message"]
        }

    wait_for(
        lambda: refused() == {"web", "database", "migrate", "agent"},
        what="every controller to be refused",
        seconds=60,
    )
    assert running(admin, "by-hand") == Counter()
    admin.delete(kinds.NAMESPACE, "by-hand").ok()


def test_a_night_job_runs_too(outcomes: Outcomes, admin: Api, login: Path) -> None:
    """A CronJob makes its Job on the minute; here the Job is made from it by hand."""
    (app,) = (each for each in APPLICATIONS if each.file == "jobs")
    outcomes(app)
    (template,) = (each for each in app.objects() if each["kind"] == "CronJob")
    job: dict[str, Any] = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "tonight"},
        "spec": template["spec"]["jobTemplate"]["spec"],
    }
    Api(login).call("POST", collection(job, app.namespace), job).ok()
    wait_for(
        lambda: running(admin, app.namespace)["nightly"] >= 1, what="the Job's pod", seconds=60
    )
