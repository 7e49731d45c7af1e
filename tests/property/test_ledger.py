"""The quota ledger against a model: whatever happens in whatever order, the sum holds.

The model is a cluster in which writes land late and statuses are filled later still. After
every single step the sum of what namespaces may use is looked at.
"""

from typing import Any

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from factory import seen, settings_spec, tenant
from securetenant.api import kinds, names, quantities, status
from securetenant.api.objects import Ref
from securetenant.plan import ledger
from securetenant.plan.ledger import Part
from securetenant.plan.ownership import NamespaceFacts, Observed, QuotaFacts
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Tenants

NAMES = ("aaa", "bbb", "ccc", "ddd")
PODS, CPU, MEMORY = "pods", "requests.cpu", "requests.memory"
SETTINGS = settings_spec(defaultQuota={PODS: 10, CPU: 2, MEMORY: "1Gi"})

entries = st.dictionaries(
    st.sampled_from(NAMES),
    st.one_of(
        st.none(),
        st.fixed_dictionaries({"weight": st.integers(1, 5)}),
        st.fixed_dictionaries(
            {"hard": st.fixed_dictionaries({}, optional={PODS: st.integers(0, 30)})}
        ),
    ),
    min_size=1,
)
totals = st.fixed_dictionaries(
    {PODS: st.integers(0, 60), CPU: st.sampled_from(["1", "2500m", "7"]), MEMORY: st.just("10Gi")}
)


class Cluster(RuleBasedStateMachine):
    """One tenant, its quotas as the API server has them, and writes on their way."""

    def __init__(self) -> None:
        super().__init__()
        self.tenants, self.store = Tenants(), Store()
        self.version = 0
        self.hard: dict[str, dict[str, int]] = {}
        self.enforced: dict[str, dict[str, int]] = {}
        self.flying: dict[str, dict[str, int]] = {}
        self.bound: dict[str, int] = {}
        self.total: dict[str, int] = {}

    def tick(self) -> int:
        self.version += 1
        return self.version

    @initialize(spec=entries, total=totals)
    def begin(self, spec: Any, total: Any) -> None:
        self.change_spec(spec, total)

    @rule(spec=entries, total=totals)
    def change_spec(self, spec: Any, total: Any) -> None:
        """A person edits the SecureTenant; the operator reads it."""
        listed = [
            {"name": name, **({"quota": quota} if quota else {})} for name, quota in spec.items()
        ]
        self.total = {key: quantities.units(key, value) for key, value in total.items()}
        # What was given before may be in use until it is taken back.
        self.bound = {key: max(self.bound.get(key, 0), self.total[key]) for key in self.total}
        body = seen(tenant("t", namespaces=listed, quota=total), self.tick())
        self.tenants.see("t", body)
        self.read()

    @rule()
    def read(self) -> None:
        """The tenant's key is worked on."""
        self.tenants.read("t", SETTINGS, self.store)

    @rule(name=st.sampled_from(NAMES))
    def start_write(self, name: str) -> None:
        """A worker takes the namespace and sends its share."""
        record = self.tenants.get("t")
        assert record is not None
        if name in record.units and name not in self.flying:
            self.flying[name] = dict(record.units[name].share)
            record.writing.add(name)

    @rule(name=st.sampled_from(NAMES))
    def land_write(self, name: str) -> None:
        """The write arrives; the answer is remembered."""
        if name not in self.flying:
            return
        self.hard[name] = self.flying.pop(name)
        self.enforced.setdefault(name, {})
        self.observe(name)
        record = self.tenants.get("t")
        assert record is not None
        record.writing.discard(name)

    @rule(name=st.sampled_from(NAMES))
    def fill_status(self, name: str) -> None:
        """The controller-manager notices."""
        if name in self.hard:
            self.enforced[name] = self.hard[name]
            self.observe(name)

    def observe(self, name: str) -> None:
        quota = Ref(kinds.RESOURCE_QUOTA.name, name, names.QUOTA)
        facts = QuotaFacts(*(self.texts(each[name]) for each in (self.hard, self.enforced)))
        self.store.put(quota, Observed(self.tick(), name, b"", facts))
        labels = {names.TENANT_LABEL: "t"}
        self.store.put(
            Ref(kinds.NAMESPACE.name, "", name),
            Observed(self.tick(), name, b"", NamespaceFacts(labels, {}, False)),
        )

    @staticmethod
    def texts(units: dict[str, int]) -> dict[str, str]:
        return {key: quantities.canonical(key, count) for key, count in units.items()}

    @invariant()
    def no_more_is_in_force_than_there_ever_was(self) -> None:
        for each in (self.hard, self.enforced):
            for key, most in self.bound.items():
                assert sum(held.get(key, 0) for held in each.values()) <= most, (key, each)

    @precondition(lambda self: self.total)
    @rule()
    def come_to_rest(self) -> None:
        """Left alone, everything lands, and what is shared is shared to the last unit."""
        for _ in range(2 * len(NAMES)):
            for name in NAMES:
                self.start_write(name)
                self.land_write(name)
                self.fill_status(name)
            self.read()
        record = self.tenants.get("t")
        assert record is not None
        told = {each.reason for each in record.findings}
        if not told & {status.SPEC_REFUSED, status.QUOTA_OVERCOMMITTED}:
            assert not record.is_waiting
            assert all(self.hard[name] == unit.share for name, unit in record.units.items())
            for key, amount in self.total.items():
                held = sum(each.get(key, 0) for each in self.hard.values())
                assert held <= amount
                fixed = [
                    unit.scope.namespace.quota and unit.scope.namespace.quota.hard
                    for unit in record.units.values()
                ]
                if any(each is None or key not in each for each in fixed):
                    assert held == amount, f"{key} is not shared in full"
            self.bound = dict(self.total)


Cluster.TestCase.settings = hypothesis_settings(stateful_step_count=40)
TestLedger = Cluster.TestCase


def test_integers_go_to_the_largest_remainders() -> None:
    """7 over weights 3, 1, 1: 4.2, 1.4, 1.4, so the missing one goes to the first by name."""
    book = ledger.balance({PODS: 7}, {"a": Part(3, {}), "b": Part(1, {}), "c": Part(1, {})}, {}, {})
    assert book.shares == {"a": {PODS: 4}, "b": {PODS: 2}, "c": {PODS: 1}}


def test_nothing_grows_while_fixed_parts_do_not_fit() -> None:
    """The condition names the resource, what is wanted and what there is."""
    parts = {"a": Part(1, {PODS: 6}), "b": Part(1, {PODS: 6})}
    book = ledger.balance({PODS: 10}, parts, {}, {"a": {PODS: 5}})
    assert book.shares == {"a": {PODS: 5}, "b": {PODS: 0}}
    assert book.overcommitted == "pods: 12 in fixed parts, 10 in total"


def test_a_retained_namespace_keeps_its_share() -> None:
    book = ledger.balance({PODS: 10}, {"a": Part(1, {})}, {PODS: 4}, {})
    assert book.shares == {"a": {PODS: 6}}
    short = ledger.balance({PODS: 10}, {"a": Part(1, {PODS: 8})}, {PODS: 4}, {})
    assert short.overcommitted == (
        "pods: 8 in fixed parts and 4 in retained namespaces, 10 in total"
    )


def test_a_fixed_part_of_what_has_no_total_is_no_part() -> None:
    book = ledger.balance({PODS: 10}, {"a": Part(1, {"secrets": 1})}, {}, {})
    assert book.overcommitted == "namespace a fixes secrets, of which the tenant has no total"
