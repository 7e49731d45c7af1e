"""Names that rest: a namespace's name that one SecureTenant had is not given to another.

Kubernetes authorizes a watch when it begins, and the client says how long it lasts. A name that
changes hands would show the new tenant's objects to the former one's members. So names are entered
here before they are let go, and stored in the status of TenancySettings: a restart forgets none.
"""

import datetime
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

MOST = 2000
"""How many names are remembered; the status of TenancySettings holds them all."""
_ALMOST_A_SECOND = datetime.timedelta(microseconds=999_999)
_COMPACTED = datetime.timedelta(minutes=10)
"""After two compactions of etcd, which API servers ask for every five minutes, nobody can read an
object of before by an older resourceVersion."""
_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


class Owner(NamedTuple):
    """A SecureTenant that has a namespace."""

    tenant: str
    uid: str
    """Of the SecureTenant; empty where nobody knows: then it is everybody else's."""


class Former(NamedTuple):
    """Who had a name last."""

    owner: Owner
    since: datetime.datetime | None = None
    """When the namespace was gone; nothing while it is there."""


class Rest(NamedTuple):
    """Why a name is not given."""

    tenant: str
    """Who had it."""
    days: int
    since: datetime.datetime | None

    @property
    def gone(self) -> str:
        """Return when the namespace was gone, for people."""
        return _told(self.since)

    @property
    def until(self) -> str:
        """Return when the name may be given, for people."""
        return _told(self.since, datetime.timedelta(days=self.days))

    @property
    def compacted(self) -> str:
        """Return from when on a restart of the API servers leaves nothing to read."""
        return _told(self.since, _COMPACTED)


Gives = Callable[[str, str, str], Rest | None]
"""Tells, by a tenant, its uid and a namespace, why it does not get that name; or nothing."""


def given(tenant: str, uid: str, namespace: str) -> Rest | None:  # noqa: ARG001
    """Give every name: for callers that have nothing to remember."""
    return None


class Book:
    """Who had which names last."""

    def __init__(self) -> None:
        self._entries: dict[str, Former] = {}
        self._saved: dict[str, Former] = {}
        self._waiting: set[str] = set()
        """Tenants that wait until what is remembered of them is stored."""
        self._is_loaded = False

    def load(self, status: Mapping[str, Any], now: datetime.datetime) -> None:
        """Take what an earlier operator stored: once, since from then on this one knows more."""
        if self._is_loaded:
            return
        self._is_loaded = True
        self._saved = _read(status)
        for name, entry in self._saved.items():
            # A time in the future would keep the name for longer than anybody asked for.
            since = None if entry.since is None else min(entry.since, now)
            self._entries.setdefault(name, entry._replace(since=since))

    def leave(self, name: str, owner: Owner, *, must: bool) -> bool:
        """Enter a name whose namespace is there and about to go; tell whether that is new.

        Where the list is full, ``must`` makes room. What is there is known by its label as well.
        """
        known = self._entries.get(name)
        if known is not None and known.since is None:
            return False
        if known is None and self._is_full and not (must and self._forget_oldest()):
            return False
        self._entries[name] = Former(owner)
        return True

    def gone(self, name: str, owner: Owner | None, now: datetime.datetime) -> bool:
        """Let the name of a namespace that is gone rest from now on; tell whether that is new."""
        known = self._entries.get(name)
        if known is not None and known.since is None:
            owner = known.owner
        if owner is None:
            return False
        if known is None and self._is_full and not self._forget_oldest():
            # All others are there: their labels tell of them.
            del self._entries[min(self._entries)]
        # Stored in whole seconds, and never before it was gone.
        self._entries[name] = Former(owner, (now + _ALMOST_A_SECOND).replace(microsecond=0))
        return True

    def take(self, name: str, uid: str) -> bool:
        """Forget a name whose namespace is a tenant's and stays; tell whether that is new.

        A name that rested for this very tenant is left as it is, until it leaves again: that saves
        one write of two where a namespace is made and deleted in turns.
        """
        known = self._entries.get(name)
        if known is None or (known.owner.uid == uid and known.since is not None):
            return False
        del self._entries[name]
        return True

    def rest(self, name: str, uid: str, days: int, now: datetime.datetime) -> Rest | None:
        """Tell why a SecureTenant does not get a name; nothing when it does."""
        known = self._entries.get(name)
        if not days or known is None or known.owner.uid == uid or not _is_kept(known, days, now):
            return None
        return Rest(known.owner.tenant, days, known.since)

    def names(self) -> set[str]:
        """Return every name that is remembered."""
        return set(self._entries)

    def there(self) -> list[str]:
        """Return the names whose namespaces are there, as far as it is known."""
        return [name for name, entry in self._entries.items() if entry.since is None]

    def is_unsaved(self, name: str) -> bool:
        """Tell whether what is remembered of a name is not stored yet."""
        return self._entries.get(name) != self._saved.get(name)

    def waits(self, tenant: str) -> bool:
        """Tell whether something about a tenant is not stored yet."""
        return tenant in self.waiting()

    def waiting(self) -> set[str]:
        """Return the tenants about which something is not stored yet."""
        return {
            entry.owner.tenant for name, entry in self._entries.items() if self.is_unsaved(name)
        }

    def stored(self, days: int, now: datetime.datetime) -> list[dict[str, str]]:
        """Return the entries as the status holds them, sorted.

        Those whose time is over leave with the next change, so that nothing is written because
        time passes.
        """
        if self._entries != self._saved:
            self._waiting |= self.waiting()
            self._entries = {
                name: entry for name, entry in self._entries.items() if _is_kept(entry, days, now)
            }
        return [
            {
                "name": name,
                "tenant": entry.owner.tenant,
                "uid": entry.owner.uid,
                **({} if entry.since is None else {"since": entry.since.strftime(_FORMAT)}),
            }
            for name, entry in sorted(self._entries.items())
        ]

    def saved(self, status: Mapping[str, Any]) -> set[str]:
        """Take the status as it now is; return the tenants that wait for nothing any more."""
        self._saved = _read(status)
        done = {tenant for tenant in self._waiting if not self.waits(tenant)}
        self._waiting -= done
        return done

    @property
    def _is_full(self) -> bool:
        return len(self._entries) >= MOST

    def _forget_oldest(self) -> bool:
        """Forget the name that rests for longest; tell whether there was one."""
        times = {name: each.since for name, each in self._entries.items() if each.since is not None}
        if not times:
            return False
        del self._entries[min(times, key=lambda name: (times[name], name))]
        return True


def _is_kept(entry: Former, days: int, now: datetime.datetime) -> bool:
    return entry.since is None or now < entry.since + datetime.timedelta(days=days)


def _told(since: datetime.datetime | None, later: datetime.timedelta | None = None) -> str:
    return "" if since is None else (since + (later or datetime.timedelta())).strftime(_FORMAT)


def _read(status: Mapping[str, Any]) -> dict[str, Former]:
    found = {}
    for each in status.get("formerNames") or ():
        try:
            since = each.get("since")
            if since is not None:
                since = datetime.datetime.strptime(since, _FORMAT).replace(tzinfo=datetime.UTC)
            owner = Owner(str(each["tenant"]), str(each["uid"]))
            found[str(each["name"])] = Former(owner, since)
        except (KeyError, TypeError, ValueError):
            continue
    return found
