"""People whose access ends at a moment, and shells into containers that run."""

import datetime
import subprocess

from e2e import world
from factory import tenant
from harness import Api, kubectl, wait_for
from securetenant.api import kinds
from securetenant.sandbox import kubeconfigs
from securetenant.sandbox.instances import Instance

SECONDS = 45
"""Enough for a tenant, a pod and a shell on a machine that is busy."""
POD = world.Probe(namespace="epsilon-a", name="one")


def test_after_access_ended_no_shell_opens_and_one_that_is_open_goes_on(tenants: Instance) -> None:
    """The second is a limit that docs/controls/access.md names: nothing cuts an open stream."""
    admin = Api(tenants.admin_kubeconfig)
    # A moment is written in whole seconds.
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    ends = now + datetime.timedelta(seconds=SECONDS)
    access = [
        {
            "name": "ci",
            "role": "Admin",
            "subjects": [{"kind": "User", "name": "erin"}],
            "expiresAt": ends.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
    ]
    body = tenant("epsilon", namespaces=[{"name": "epsilon-a"}], access=access)
    admin.apply(kinds.SECURE_TENANT, body, manager="e2e").ok()
    kubectl(tenants, "wait", "--for=condition=Ready", "securetenant/epsilon", "--timeout=60s")
    shell = None
    try:
        world.start(tenants, POD)
        login = kubeconfigs.for_user(tenants, "erin", ())
        command = [
            tenants.record()["binaries"]["kubectl"],
            f"--kubeconfig={login}",
            "exec",
            "-nepsilon-a",
            "one",
            "--",
            "/probe",
        ]
        shell = subprocess.Popen([*command, "sleep"])
        assert _refusal([*command, "self"]) == ""
        assert shell.poll() is None
        told = wait_for(
            lambda: _refusal([*command, "self"]), what="the end of access", seconds=SECONDS + 5
        )
        assert datetime.datetime.now(datetime.UTC) >= ends
        assert 'User "erin" cannot' in told
        assert shell.poll() is None
    finally:
        if shell is not None:
            shell.kill()
            shell.wait()
        kubectl(tenants, "delete", "securetenant", "epsilon")


def _refusal(command: list[str]) -> str:
    """Return what kubectl says of a command that fails; nothing when it does not."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""
