"""Fixtures: one sandbox and one operator for the whole run, started when first asked for."""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck
from xdist.scheduler import LoadFileScheduling

import released
import stores
import tenant_names
from harness import Api, Operator, StatusRecorder, kubectl, wait_for, wait_for_kinds
from kstatus import compute
from securetenant.api import kinds
from securetenant.sandbox import control, instances, kubeconfigs
from securetenant.sandbox.instances import Instance, Options

hypothesis.settings.register_profile(
    "securetenant",
    # As many as everybody can wait for; TEST_EXAMPLES=1000 looks further.
    max_examples=int(os.environ.get("TEST_EXAMPLES", "100")),
    # How long an example takes says how busy the machine is.
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
hypothesis.settings.load_profile("securetenant")


@contextlib.contextmanager
def control_plane(name: str, *, manifests: str = "manifests", **options: Any) -> Iterator[Instance]:
    """Run a control plane, with our manifests installed as a user installs them.

    The types of the policies are checked only on one, in ``test_installation.py``: it costs each
    plane as much as its start. All others begin with a copy of what the first of the run installed.
    """
    instance = instances.named(name)
    asked = Options(**{"type_checks": False, **options})
    is_usual = manifests == "manifests" and not (asked.type_checks or asked.emulated_version)
    store = stores.found() if is_usual else ""
    control.up(instance, dataclasses.replace(asked, store=store), lambda _: None)
    try:
        if store:
            stores.bind(instance)
        elif is_usual and stores.is_wanted(instance):
            stores.install(instance)
        else:
            install(instance, manifests)
        # Trying to break each of hundreds of tenants costs more than all else that tests do.
        verify(Api(instance.admin_kubeconfig), 0)
        yield instance
    finally:
        with instances.starting(instance):
            instances.stop(instance)


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Instance]:
    """A control plane with an audit log, for all tests that need none of their own."""
    with control_plane(f"test-{os.getpid()}", audit=True, nodes=3) as instance:
        yield instance


def install(instance: Instance, manifests: str = "manifests") -> None:
    """Install everything as the README says."""
    kubectl(instance, "apply", "-k", "crds")
    wait_for_kinds(instance, "crd", "--all")
    kubectl(instance, "apply", "-k", manifests)


def verify(admin: Api, seconds: int) -> None:
    """Have the isolation verified that often; 0, as each control plane begins: never."""
    admin.patch(kinds.TENANCY_SETTINGS, "default", {"spec": {"verifyEverySeconds": seconds}}).ok()


@pytest.fixture(scope="session")
def admin(sandbox: Instance) -> Api:
    """The administrator."""
    return Api(sandbox.admin_kubeconfig)


@pytest.fixture(scope="session")
def operator(sandbox: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """The running operator, held back by no brake: tests delete more tenants than people do."""
    Api(sandbox.admin_kubeconfig).patch(
        kinds.TENANCY_SETTINGS, "default", {"spec": {"teardownsPerHour": 1000}}
    ).ok()
    with operating(sandbox, tmp_path_factory.mktemp("operator") / "log") as process:
        yield process


@contextlib.contextmanager
def operating(instance: Instance, log: Path) -> Iterator[Operator]:
    """Run the operator; in the end judge every status that it wrote, and its log."""
    process = Operator(instance, log)
    recorder = StatusRecorder(Api(instance.admin_kubeconfig))
    recorder.start()
    process.start()
    yield process
    recorder.judge()
    code = process.stop()
    text = log.read_text(encoding="utf-8")
    assert code == 0, text
    assert "Traceback" not in text, text


@pytest.fixture(scope="session")
def breaker(sandbox: Instance) -> Api:
    """An administrator who breaks the glass: the policies let this one touch managed objects."""
    groups = ("system:masters", "securetenant:break-glass")
    return Api(kubeconfigs.for_user(sandbox, "breaker", groups))


Ready = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture
def ready(admin: Api, operator: Operator) -> Ready:
    """Create or replace a SecureTenant and wait until it is ready; returns it."""

    def make(body: dict[str, Any]) -> dict[str, Any]:
        admin.apply(kinds.SECURE_TENANT, body, manager="test").ok()
        return settled(admin, body["metadata"]["name"])

    return make


def settled(
    admin: Api, name: str, *, expected: str = "Current", seconds: float = 10
) -> dict[str, Any]:
    """Wait until kstatus calls the SecureTenant ``expected``, Current by default."""
    seen: dict[str, Any] = {}

    def probe() -> bool:
        seen.clear()
        seen.update(admin.get(kinds.SECURE_TENANT, name))
        return compute(seen) == expected

    try:
        wait_for(probe, what=f"SecureTenant {name} to be {expected}", seconds=seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}: {seen.get('status')}") from error
    return seen


@pytest.fixture(scope="session", autouse=True)
def _no_state_outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the state of sandboxes out of the user's own folder; the cache is shared."""
    before = os.environ.get("XDG_STATE_HOME")
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))
    yield
    if before is None:
        del os.environ["XDG_STATE_HOME"]
    else:
        os.environ["XDG_STATE_HOME"] = before


@pytest.fixture(scope="session")
def examples() -> Path:
    """The folder of examples."""
    return Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a release publishes."""
    return released.make(tmp_path_factory.mktemp("release") / "dist")


LINES = 40
"""How much of an operator's log is shown with a failure."""

OLDER = frozenset(
    f"test_{name}.py"
    for name in (
        "agreement",
        "attempts",
        "being_deleted",
        "long_lists",
        "never_goes",
        "other_kinds",
        "terminating",
        "workload_rules",
    )
)
"""The files that need a control plane as Kubernetes 1.34 is."""

TOGETHER = {
    **dict.fromkeys(OLDER, "older"),
    **dict.fromkeys(("test_release.py", "test_site.py"), "released"),
}
"""Files that one worker runs, since they share what is dear to make, and the name for them."""

SLOWEST = (
    *sorted(OLDER),
    "test_killed.py",
    "test_bad_network.py",
    "test_packets.py",
    "test_installation.py",
    "test_readme.py",
    "test_verification.py",
    "test_image.py",
    "test_memory.py",
    "test_quiet.py",
    "test_life.py",
    "test_fairness.py",
    "test_letting_go.py",
    "test_nodes.py",
    "test_admin_tier.py",
    "test_resting_names.py",
    "test_rights.py",
    "test_network.py",
    "test_heartbeat.py",
    "test_ledger.py",
    "test_brake.py",
    "test_credentials.py",
)
"""The files that take minutes, the slowest first: what begins last keeps a worker busy alone."""


QUICK = frozenset({"golden", "property", "unit"})
"""The folders of tests that mostly need no control plane."""
E2E = Path(__file__).parent / "e2e"
"""Tests on real nodes, which few machines can run: only who names the folder gets them."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the tests on real nodes out, unless they are asked for."""
    asked = (Path(each.partition("::")[0]).absolute() for each in config.args)
    if collection_path == E2E and not any(each.is_relative_to(E2E) for each in asked):
        return True
    return None


class Scheduling(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types.
    """Runs whole files, and those that belong together on one worker."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return str(TOGETHER.get(file.rpartition("/")[2], file))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling | None:
    """Put files on workers, when the tests are spread by file."""
    return Scheduling(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slowest files, and mark what needs a control plane, for the quick tests.

    The control plane that many files share is not started before those with one of their own are
    done: it takes CPU for as long as it runs. What is quick comes last, and fills the gaps.
    """
    places = {name: place for place, name in enumerate(SLOWEST)}
    sharing = {item.path for item in items if _shares_the_plane(item)}

    def turn(item: pytest.Item) -> tuple[bool, bool, int]:
        is_quick = item.path.parent.name in QUICK and item.path not in sharing
        return is_quick, item.path in sharing, places.get(item.path.name, len(places))

    items.sort(key=turn)
    for item in items:
        if "sandbox" in getattr(item, "fixturenames", ()):
            item.add_marker("plane")


def _shares_the_plane(item: pytest.Item) -> bool:
    """Tell whether a test runs on the control plane of this file."""
    assert isinstance(item, pytest.Function)
    fixtures = item._fixtureinfo.name2fixturedefs.get("sandbox", ())
    return bool(fixtures) and fixtures[-1].scope == "session"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Show with a failure what the operators and the controllers had to say."""
    report = yield
    if report.failed:
        logs = [each.log for each in Operator.at_work]
        if plane := getattr(item, "funcargs", {}).get("sandbox"):
            logs.append(plane.logs / "kube-controller-manager.log")
        # What fails while the control plane ends finds its files gone.
        for log in filter(Path.exists, logs):
            lines = log.read_text(encoding="utf-8").splitlines()
            # The controllers' begin with a letter: what only informs is left out.
            lines = [line for line in lines if not line.startswith("I")]
            report.sections.append((str(log), "\n".join(lines[-LINES:])))
    return report


def pytest_configure(config: pytest.Config) -> None:
    """Keep the store that control planes begin with, and let Go collect garbage less often.

    Its programs are small and many here. Benchmarks must not come by this: at its limit an API
    server collects garbage most of the time.
    """
    os.environ.setdefault("GOGC", "800")
    os.environ.setdefault("GOMEMLIMIT", "1500MiB")
    stores.begin(config)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove it."""
    stores.end(config)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what a worker recorded."""
    tenant_names.collect(getattr(node, "workeroutput", {}).get("tenants", {}))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail where two files use the same name for a tenant."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["tenants"] = tenant_names.made()
    elif tenant_names.problems():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say which."""
    for problem in tenant_names.problems():
        terminalreporter.write_line(problem, red=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let golden files be written anew."""
    parser.addoption("--update-golden", action="store_true", help="Write golden files anew.")
