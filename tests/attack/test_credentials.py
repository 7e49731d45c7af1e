"""docs/credentials.md: what each credential may do if it is stolen, enumerated.

The page is the expectation: whatever one of them may do more, or less, is a difference here.
"""

from collections.abc import Iterator
from typing import Any

import pytest

import access_reviews
import chains
import denials_workloads
import factory
from access_reviews import Court, Identity, Question, Right, Target
from attack_harness import MIRRORS, Control, Policy, mutate, verdict
from chains import Step
from harness import MERGE, ROOT, Answer, Api, Operator, wait_for
from securetenant.api import kinds, names
from securetenant.api.kinds import Kind
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance
from stolen_operator import FENCE, LABELS, RBAC, STOLEN

PAGE = ROOT / "docs" / "credentials.md"
UPDATE = "make test ARGS='-k credentials --update-golden'"
HEADER = f"""# What a stolen credential may do

Written by `{UPDATE}` from the answers of a real
API server: every verb on every resource and subresource that it serves, by access review,
cluster-wide and in namespaces. A resource followed by a name is allowed only for that name. What
everybody may do stands once and is left out below. What admission refuses on top is shown where it
refuses something.
"""
CANARY = Policy("securetenant-canary")
CHAINS = "In two steps"
LEFT = Policy(FENCE.name, also=(*FENCE.also, "securetenant-parameters"))
"""What stands in the operator's way."""

pytestmark = pytest.mark.usefixtures("tenants")

_SYSTEM = names.OPERATOR_NAMESPACE
_ANY = (("north-1", "a tenant's namespace"), ("kube-system", "kube-system"))
_NORTH = (
    ("north-1", "its own namespace"),
    ("south-1", "another tenant's namespace"),
    ("kube-system", "kube-system"),
)
NOBODY = Identity(title="Anybody without a credential", user="system:anonymous", places=_ANY)
EVERYBODY = Identity(title="Anybody with a credential", user="somebody", places=_ANY)
OPERATOR = Identity.account(
    "The operator",
    _SYSTEM,
    "securetenant-operator",
    places=(*_ANY, (_SYSTEM, "its own namespace")),
)
CANARY_USER = Identity(title="The canary", user=names.CANARY_USER, places=_ANY)
OTHERS = (
    Identity.account("The verifier", _SYSTEM, "securetenant-verifier", places=_ANY),
    Identity.account("The node reader", _SYSTEM, "securetenant-node-reader", places=_ANY),
    Identity.account("A tenant's ServiceAccount", "north-1", "idle", places=_NORTH),
    Identity(title="A tenant's admin", user="north-admin", groups=("north-admins",), places=_NORTH),
    Identity(
        title="Break-glass",
        user="somebody",
        groups=("securetenant:break-glass",),
        places=_ANY,
    ),
)
WALLS: tuple[tuple[Kind, str, dict[str, Any]], ...] = (
    (kinds.TENANT_POLICY, names.POLICY_NAME, {}),
    (kinds.NETWORK_POLICY, names.DEFAULT_DENY, {"spec": {"podSelector": {}}}),
    (kinds.RESOURCE_QUOTA, names.QUOTA, {"spec": {}}),
    (kinds.LIMIT_RANGE, names.LIMITS, {"spec": {"limits": []}}),
    (
        kinds.ROLE_BINDING,
        names.role_binding("Admin"),
        {"roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "securetenant:viewer"}},
    ),
)
"""What the operator makes in a namespace, with the least that each kind needs."""
ELSEWHERE = ("bystander", "kube-system")


@pytest.fixture(scope="module")
def planted(admin: Api, bystander: None) -> Iterator[None]:
    """Objects of others, without any effect: in a tenant's namespace, and outside."""
    policy = admin.get(kinds.TENANT_POLICY, names.POLICY_NAME, "north-1")
    made = []
    for kind, _, body in WALLS:
        is_policy = kind is kinds.TENANT_POLICY
        for namespace in ELSEWHERE if is_policy else ("north-1", *ELSEWHERE):
            name = names.POLICY_NAME if is_policy else "plain"
            content = {"spec": policy["spec"]} if is_policy else body
            whole = {"apiVersion": kind.api_version, "kind": kind.name, **content}
            admin.create(kind, {**whole, "metadata": {"name": name}}, namespace).ok()
            made.append((kind, name, namespace))
    yield
    for kind, name, namespace in made:
        admin.delete(kind, name, namespace).ok()


def judged(answer: Answer, by: Policy) -> str:
    """Say how a dry-run ended: what exists already was let through to the store."""
    if answer.status < 300 or answer.status == 409:
        return "yes"
    if "this namespace may not be deleted" in answer.message:
        return "refused by Kubernetes"
    assert verdict(answer, by) == "Blocked"
    return "refused"


def attempt(api: Api, verb: str, kind: Kind, name: str, namespace: str, body: Any) -> Answer:
    """Try one write in dry-run."""
    match verb:
        case "create":
            whole = {"apiVersion": kind.api_version, "kind": kind.name, **body}
            whole = {**whole, "metadata": {"name": name, **body.get("metadata", {})}}
            return api.create(kind, whole, namespace, dryRun="All")
        case "patch":
            labels = {"metadata": {"labels": {"x": "y"}}}
            return api.patch(kind, name, labels, namespace, dryRun="All")
        case _:
            return api.call("DELETE", kind.path(namespace, name), dryRun="All")


def left_by_the_fence(as_operator: Api, admin: Api) -> str:
    """Try every write that RBAC allows the operator, at home and elsewhere."""
    policy = admin.get(kinds.TENANT_POLICY, names.POLICY_NAME, "north-1")
    lines = [
        "| What | | its own, at a tenant's | others', there | at no tenant's | kube-system |",
        "|---|---|---|---|---|---|",
    ]
    for kind, own, least in WALLS:
        content = {"spec": policy["spec"]} if kind is kinds.TENANT_POLICY else least
        body = {"metadata": {"labels": LABELS}, **content}
        for verb in ("create", "patch", "delete"):
            cells = []
            for name, namespace in (
                (own, "north-1"),
                ("plain", "north-1"),
                ("plain", "bystander"),
                ("plain", "kube-system"),
            ):
                if kind is kinds.TENANT_POLICY:
                    if (name, namespace) == ("plain", "north-1"):
                        cells.append("there are none")
                        continue
                    name = names.POLICY_NAME  # noqa: PLW2901 - its only name.
                elif verb == "create" and name == "plain":
                    name = "another"  # noqa: PLW2901 - one that is not there yet.
                cells.append(judged(attempt(as_operator, verb, kind, name, namespace, body), LEFT))
            lines.append(f"| `{kind.plural}` | {verb} | {' | '.join(cells)} |")
    marked = {
        "metadata": {
            "labels": {
                names.TENANT_LABEL: "north",
                "pod-security.kubernetes.io/enforce": "restricted",
            }
        }
    }
    places: dict[str, Any] = {name: {} for name in ("north-1", "bystander", "kube-system")}
    new: dict[str, Any] = {"north-9": marked, "nobodys": {}, "kube-north": marked}
    for verb, tried in (("create", new), ("patch", places), ("delete", places)):
        first, *rest = (
            judged(attempt(as_operator, verb, kinds.NAMESPACE, name, "", body), FENCE)
            for name, body in tried.items()
        )
        lines.append(f"| `namespaces` | {verb} | {first} | | {' | '.join(rest)} |")
    return "\n".join(lines) + "\n"


def tried_as_the_operator() -> str:
    """List what test_fence.py tries: RBAC allows it, the fence refuses it."""
    lines = ["| Tried | Request |", "|---|---|"]
    lines += [f"| {title} | `{method} {path}` |" for title, method, path, *_ in STOLEN]
    return "\n".join(lines) + "\n"


def left_by_the_canary_policy(canary: Api) -> str:
    """Try what RBAC allows the canary, in dry-run and for good, with what the tenant may have."""
    image = denials_workloads.IMAGE
    pod = mutate(factory.pod(), "spec.containers.0.image", image)
    ports = {"selector": {"app": "x"}, "ports": [{"port": 80}]}
    service = {"metadata": {"name": "x"}, "spec": ports}
    claim = {
        "metadata": {"name": "x"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": "fast",
        },
    }
    policy = {"metadata": {"name": "x"}, "spec": {"podSelector": {}}}
    rule = {"host": "www.strict.example"}
    ingress = {"metadata": {"name": "x"}, "spec": {"ingressClassName": "nginx", "rules": [rule]}}
    account = {"kind": "ServiceAccount", "name": "default", "namespace": "strict-1"}
    inside = "namespaces/strict-1"
    lines = ["| Create | in dry-run | for good |", "|---|---|---|"]
    for path, body in (
        (f"/api/v1/{inside}/persistentvolumeclaims", claim),
        (f"/api/v1/{inside}/pods", pod),
        (f"/api/v1/{inside}/services", service),
        (f"/apis/networking.k8s.io/v1/{inside}/ingresses", ingress),
        (f"/apis/networking.k8s.io/v1/{inside}/networkpolicies", policy),
        (
            f"/apis/{RBAC}/v1/{inside}/rolebindings",
            factory.binding(account, role="securetenant:viewer"),
        ),
    ):
        cells = []
        for params in ({"dryRun": "All"}, {}):
            answer = canary.call("POST", path, body, **params)
            # RBAC lets it bind no role that it does not hold: the attempt is what it is for.
            by_rbac = verdict(answer, Control.ESCALATION) == "Blocked"
            cells.append("refused by RBAC" if by_rbac else judged(answer, CANARY))
        lines.append(f"| `{path.rpartition('/')[2]}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def placed(admin: Api, tenants: None) -> Iterator[dict[str, str]]:
    """Two pods of a tenant on two nodes, one of which mounts a Secret and a ConfigMap."""
    inside = "/api/v1/namespaces/north-1"
    for name in ("mounted", "unmounted"):
        for plural in ("secrets", "configmaps"):
            admin.call("POST", f"{inside}/{plural}", {"metadata": {"name": name}}).ok()
    apart = {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {
                    "topologyKey": "kubernetes.io/hostname",
                    "labelSelector": {"matchLabels": {"app": "apart"}},
                }
            ]
        }
    }
    volumes = [
        {"name": "s", "secret": {"secretName": "mounted"}},
        {"name": "c", "configMap": {"name": "mounted"}},
    ]
    where = {}
    for name in ("here", "there"):
        spec = {**factory.pod()["spec"], "affinity": apart}
        spec |= {"volumes": volumes} if name == "here" else {"serviceAccountName": "idle"}
        if name == "there":
            admin.call("POST", f"{inside}/serviceaccounts", {"metadata": {"name": "idle"}}).ok()
        body = {"metadata": {"name": name, "labels": {"app": "apart"}}, "spec": spec}
        admin.create_pod("north-1", body).ok()
    for name in ("here", "there"):
        path = f"{inside}/pods/{name}"
        where[name] = wait_for(
            lambda path=path: admin.call("GET", path).ok()["spec"].get("nodeName"),  # type: ignore[misc]
            what=f"{path} to be scheduled",
            seconds=30,
        )
    yield where
    for name in ("here", "there"):
        admin.call("DELETE", f"{inside}/pods/{name}").ok()


def _graph(placed: dict[str, str]) -> list[tuple[str, Question]]:
    """Return what the Node authorizer decides by who runs where, without the verb."""

    def ask(what: str, place: str, name: str = "", selector: str = "", group: str = "") -> Question:
        resource, _, subresource = what.partition("/")
        target = Target(group, resource, subresource, bool(place), name)
        return Question("", target, place, selector)

    here, there = placed["here"], placed["there"]
    lease = "coordination.k8s.io"
    return [
        ("its own Node", ask("nodes", "", here)),
        ("another Node", ask("nodes", "", there)),
        ("every Node", ask("nodes", "")),
        ("its own Lease", ask("leases", "kube-node-lease", here, group=lease)),
        ("another node's Lease", ask("leases", "kube-node-lease", there, group=lease)),
        ("the pods that run on it", ask("pods", "", selector=f"spec.nodeName={here}")),
        ("the pods of another node", ask("pods", "", selector=f"spec.nodeName={there}")),
        ("every pod", ask("pods", "")),
        ("a Secret that a pod on it mounts", ask("secrets", "north-1", "mounted")),
        ("another Secret next to it", ask("secrets", "north-1", "unmounted")),
        ("every Secret of that namespace", ask("secrets", "north-1")),
        ("a ConfigMap that a pod on it mounts", ask("configmaps", "north-1", "mounted")),
        ("another ConfigMap next to it", ask("configmaps", "north-1", "unmounted")),
        (
            "a token for the ServiceAccount of a pod on it",
            ask("serviceaccounts/token", "north-1", "default"),
        ),
        (
            "a token for a ServiceAccount of a pod elsewhere",
            ask("serviceaccounts/token", "north-1", "idle"),
        ),
    ]


def by_the_graph(court: Court, who: Identity, placed: dict[str, str]) -> str:
    """Ask what depends on which pods run on the node."""
    asked = _graph(placed)
    mounted = next(each for title, each in asked if title.startswith("a Secret"))
    wait_for(
        lambda: court.allowed(who, [mounted._replace(verb="get")]),
        what="the Node authorizer to know the pod",
    )
    lines = ["| What | May |", "|---|---|"]
    for title, each in asked:
        allowed = court.allowed(who, [each._replace(verb=verb) for verb in access_reviews.VERBS])
        lines.append(f"| {title} | {', '.join(one.verb for one in allowed) or 'nothing'} |")
    return "\n".join(lines) + "\n"


def refused_to_a_node(node: Api, placed: dict[str, str]) -> str:
    """Try what the authorizer lets a node write, on what is not the node's."""
    here, there = placed["here"], placed["there"]
    label = {"metadata": {"labels": {"node-restriction.kubernetes.io/pool": "x"}}}
    lines = ["| Tried | Refused by |", "|---|---|"]
    for title, method, path, body, by in (
        ("label itself for another pool", "PATCH", f"/api/v1/nodes/{here}", label, Control.NODE),
        (
            "change another Node",
            "PATCH",
            f"/api/v1/nodes/{there}",
            {"metadata": {"labels": {"a": "b"}}},
            Control.NODE,
        ),
        (
            "change another Node's status",
            "PATCH",
            f"/api/v1/nodes/{there}/status",
            {"status": {"phase": "Running"}},
            Control.NODE,
        ),
        (
            "put a taint on itself",
            "PATCH",
            f"/api/v1/nodes/{here}",
            {"spec": {"taints": [{"key": "x", "effect": "NoSchedule"}]}},
            Control.NODE,
        ),
        (
            "delete a pod of another node",
            "DELETE",
            "/api/v1/namespaces/north-1/pods/there",
            None,
            Control.NODE,
        ),
        (
            "relabel a pod on it by its status",
            "PATCH",
            "/api/v1/namespaces/north-1/pods/here/status",
            {"metadata": {"labels": {"k8s-app": "kube-dns"}}},
            Control.NODE,
        ),
        (
            "create a pod that is no mirror",
            "POST",
            "/api/v1/namespaces/kube-system/pods",
            {**factory.pod(), "metadata": {"name": "x"}},
            Control.NODE,
        ),
        (
            "mirror a static pod in a tenant's namespace",
            "POST",
            "/api/v1/namespaces/north-1/pods",
            factory.mirror(
                node=here, uid=node.call("GET", f"/api/v1/nodes/{here}").ok()["metadata"]["uid"]
            ),
            MIRRORS,
        ),
    ):
        type = MERGE if method == "PATCH" else "application/json"
        answer = node.call(method, path, body, content_type=type, dryRun="All")
        assert verdict(answer, by) == "Blocked", title
        said = f"policy `{by.name}`" if isinstance(by, Policy) else "NodeRestriction"
        lines.append(f"| {title} | {said} |")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def chained(
    as_operator: Api, canary: Api, north: Api, admin: Api, sandbox: Instance, bystander: None
) -> Iterator[dict[str, list[Step]]]:
    """What each credential can bind in a tenant's namespace."""
    accounts = "/api/v1/namespaces/north-1/serviceaccounts"
    admin.call("POST", accounts, {"metadata": {"name": "bound"}}).ok()
    own = {"kind": "ServiceAccount", "name": "bound", "namespace": "north-1"}
    binding = factory.binding(own, role="securetenant:admin")
    binding["metadata"]["name"] = "bound"
    north.create(kinds.ROLE_BINDING, binding, "north-1").ok()
    bound = Api(kubeconfigs.for_service_account(sandbox, "north-1", "bound"))
    reader = Api(kubeconfigs.for_service_account(sandbox, _SYSTEM, names.NODE_READER))
    wait_for(
        lambda: bound.list(kinds.ROLE_BINDING, "north-1"), what="the ServiceAccount to be bound"
    )
    yield {
        "The operator": list(chains.admitted(chains.dry_run(as_operator))),
        "The verifier, as the canary, for good": list(chains.admitted(chains.for_good(canary))),
        "The node reader": list(chains.admitted(chains.dry_run(reader))),
        "A tenant's ServiceAccount that is bound as Admin": list(
            chains.admitted(chains.dry_run(bound))
        ),
    }
    admin.delete(kinds.ROLE_BINDING, "bound", "north-1").ok()
    admin.call("DELETE", f"{accounts}/bound").ok()


def test_no_credential_gives_anything_to_another(chained: dict[str, list[Step]]) -> None:
    """S2: the operator bound its own ServiceAccount, and read every Secret with it."""
    others = set(map(chains.told, chains.CREDENTIALS))
    canarys = Step(names.CANARY_ROLE, f"User {names.CANARY_USER}", names.CANARY)
    for title, steps in chained.items():
        given = {each for each in steps if each.subject in others}
        assert given == ({canarys} if title == "The operator" else set()), title


@pytest.fixture(scope="module")
def document(
    admin: Api,
    as_operator: Api,
    canary: Api,
    sandbox: Instance,
    placed: dict[str, str],
    planted: None,
    strict: Api,
    chained: dict[str, list[Step]],
) -> dict[str, str]:
    """The page, section by section."""
    court = Court(sandbox)
    every = access_reviews.questions(admin)
    paths = access_reviews.paths(admin)

    def beyond(who: Identity, known: frozenset[Right]) -> frozenset[Right]:
        return access_reviews.rights(court, who, every, known)

    nobody, anybody = (beyond(who, frozenset()) for who in (NOBODY, EVERYBODY))
    user = f"system:node:{placed['here']}"
    node = Identity(title="A node", user=user, groups=("system:nodes",), places=_ANY)
    node_api = Api(kubeconfigs.for_user(sandbox, user, ("system:nodes",)))
    tables = {
        NOBODY.title: access_reviews.table(nobody) + _paths(court, NOBODY, paths),
        EVERYBODY.title: access_reviews.table(anybody) + _paths(court, EVERYBODY, paths),
        OPERATOR.title: access_reviews.table(beyond(OPERATOR, anybody))
        + "\nOf the writes, the policies `securetenant-operator-fence*` leave these:\n\n"
        + left_by_the_fence(as_operator, admin)
        + "\nAnd each of these is refused, though RBAC allows it:\n\n"
        + tried_as_the_operator(),
        **{who.title: access_reviews.table(beyond(who, anybody)) for who in OTHERS},
        CANARY_USER.title: access_reviews.table(beyond(CANARY_USER, anybody))
        + "\nOf that, the policy `securetenant-canary` leaves:\n\n"
        + left_by_the_canary_policy(canary),
        CHAINS: chains.table(chained),
        node.title: access_reviews.table(beyond(node, anybody))
        + "\nWhat depends on the pods that run there:\n\n"
        + by_the_graph(court, node, placed)
        + "\nAdmission refuses on top:\n\n"
        + refused_to_a_node(node_api, placed),
    }
    return {title: f"## {title}\n\n{ABOUT[title]}\n\n{text}" for title, text in tables.items()}


def _paths(court: Court, who: Identity, paths: list[tuple[str, str]]) -> str:
    found = court.allowed_paths(who, paths)
    return f"\nPaths that are no resources: {', '.join(f'`{each}`' for each in found)}.\n"


ABOUT = {
    NOBODY.title: "Anyone who reaches the API server.",
    EVERYBODY.title: "Discovery, and questions about oneself.",
    OPERATOR.title: (
        "ServiceAccount `securetenant-operator`. No Secret, no policy, of pods, Services,"
        " claims, DaemonSets, and routes of Gateway API where they are served, lists, of nodes its"
        " own marks; `bind` only for its own roles, tokens only of the node reader. Within these"
        " bounds a stolen token opens and deletes tenants, see the"
        " [threat model](threat-model.md). Where ClusterNetworkPolicies are served, which is"
        " not the case here, it may create, delete, get, list, patch and watch them; the fence"
        " leaves its own, whose rules only deny. The same of ClusterReports, of which it leaves"
        " those about tenants. Of FlowSchemas the fence leaves its own too, about"
        " tenants' ServiceAccounts and people within the bounds."
    ),
    "The verifier": "ServiceAccount `securetenant-verifier`: it may speak as one user, and ask.",
    "The node reader": (
        "ServiceAccount `securetenant-node-reader`: it shows its token to kubelets, and a hostile"
        " one may replay it."
    ),
    "A tenant's ServiceAccount": "Any pod that mounts a token; no binding was made for it.",
    "A tenant's admin": (
        "A member of a group with the role `Admin` in `spec.access`. What this person gave to"
        " ServiceAccounts, pods that run as one, and tokens that were read there outlive the grant:"
        " [when somebody leaves](controls/access.md#when-somebody-leaves)."
    ),
    "Break-glass": (
        "Anyone who may impersonate the group `securetenant:break-glass`: what it holds by itself."
    ),
    CANARY_USER.title: (
        "User `securetenant:canary`, which the verifier may impersonate. It tries attacks in"
        " dry-run."
    ),
    CHAINS: (
        "Make a binding, then use it: for the operator, the verifier, the node reader and a"
        " ServiceAccount of a tenant."
    ),
    "A node": (
        "The certificate of a kubelet (`system:node:…`). The Node authorizer answers by which pods"
        " run there, so the first table is what needs no name."
    ),
}


def test_what_no_listed_rule_is_about_is_not_allowed(
    admin: Api, sandbox: Instance, operator: Operator
) -> None:
    """So the page may leave it unasked; here all of it is asked, for the one that may most."""
    court = Court(sandbox)
    every = access_reviews.questions(admin)
    asked = {Question(*each) for each in court.worth_asking(OPERATOR, "default", every)}
    assert 0 < len(asked) < len(every) / 4
    assert {*court.allowed(OPERATOR, [Question(*each) for each in every])} <= asked


@pytest.mark.parametrize("title", ABOUT)
def test_a_stolen_credential_may_do_exactly_what_the_page_says(
    title: str, document: dict[str, str], request: pytest.FixtureRequest
) -> None:
    if request.config.getoption("--update-golden"):
        PAGE.write_text("\n".join((HEADER, *(document[each] for each in ABOUT))), encoding="utf-8")
    assert document[title] in PAGE.read_text(encoding="utf-8")


def test_the_page_has_no_other_section() -> None:
    found = [
        line.removeprefix("## ")
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("## ")
    ]
    assert found == list(ABOUT)
