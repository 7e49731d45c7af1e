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
from securetenant.plan.demand import Refusal
from securetenant.plan.ledger import Part, Pool, Use
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
        st.fixed_dictionaries(
            {"guaranteed": st.fixed_dictionaries({}, optional={PODS: st.integers(0, 9)})},
            optional={"max": st.fixed_dictionaries({}, optional={PODS: st.integers(9, 30)})},
        ),
    ),
    min_size=1,
)
totals = st.fixed_dictionaries(
    {PODS: st.integers(0, 60), CPU: st.sampled_from(["1", "2500m", "7"]), MEMORY: st.just("10Gi")}
)


modes = st.sampled_from(["Pool", "Pool", "Split"])


class Cluster(RuleBasedStateMachine):
    """One tenant, its quotas as the API server has them, and writes on their way."""

    def __init__(self) -> None:
        super().__init__()
        self.tenants, self.store = Tenants(), Store()
        self.version = 0
        self.hard: dict[str, dict[str, int]] = {}
        self.enforced: dict[str, dict[str, int]] = {}
        self.flying: dict[str, dict[str, int]] = {}
        self.used: dict[str, dict[str, int]] = {}
        self.refused: dict[str, dict[str, int]] = {}
        """What was refused last where nothing was admitted since."""
        self.spec: Any = {}
        self.bound: dict[str, int] = {}
        self.highest: dict[str, int] = {}
        self.total: dict[str, int] = {}

    def tick(self) -> int:
        self.version += 1
        return self.version

    @initialize(spec=entries, total=totals, mode=modes)
    def begin(self, spec: Any, total: Any, mode: str) -> None:
        self.change_spec(spec, total, mode)

    @rule(spec=entries, total=totals, mode=modes)
    def change_spec(self, spec: Any, total: Any, mode: str) -> None:
        """A person edits the SecureTenant; the operator reads it."""
        if mode == "Split":
            bounded = {"guaranteed", "max"}
            spec = {
                name: None if quota and bounded & quota.keys() else quota
                for name, quota in spec.items()
            }
        listed = [
            {"name": name, **({"quota": quota} if quota else {})} for name, quota in spec.items()
        ]
        self.total = {key: quantities.units(key, value) for key, value in total.items()}
        # What was given before may be in use until it is taken back.
        self.bound = {key: max(self.bound.get(key, 0), self.total[key]) for key in self.total}
        self.highest = {key: max(self.highest.get(key, 0), self.total[key]) for key in self.total}
        self.body = tenant("t", namespaces=listed, quota=total, quotaMode=mode)
        self.tenants.see("t", seen(self.body, self.tick()))
        self.refused.clear()
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

    @rule(landed=st.sets(st.sampled_from(NAMES)))
    def hand_over(self, landed: set[str]) -> None:
        """Another replica leads: what was on its way has arrived by then, or never will."""
        for name in list(self.flying):
            if name in landed:
                self.land_write(name)
            else:
                del self.flying[name]
        self.tenants = self.another()
        # Who was refused before is refused again some time, and heard then.
        self.refused.clear()

    @rule(name=st.sampled_from(NAMES))
    def fill_status(self, name: str) -> None:
        """The controller-manager notices."""
        if name in self.hard:
            self.enforced[name] = self.hard[name]
            self.observe(name)

    @rule(
        name=st.sampled_from(NAMES),
        asked=st.sampled_from([{PODS: 1, CPU: 100}, {PODS: 3}, {PODS: 1, CPU: 2000}]),
    )
    def use(self, name: str, asked: dict[str, int]) -> None:
        """A controller makes an object; the API server counts by the status of the quota."""
        limited, used = self.enforced.get(name), self.used.setdefault(name, {})
        if not limited:
            return
        lacking = {
            key: count
            for key, count in asked.items()
            if used.get(key, 0) + count > limited.get(key, 0)
        }
        if lacking:
            self.refused[name] = lacking
            refusal = Refusal(lacking, {key: limited.get(key, 0) for key in lacking})
            self.tenants.demand.refuse(name, refusal)
            return
        if all(asked.get(key, 0) >= count for key, count in self.refused.get(name, {}).items()):
            self.refused.pop(name, None)
        for key, count in asked.items():
            used[key] = used.get(key, 0) + count
        self.count(name)

    @rule(name=st.sampled_from(NAMES))
    def clean_up(self, name: str) -> None:
        """Pods go."""
        self.used[name] = {}
        self.refused.pop(name, None)
        self.count(name)

    def count(self, name: str) -> None:
        """The status of the quota is seen."""
        enforced = self.texts(self.enforced.get(name, {}))
        self.tenants.demand.observe(name, self.texts(self.used[name]), enforced)

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
        for key, most in self.highest.items():
            # What is used stays when a total is lowered.
            assert sum(each.get(key, 0) for each in self.used.values()) <= most, (key, self.used)

    @precondition(lambda self: self.total)
    @rule()
    def come_to_rest(self) -> None:
        """Left alone, everything lands, and what is shared is shared to the last unit."""
        for _ in range(2 * len(NAMES)):
            for name in NAMES:
                self.start_write(name)
                self.land_write(name)
                self.fill_status(name)
            before = self.shares()
            self.read()
            if self.shares() == before == self.hard:
                break
        record = self.tenants.get("t")
        assert record is not None
        told = {each.reason for each in record.findings}
        if not told & {status.SPEC_REFUSED, status.QUOTA_OVERCOMMITTED}:
            over = any(
                count > self.hard.get(name, {}).get(key, 0)
                for name, used in self.used.items()
                for key, count in used.items()
            )
            # What is used above a share that was lowered meanwhile leaves no room for others.
            assert over or not record.is_waiting
            assert all(self.hard[name] == unit.share for name, unit in record.units.items())
            for key, amount in self.total.items():
                held = sum(each.get(key, 0) for each in self.hard.values())
                assert held <= amount
                if self.is_shared_by_all(key):
                    # A pool keeps a little for who asks next.
                    assert held >= amount - amount // 20, f"{key} is not shared in full"
            self.nobody_is_refused_what_the_total_has_room_for()
            self.what_is_guaranteed_is_there()
            self.a_restart_changes_nothing()
            self.bound = dict(self.total)

    def shares(self) -> dict[str, Any]:
        """Return what the operator gives at present, and what stays of others."""
        record = self.tenants.records["t"]
        return self.hard | {name: unit.share for name, unit in record.units.items()}

    def is_shared_by_all(self, key: str) -> bool:
        """Tell whether somebody's share of it is neither fixed nor bounded."""
        record = self.tenants.records["t"]
        quotas = [unit.scope.namespace.quota for unit in record.units.values()]
        return any(
            each is None or (key not in (each.hard or {}) and key not in (each.max or {}))
            for each in quotas
        )

    def nobody_is_refused_what_the_total_has_room_for(self) -> None:
        """What is used, guaranteed and fixed of others leaves room: then it is there."""
        record = self.tenants.records["t"]
        assert record.spec is not None
        if not record.spec.has_pool:
            return
        for name, asked in self.refused.items():
            unit = record.units.get(name)
            for key, count in asked.items() if unit is not None and len(self.refused) == 1 else ():
                goal = self.used.get(name, {}).get(key, 0) + count
                quota = unit.scope.namespace.quota if unit is not None else None
                most = ((quota and quota.max) or {}).get(key, self.total[key])
                if (quota and key in (quota.hard or {})) or goal > int(most):
                    continue
                others = sum(self.least(other, key) for other in self.hard if other != name)
                if goal + others <= self.total[key]:
                    assert self.hard[name][key] >= goal, (name, key, goal, others)

    def least(self, name: str, key: str) -> int:
        """Return what nobody may take from a namespace: one piece of what it asks for too."""
        unit = self.tenants.records["t"].units.get(name)
        if unit is None:
            return self.hard[name].get(key, 0)
        quota = unit.scope.namespace.quota
        if quota and key in (quota.hard or {}):
            return self.hard[name][key]
        guaranteed = quantities.units(key, ((quota and quota.guaranteed) or {}).get(key, 0))
        wish = self.tenants.demand.wish(name, self.hard[name])
        asked = wish.piece.get(key, 0) if wish is not None else 0
        return max(guaranteed, self.used.get(name, {}).get(key, 0) + asked)

    def what_is_guaranteed_is_there(self) -> None:
        for name, unit in self.tenants.records["t"].units.items():
            quota = unit.scope.namespace.quota
            for key, count in ((quota and quota.guaranteed) or {}).items():
                assert self.hard[name][key] >= quantities.units(key, count)

    def a_restart_changes_nothing(self) -> None:
        """A new process reads what is written, and gives the same shares, if nobody asks."""
        if any(self.tenants.demand.wish(name, held) for name, held in self.hard.items()):
            return
        for name, unit in self.another().records["t"].units.items():
            assert unit.share == self.hard[name], name

    def another(self) -> Tenants:
        """Return what another process makes of the cluster."""
        found = Tenants()
        for name, used in self.used.items():
            found.demand.observe(name, self.texts(used), self.texts(self.enforced.get(name, {})))
        found.see("t", seen(self.body, self.tick()))
        found.read("t", SETTINGS, self.store)
        return found


Cluster.TestCase.settings = hypothesis_settings(stateful_step_count=30)
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


def test_nothing_moves_while_guaranteed_parts_do_not_fit() -> None:
    """The condition says how much is guaranteed, fixed, and there."""
    parts = {"a": Part(1, {}, {PODS: 6}), "b": Part(1, {}, {PODS: 6}), "c": Part(1, {PODS: 1})}
    uses = {name: Use(held={PODS: 3}) for name in parts}
    held = {name: {PODS: 3} for name in parts}
    book = ledger.balance({PODS: 10}, parts, {}, held, Pool(uses, {}))
    assert book.overcommitted == "pods: 1 in fixed parts and 12 guaranteed, 10 in total"
    assert book.shares == held
    unknown = {"a": Part(1, {}, {"secrets": 1}, {"services": 2})}
    book = ledger.balance({PODS: 10}, unknown, {}, {}, Pool({"a": Use()}, {}))
    assert book.overcommitted == (
        "namespace a is guaranteed secrets, of which the tenant has no total;"
        " namespace a has a max of services, of which the tenant has no total"
    )
