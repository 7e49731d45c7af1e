"""``securetenant demo``: one tenant in seconds, on a real API server; the rest on request."""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

import securetenant
from securetenant.api import names
from securetenant.sandbox import control, instances, kubeconfigs
from securetenant.sandbox.errors import SandboxError
from securetenant.sandbox.instances import Options

_NAME = "demo"
_ROOT = Path(securetenant.__file__).parents[2]
_ACCOUNT = ("securetenant-system", "securetenant-operator")
_REPAIR_SECONDS = 60.0
_PROOF_SECONDS = 300.0
_PAUSE_SECONDS = 0.1
_WALL = "securetenant-default-deny"
_WALLS = "tenantpolicies,networkpolicies,resourcequotas,limitranges"
_TOLD = (
    'get securetenant beta -o jsonpath={.status.conditions[?(@.type=="NetworkIsolated")].message}'
)
_PROOF = _TOLD.replace("beta", "acme").replace("NetworkIsolated", "IsolationVerified")
_PROVED = (
    "get securetenants -o"
    ' jsonpath={.items[*].status.conditions[?(@.type=="IsolationVerified")].status}'
)
_NODES = _TOLD.replace("NetworkIsolated", "NodesDedicated")
_ACCESS_SECONDS = 5
_TAINTS = "get node node-1 -o jsonpath={.spec.taints}"
_TENANCY = "node-restriction.kubernetes.io/tenancy"
_OPTIONS = Options(
    nodes=3,
    node_labels=(
        f"0:{_TENANCY}=shared",
        f"1:{_TENANCY}=dedicated",
        "1:node-restriction.kubernetes.io/pool=beta",
        "2:node-role.kubernetes.io/control-plane=",
    ),
    type_checks=False,
)
"""Three nodes: one for all, one that may be given to beta, one for the platform's own pods."""
_BIG = '{"spec":{"containers":[{"name":"x","image":"x","resources":{"limits":{"cpu":"99"}}}]}}'
_UID = f"get networkpolicy {_WALL} -n acme-prod -o jsonpath={{.metadata.uid}}"


@click.command()
@click.option("--full", is_flag=True, help="Show the rest of the product too: a minute more.")
def demo(*, full: bool) -> None:
    """Start a sandbox and the operator, make a tenant, attack it, repair it."""
    try:
        _Demo().run(full=full)
    except SandboxError as error:
        click.echo(f"Error: {error.problem}\n{error.remedy}", err=True)
        sys.exit(1)


class _Demo:
    def __init__(self) -> None:
        self._instance = instances.named(_NAME)
        self._kubectl: list[str] = []

    def run(self, *, full: bool) -> None:
        for folder in ("manifests", "examples"):
            if not (_ROOT / folder).is_dir():
                raise SandboxError(
                    f"There is no folder {folder} in {_ROOT}.",
                    remedy="Run the demo from a checkout of the project: make demo.",
                )
        _title("A real control plane, and the operator with its own rights")
        control.up(self._instance, _OPTIONS, lambda line: click.echo(f"  {line}"))
        self._kubectl = [
            self._instance.record()["binaries"]["kubectl"],
            f"--kubeconfig={self._instance.admin_kubeconfig}",
        ]
        self._show("apply -k crds", quiet=True)
        self._show("wait --for=condition=Established crd --all --timeout=30s", quiet=True)
        self._show("apply -k manifests", quiet=True)
        # It is started below. Its pods would run on fake nodes, of which one becomes a tenant's.
        self._call(f"scale deployment {_ACCOUNT[1]} -n {_ACCOUNT[0]} --replicas=0")
        which = "--type=merge --patch-file=examples/nodes/settings.yaml"
        self._show(f"patch tenancysettings default {which}", quiet=True)
        login = kubeconfigs.for_service_account(self._instance, *_ACCOUNT)
        command = [sys.executable, "-m", "securetenant", "run", f"--kubeconfig={login}"]
        log = control.attach(
            self._instance, "operator", [*command, "--address=127.0.0.1", "--port=0"]
        )

        _title("A tenant: the spec (another, beta, asks for nothing but a namespace)")
        click.echo((_ROOT / "examples/acme.yaml").read_text(encoding="utf-8").rstrip())

        _title("What it becomes")
        self._show("apply -f examples")
        self._show("wait --for=condition=Ready securetenant --all --timeout=60s", quiet=True)
        self._show("get namespaces -L securetenant.io/tenant -l securetenant.io/tenant")
        self._show(f"get {_WALLS} -n acme-prod -o name")

        account = "get serviceaccount default -n acme-prod"
        self._wait(lambda: not self._call(account).returncode, "No ServiceAccount", log)
        _title("Attacks: a privileged pod, another tenant's host name")
        self._show("run evil --image=evil --privileged -n acme-prod", fails=True)
        stolen = "create ingress web --class=nginx --rule=www.beta.example/=web:80 -n acme-prod"
        self._show(stolen, fails=True)
        self._repair(log)
        if full:
            self._show_all(log)

        _title("Go on by yourself")
        click.echo(f"export KUBECONFIG={self._instance.admin_kubeconfig}")
        click.echo("export PATH=$PWD/.venv/bin:$PATH    # for securetenant")
        click.echo("securetenant status acme")
        click.echo("securetenant why -f examples/why/web.yaml -n acme-prod")
        click.echo("make demo ARGS=--full    # the rest of the product, a minute")
        click.echo(f"The operator's log: {log}")
        click.echo(f"Stop everything:    .venv/bin/securetenant sandbox down --name {_NAME}")

    def _show_all(self, log: Path) -> None:
        """Show what one tenant and one attack do not."""
        _title("An ordinary program, not written for any of this, is made safe")
        self._show("run plain --image=docker.io/library/nginx:1.29 -n acme-prod")
        safe = "{.spec.securityContext}{.spec.containers[0].securityContext}"
        self._show(f"get pod plain -n acme-prod -o jsonpath={safe}")

        _title("A pod that goes everywhere, and a wish beyond the quota")
        everywhere = '{"spec":{"tolerations":[{"operator":"Exists"}]}}'
        self._show(f"run roam --image=evil -n acme-prod --overrides={everywhere}", fails=True)
        self._show("run big --image=x -n acme-prod --overrides=" + _BIG, fails=True)

        _title("Why a program is refused: everything at once, for its developers too")
        self._ask(
            "why -f examples/why/web.yaml -n acme-prod", code=2, keep=("web:", "found", "change")
        )
        self._serve(log)
        self._agree(log)
        self._dedicate(log)
        self._prove(log)
        self._tell(log)
        self._take()
        self._expire(log)
        self._quarantine(log)

    def _serve(self, log: Path) -> None:
        """Show a program of the platform, and a route of the Gateway API."""
        _title("A program of the platform writes what its entry lists; a member does not")
        patch = "--type=merge --patch-file=examples/agents/settings.yaml"
        self._show(f"patch tenancysettings default {patch}")
        agents = "get tenantpolicy effective -n acme-prod -o jsonpath={.spec.agents}"
        self._wait(lambda: "cert-manager" in self._call(agents).stdout, "No agent", log)
        self._show("apply -f examples/agents/rights.yaml", quiet=True)
        solver = "create -f examples/agents/solver.yaml -n acme-prod --dry-run=server"
        self._show(f"{solver} --as=system:serviceaccount:cert-manager:cert-manager")
        self._show(f"{solver} --as=dana --as-group=acme-devs", fails=True)
        _title("A route to another tenant's host")
        self._show("apply -f tests/gateway_api.yaml", quiet=True)
        established = "wait --for=condition=Established --timeout=30s"
        self._show(f"{established} crd httproutes.gateway.networking.k8s.io", quiet=True)
        route = "create -f examples/routes/stolen.yaml -n acme-prod"
        self._wait(lambda: "hostname" in self._call(route).stderr, "Routes are not judged", log)
        self._show(route, fails=True)

    def _repair(self, log: Path) -> None:
        """Show a wall that is guarded, and one that comes back."""
        _title("An accident: an administrator deletes a wall")
        delete = f"delete networkpolicy {_WALL} -n acme-prod"
        self._show(delete, fails=True)
        _title("On purpose: by breaking the glass. The wall comes back")
        before = self._call(_UID).stdout
        self._show(f"--as=admin --as-group=securetenant:break-glass {delete}")
        self._wait(lambda: self._call(_UID).stdout not in ("", before), "The wall is not back", log)
        self._show(f"get networkpolicy {_WALL} -n acme-prod")

    def _agree(self, log: Path) -> None:
        """Show a peer: closed while one tenant declares it, open when both do."""
        _title("A peer that only acme declares stays closed, and both see what is missing")
        patch = "--type=merge --patch-file=examples/peers/{}.yaml"
        self._show(f"patch securetenant acme {patch.format('acme')}")
        self._wait(lambda: "has to declare" in self._call(_TOLD).stdout, "beta is not told", log)
        self._show(_TOLD)
        _title("It opens when both declare it")
        self._show(f"patch securetenant beta {patch.format('beta')}")
        peer = "get networkpolicies securetenant-peer-beta -n acme-prod"
        self._wait(lambda: not self._call(peer).returncode, "The peer is not open", log)
        agreed = _TOLD.replace(".message", ".reason").replace("beta", "acme")
        self._wait(lambda: self._call(agreed).stdout == "AsSpecified", "acme is not told", log)
        self._show(f"{peer} -o name")
        self._ask("reach acme-prod beta-web --port 443", keep=("Yes", "Policy"))
        _title("What a pull request would do")
        self._ask("plan -f examples/plan/acme.yaml", keep=("tenant:", "lost", "gained", "kept"))

    def _dedicate(self, log: Path) -> None:
        """Show nodes of a tenant's own: what they wait for, what they refuse, what they carry."""
        _title("beta gets a node of its own; a pod that runs there is not evicted, and is named")
        where = '--overrides={"spec":{"nodeName":"node-1"}}'
        self._show(f"run tool --image=docker.io/library/busybox:1.37 {where}")
        patch = "--type=merge --patch-file=examples/nodes/beta.yaml"
        self._show(f"patch securetenant beta {patch}")

        def is_told() -> bool:
            told = self._call(_NODES).stdout
            return "default/tool" in told and "1 node" in told

        self._wait(is_told, "beta is not told", log)
        self._show(_NODES)
        _title("An intruder")
        there = f'{{"spec":{{"nodeSelector":{{"{names.NODE_LABEL}":"beta"}}}}}}'
        self._show(f"run spy --image=evil -n acme-prod --overrides={there}", fails=True)
        _title("Only beta uses the node once the pod is gone")
        self._show("delete pod tool --now", quiet=True)
        self._wait(lambda: "NoExecute" in self._call(_TAINTS).stdout, "NoExecute is missing", log)
        self._show(_TAINTS)

    def _prove(self, log: Path) -> None:
        """Show that everything is tried that must be refused, and a sabotage that is found."""
        _title("The proof: everything that must be refused is tried, in dry-run")
        self._wait(
            lambda: self._call(_PROVED).stdout.split() == ["True"] * 2,
            "No proof",
            log,
            _PROOF_SECONDS,
        )
        self._wait(
            lambda: "only declared traffic" in self._call(_PROOF).stdout,
            "Nothing is said of traffic",
            log,
            _PROOF_SECONDS,
        )
        self._show(_PROOF)
        _title("A sabotage: a policy only warns")
        warn = '{"spec":{"validationActions":["Warn"]}}'
        self._show(
            "patch validatingadmissionpolicybinding securetenant-services --type=merge -p " + warn
        )
        self._wait(
            # In both of its namespaces.
            lambda: (
                ", by externalIPs (E09): admitted in acme-prod, acme-staging"
                in self._call(_PROOF).stdout
            ),
            "It is not found",
            log,
            _PROOF_SECONDS,
        )
        self._show(_PROOF)
        self._show("apply -k manifests/policies", quiet=True)
        self._wait(
            lambda: self._call(_PROVED).stdout.split() == ["True"] * 2,
            "No proof",
            log,
            _PROOF_SECONDS,
        )
        self._wait(
            lambda: "only declared traffic" in self._call(_PROOF).stdout,
            "Nothing is said of traffic",
            log,
            _PROOF_SECONDS,
        )

    def _tell(self, log: Path) -> None:
        """Show a list of tenants, and what one says of itself."""
        _title("What people see")
        self._show("get securetenants")
        told = "get events.events.k8s.io --field-selector=reason=DriftRepaired -o name"
        self._wait(lambda: bool(self._call(told).stdout), "No event tells of the repair", log)
        self._show("describe securetenant acme", keep=("Message:", "DriftRepaired"))

    def _take(self) -> None:
        """Show a namespace that is there already: looked through first, taken with consent."""
        _title("A namespace that is there: looked through, then taken with consent")
        self._show("create namespace legacy", quiet=True)
        self._show("create rolebinding old --clusterrole=edit --user=jane -n legacy", quiet=True)
        self._show("apply -f examples/adoption/gamma.yaml", quiet=True)
        look = "adopt legacy --tenant gamma"
        self._ask(look, code=2, keep=("would not", "RoleBinding"))
        self._show("delete rolebinding old -n legacy", quiet=True)
        self._ask(f"{look} --yes", keep=("Consent",))
        self._show("wait --for=condition=Ready securetenant/gamma --timeout=60s", quiet=True)
        self._show("get namespace legacy -L securetenant.io/tenant")

    def _expire(self, log: Path) -> None:
        """Show access that ends at a moment."""
        _title("Access for a few seconds")
        ends = datetime.now(UTC) + timedelta(seconds=_ACCESS_SECONDS)
        subject = '{"kind":"User","name":"jane"}'
        grant = (
            f'{{"name":"oncall","role":"Developer","subjects":[{subject}],'
            f'"expiresAt":"{ends:%Y-%m-%dT%H:%M:%SZ}"}}'
        )
        patch = f'{{"spec":{{"access":[{grant}]}}}}'
        self._show(f"patch securetenant gamma --type=merge -p {patch}")
        may = "auth can-i create deployments -n legacy --as=jane"
        self._wait(lambda: not self._call(may).returncode, "jane has no access", log)
        self._show(may)
        self._wait(lambda: bool(self._call(may).returncode), "jane keeps her access", log)
        self._show(may, fails=True)

    def _quarantine(self, log: Path) -> None:
        """Show an incident: cut off, and everything back as it was."""
        _title("An incident: the tenant is cut off, and comes back as it was")
        # What is put aside has two conditions that no pod meets.
        column = "SELECTS:.spec.podSelector.matchExpressions[*].operator"
        walls = f"get networkpolicies -n legacy -o custom-columns=NAME:.metadata.name,{column}"
        before = self._call(walls).stdout

        def is_cut() -> bool:
            _, *rows = self._call(walls).stdout.splitlines()
            return all(each.startswith(_WALL) or "DoesNotExist" in each for each in rows)

        self._ask("quarantine gamma --wait")
        self._wait(is_cut, "Traffic is not cut", log)
        self._show(walls)
        ask = "create token default -n legacy"
        self._wait(lambda: bool(self._call(ask).returncode), "Tokens are issued", log)
        self._show(ask, fails=True)
        self._ask("thaw gamma --wait")
        self._wait(lambda: self._call(walls).stdout == before, "It is not as it was", log)
        self._show(walls)
        self._wait(
            lambda: self._call(_PROVED).stdout.split() == ["True"] * 3,
            "No proof",
            log,
            _PROOF_SECONDS,
        )

    def _wait(
        self,
        done: Callable[[], bool],
        problem: str,
        log: Path,
        seconds: float = _REPAIR_SECONDS,
    ) -> None:
        began = time.monotonic()
        while not done():
            if time.monotonic() - began > seconds:
                raise SandboxError(
                    f"{problem} after {seconds:.0f} s.",
                    remedy=f"Read the operator's log: {log}",
                )
            time.sleep(_PAUSE_SECONDS)

    def _show(
        self,
        arguments: str,
        *,
        quiet: bool = False,
        fails: bool = False,
        keep: tuple[str, ...] = (),
    ) -> None:
        """Run kubectl as a reader would; print the command and the lines that matter."""
        cut = f" | grep -e {' -e '.join(map(shlex.quote, keep))}" if keep else ""
        # Quoted, so that what a reader copies works in a shell.
        click.echo(f"$ kubectl {shlex.join(arguments.split())}{cut}")
        done = self._call(arguments)
        if (done.returncode != 0) != fails:
            raise SandboxError(
                f"kubectl {arguments}: {done.stdout}{done.stderr}".strip(),
                remedy=f"Remove the demo and try again: securetenant sandbox down --name {_NAME}",
            )
        if not quiet:
            lines = (done.stdout + done.stderr).rstrip().splitlines()
            kept = [line for line in lines if not keep or any(each in line for each in keep)]
            click.echo("\n".join(kept))

    def _ask(self, arguments: str, *, code: int = 0, keep: tuple[str, ...] = ()) -> None:
        """Run the program as a reader would."""
        cut = f" | grep -e {' -e '.join(map(shlex.quote, keep))}" if keep else ""
        click.echo(f"$ securetenant {arguments}{cut}")
        done = subprocess.run(
            [sys.executable, "-m", "securetenant", *arguments.split()],
            cwd=_ROOT,
            env={**os.environ, "KUBECONFIG": str(self._instance.admin_kubeconfig)},
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode != code:
            raise SandboxError(
                f"securetenant {arguments}: {done.stdout}{done.stderr}".strip(),
                remedy=f"Remove the demo and try again: securetenant sandbox down --name {_NAME}",
            )
        lines = done.stdout.rstrip().splitlines()
        click.echo("\n".join(line for line in lines if not keep or any(k in line for k in keep)))

    def _call(self, arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._kubectl, *arguments.split()],
            cwd=_ROOT,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )


def _title(text: str) -> None:
    click.secho(f"\n=== {text}", bold=True)
