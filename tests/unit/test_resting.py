"""Which names rest, for whom, for how long, and how many are remembered."""

import datetime
from collections.abc import Callable
from typing import Any

import pytest

from factory import namespace, seen, settings_facts, settings_spec, tenant
from securetenant.api import kinds, names
from securetenant.api.objects import Ref
from securetenant.api.tenancysettings import SettingsStatus
from securetenant.plan import ownership, resting
from securetenant.plan.resting import Book, Owner
from securetenant.reconcile.resting import Resting
from securetenant.reconcile.store import Store
from securetenant.reconcile.tenants import Tenants
from securetenant.status import settings

NOW = datetime.datetime(2026, 11, 29, 12, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
BETA = Owner("beta", "uid-of-beta")


def keep(book: Book, now: datetime.datetime = NOW, days: int = 30) -> dict[str, Any]:
    """Store what a book holds; return the status."""
    status = {"formerNames": book.stored(days, now)}
    book.saved(status)
    return status


def test_a_name_rests_from_when_its_namespace_is_gone() -> None:
    """It may be retained for years, and be read for as long."""
    book = Book()
    assert book.leave("beta-two", BETA, must=False)
    assert not book.leave("beta-two", BETA, must=True), "once"
    assert keep(book)["formerNames"] == [
        {"name": "beta-two", "tenant": "beta", "uid": "uid-of-beta"}
    ]
    assert book.gone("beta-two", None, NOW + 400 * DAY)
    rest = book.rest("beta-two", "uid-of-acme", 30, NOW + 429 * DAY)
    assert rest is not None
    assert (rest.tenant, rest.since) == ("beta", NOW + 400 * DAY)
    assert book.rest("beta-two", "uid-of-acme", 30, NOW + 430 * DAY) is None


@pytest.mark.parametrize(
    ("uid", "days", "rests"),
    [
        pytest.param("uid-of-acme", 30, True, id="another's"),
        pytest.param("uid-of-another-beta", 30, True, id="one made again under the name"),
        pytest.param("uid-of-beta", 30, False, id="the same one's"),
        pytest.param("uid-of-acme", 0, False, id="names never rest"),
    ],
)
def test_for_whom_a_name_rests(uid: str, days: int, rests: bool) -> None:
    book = Book()
    book.gone("beta-two", BETA, NOW)
    assert (book.rest("beta-two", uid, days, NOW) is not None) == rests
    assert book.rest("acme-a", uid, days, NOW) is None


def test_where_nobody_knows_who_had_a_name_it_rests_for_everybody() -> None:
    book = Book()
    book.gone("beta-two", Owner("beta", ""), NOW)
    assert book.rest("beta-two", "uid-of-beta", 30, NOW)


def test_a_name_that_a_namespace_never_had_does_not_rest() -> None:
    assert not Book().gone("nobodys", None, NOW)


def test_a_restart_forgets_nothing_that_was_stored() -> None:
    book, later = Book(), Book()
    book.leave("there", BETA, must=True)
    book.gone("gone", BETA, NOW + datetime.timedelta(milliseconds=1))
    status = keep(book)
    later.load(status, NOW + DAY)
    assert later.there() == ["there"]
    assert {"formerNames": later.stored(30, NOW + DAY)} == status, "and writes nothing"
    assert not later.saved(status)
    rest = later.rest("gone", "uid-of-acme", 30, NOW)
    assert rest is not None
    assert rest.gone == "2026-11-29T12:00:01Z", "never earlier than it was gone"


def test_what_an_operator_saw_before_it_read_the_status_counts() -> None:
    """The settings can be deleted and made again, without a status."""
    book = Book()
    book.gone("early", BETA, NOW)
    book.load({"formerNames": [{"name": "early", "tenant": "other", "uid": "x"}]}, NOW)
    book.load({}, NOW)
    assert book.rest("early", "x", 30, NOW)


def test_a_time_in_the_future_keeps_no_name_for_longer() -> None:
    book = Book()
    entry = {"name": "late", "tenant": "beta", "uid": "u", "since": "2099-01-01T00:00:00Z"}
    book.load({"formerNames": [entry, {"name": "broken"}, {**entry, "since": "soon"}]}, NOW)
    assert book.rest("late", "uid-of-acme", 30, NOW + 30 * DAY) is None


def test_time_alone_writes_nothing_and_the_next_change_forgets_what_is_over() -> None:
    book = Book()
    book.gone("old", BETA, NOW)
    book.leave("there", BETA, must=False)
    status = keep(book)
    assert {"formerNames": book.stored(30, NOW + 31 * DAY)} == status
    book.gone("new", BETA, NOW + 31 * DAY)
    found = [each["name"] for each in keep(book, NOW + 31 * DAY)["formerNames"]]
    assert found == ["new", "there"]


def test_a_name_that_is_taken_back_is_forgotten_unless_it_rested_for_the_same_one() -> None:
    """A preview environment that comes and goes is one entry, and two writes each time."""
    book = Book()
    book.leave("kept-after-all", BETA, must=False)
    assert book.take("kept-after-all", BETA.uid)
    book.gone("preview", BETA, NOW)
    keep(book)
    assert not book.take("preview", BETA.uid)
    assert book.leave("preview", BETA, must=True)
    assert book.is_unsaved("preview")
    assert book.gone("preview", BETA, NOW + DAY)
    assert len(keep(book)["formerNames"]) == 1
    assert book.take("preview", "uid-of-acme"), "it was allowed to have it"
    assert book.names() == set()


def test_the_oldest_is_forgotten_first_and_the_status_holds_all() -> None:
    book = Book()
    for number in range(resting.MOST):
        book.gone(f"n-{number:04}", BETA, NOW + datetime.timedelta(seconds=number))
    assert book.gone("one-more", BETA, NOW + DAY)
    assert len(book.names()) == resting.MOST
    assert book.rest("n-0000", "uid-of-acme", 30, NOW) is None
    assert book.rest("n-0001", "uid-of-acme", 30, NOW)
    assert not book.leave("retained", BETA, must=False), "its label tells of it"
    assert not book.is_unsaved("retained"), "so it is not waited for"
    assert book.leave("doomed", BETA, must=True)
    assert book.rest("n-0001", "uid-of-acme", 30, NOW) is None
    # The CRD takes as many.
    status = {"formerNames": book.stored(30, NOW)}
    SettingsStatus.model_validate(status)


def test_a_list_that_is_full_of_what_is_there_still_takes_what_is_gone() -> None:
    book = Book()
    for number in range(resting.MOST):
        book.leave(f"n-{number:04}", BETA, must=False)
    assert not book.leave("doomed", BETA, must=True)
    assert book.gone("doomed", BETA, NOW)
    assert len(book.names()) == resting.MOST
    assert not book.leave("n-0000", BETA, must=False), "and is not written again and again"


def test_what_is_stored_is_told_once() -> None:
    book = Book()
    book.leave("beta-two", BETA, must=False)
    assert book.waits("beta")
    status = {"formerNames": book.stored(30, NOW)}
    assert book.saved(status) == {"beta"}
    assert book.saved(status) == set()
    assert not book.waits("beta")
    assert book.saved({}) == set(), "somebody took it out"
    assert book.is_unsaved("beta-two")


def test_a_teardown_does_not_wait_for_a_name_that_never_rests() -> None:
    """The entry goes with the write that would store it."""
    book = Book()
    book.gone("beta-two", BETA, NOW)
    assert book.waits("beta")
    status = {"formerNames": book.stored(0, NOW)}
    assert status == {"formerNames": []}
    assert book.saved(status) == {"beta"}
    assert not book.waits("beta")


def test_the_status_holds_them_only_where_there_are_some() -> None:
    assert "formerNames" not in settings.summarize(**settings_facts(NOW))
    entry = {"name": "beta-two", "tenant": "beta", "uid": "u"}
    assert settings.summarize(**settings_facts(NOW), former_names=[entry])["formerNames"] == [entry]


class World:
    """Namespaces as they are seen, and whether their names rest."""

    def __init__(self) -> None:
        self.store, self.spec = Store(), settings_spec()
        self.resting = Resting(
            store=self.store,
            tenants=lambda: self.tenants,
            settings=lambda: self.spec,
            now=lambda: NOW,
        )
        self.tenants = Tenants(self.resting.gives)
        self.version = 10

    def put(self, body: dict[str, Any]) -> bool:
        self.version += 1
        body["metadata"]["resourceVersion"] = str(self.version)
        ref = ownership.ref_of(body)
        return self._follow(ref, lambda: self.store.put(ref, ownership.observe(body)))

    def drop(self, kind: kinds.Kind, name: str, inside: str = "") -> bool:
        self.version += 1
        ref = Ref(kind.name, inside, name)
        return self._follow(ref, lambda: self.store.drop(ref, self.version))

    def _follow(self, ref: Ref, change: Callable[[], object]) -> bool:
        whose = self.resting.whose(ref.name)
        change()
        return ref.kind == "Namespace" and self.resting.follow(ref.name, whose)

    def ask(self, name: str, *spaces: str, **annotations: str) -> frozenset[str]:
        """Read a tenant; return its own namespaces."""
        body = tenant(name, namespaces=[{"name": each} for each in spaces])
        body["metadata"]["annotations"] = annotations
        self.tenants.see(name, seen(body))
        self.tenants.read(name, self.spec, self.store)
        return self.tenants.records[name].own


def policy(inside: str, owner: str, uid: str) -> dict[str, Any]:
    spec = {"tenant": owner, "tenantUID": uid}
    metadata = {"name": names.POLICY_NAME, "namespace": inside, "uid": "u"}
    return {"kind": "TenantPolicy", "metadata": metadata, "spec": spec}


def test_a_resting_name_is_in_no_list_of_the_tenants_own_unless_it_is_allowed() -> None:
    world = World()
    world.resting.book.gone("beta-two", BETA, NOW)
    assert world.ask("acme", "acme-a", "beta-two") == {"acme-a"}
    world = World()
    world.resting.book.gone("beta-two", BETA, NOW)
    allowed = {names.REUSE_ANNOTATION: "other, beta-two"}
    assert world.ask("acme", "acme-a", "beta-two", **allowed) == {"acme-a", "beta-two"}
    assert world.resting.gives("acme", "uid-of-an-earlier-acme", "beta-two"), "it was not asked"


def test_a_namespace_that_goes_is_remembered_by_the_uid_in_its_policy() -> None:
    world = World()
    world.ask("beta", "beta-two")
    world.resting.begin()
    assert not world.put(namespace("beta-two", "beta"))
    world.put(policy("beta-two", "beta", "uid-of-an-earlier-beta"))
    assert world.put(namespace("beta-two", "beta", deletionTimestamp="now"))
    world.drop(kinds.TENANT_POLICY, names.POLICY_NAME, "beta-two")
    assert world.drop(kinds.NAMESPACE, "beta-two")
    assert world.resting.gives("beta", "uid-of-beta", "beta-two")
    assert not world.resting.gives("beta", "uid-of-an-earlier-beta", "beta-two")


def test_a_namespace_that_goes_at_once_is_remembered() -> None:
    world = World()
    world.ask("beta", "beta-two")
    world.resting.begin()
    world.put(namespace("beta-two", "beta"))
    assert world.drop(kinds.NAMESPACE, "beta-two")
    assert world.resting.gives("acme", "uid-of-acme", "beta-two")
    assert not world.resting.gives("beta", "uid-of-beta", "beta-two")


def test_a_namespace_whose_label_is_taken_away_or_changed_leaves() -> None:
    world = World()
    world.ask("beta", "beta-two", "beta-three")
    world.resting.begin()
    for name, labels in (("beta-two", ""), ("beta-three", "gamma")):
        world.put(namespace(name, "beta"))
        assert world.put(namespace(name, labels))
        assert world.drop(kinds.NAMESPACE, name)
        assert world.resting.gives("gamma", "uid-of-gamma", name)


def test_a_label_that_is_put_back_is_no_news() -> None:
    world = World()
    world.ask("beta", "beta-two")
    world.resting.begin()
    world.put(namespace("beta-two", "beta"))
    world.put(policy("beta-two", "beta", "uid-of-beta"))
    assert not world.put(namespace("beta-two", ""))
    assert world.resting.book.names() == set()


def test_nothing_is_said_of_a_namespace_before_all_tenants_were_seen() -> None:
    """An operator that starts does not know yet whose the namespace is."""
    world = World()
    world.resting.book.load(
        {"formerNames": [{"name": "went", "tenant": "beta", "uid": "uid-of-beta"}]}, NOW
    )
    assert not world.put(namespace("beta-two", "beta", deletionTimestamp="now"))
    world.ask("beta", "beta-two")
    world.resting.begin()
    rest = world.resting.gives("acme", "uid-of-acme", "went")
    assert rest is not None
    assert rest.since == NOW, "from now on, since nobody saw it go"
    assert not world.resting.gives("beta", "uid-of-beta", "beta-two")
    assert world.resting.gives("acme", "uid-of-acme", "beta-two")


def test_a_namespace_of_nobodys_leaves_nothing_behind() -> None:
    world = World()
    world.resting.begin()
    assert not world.put(namespace("monitoring"))
    assert not world.put(namespace("monitoring", deletionTimestamp="now"))
    assert not world.drop(kinds.NAMESPACE, "monitoring")
