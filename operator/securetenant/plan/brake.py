"""The brake on deletions: how many tenants may lose namespaces within an hour.

Counted are SecureTenants, by their uid: one that lost a namespace within the hour may lose more. A
deletion begins only when its entry was stored in the status of TenancySettings, so a restart
forgets none. That is the one status that is an input (see the decision "One brake").
"""

import datetime
from collections.abc import Mapping
from typing import Any, NamedTuple

_HOUR = datetime.timedelta(hours=1)
_ALMOST_A_SECOND = datetime.timedelta(microseconds=999_999)
_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


class _Entry(NamedTuple):
    tenant: str
    began: datetime.datetime


class Decision(NamedTuple):
    """Whether namespaces of a tenant may be deleted now: when both fields are empty."""

    wait: float = 0.0
    """Seconds until there may be room."""
    is_unsaved: bool = False
    """Whether there is room, and the entry is not stored yet."""


class Brake:
    """Which tenants lost namespaces within the last hour."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._saved: set[str] = set()
        self._is_loaded = False

    def load(self, status: Mapping[str, Any], now: datetime.datetime) -> None:
        """Take what an earlier operator stored: once, since from then on this one knows more."""
        if self._is_loaded:
            return
        self._is_loaded = True
        for uid, entry in _read(status).items():
            # A time in the future would stop all deletions until then.
            self._entries[uid] = entry._replace(began=min(entry.began, now))
            self._saved.add(uid)

    def decide(self, uid: str, tenant: str, most: int, now: datetime.datetime) -> Decision:
        """Enter a tenant that is to lose namespaces, if there is room."""
        if wait := self.wait(uid, most, now):
            if uid not in self._saved:
                # It entered when more were allowed, and nothing was begun.
                self._entries.pop(uid, None)
            return Decision(wait=wait)
        if uid not in self._saved or not self._is_recent(uid, now):
            # What is not stored has not begun: its hour begins now.
            self._entries = {
                each: entry for each, entry in self._entries.items() if self._is_recent(each, now)
            }
            self._saved &= self._entries.keys()
            # Stored in whole seconds, and never before it began: the hour is not shorter by that.
            began = (now + _ALMOST_A_SECOND).replace(microsecond=0)
            self._entries[uid] = _Entry(tenant, began)
        return Decision(is_unsaved=uid not in self._saved)

    def wait(self, uid: str, most: int, now: datetime.datetime) -> float:
        """Return how many seconds a tenant has to wait at least; 0 where there is room."""
        if most and uid in self._saved and self._is_recent(uid, now):
            return 0.0
        recent = [
            entry.began
            for each, entry in self._entries.items()
            if self._is_recent(each, now) and (each != uid or each in self._saved)
        ]
        if len(recent) < most:
            return 0.0
        first = min(recent, default=now)
        # Times are stored in whole seconds.
        return (first + _HOUR - now).total_seconds() + 1

    def stored(self) -> list[dict[str, str]]:
        """Return the entries as the status holds them, sorted.

        Old ones leave with the next new one, so that the passing of time writes nothing.
        """
        return [
            {"uid": uid, "tenant": entry.tenant, "began": entry.began.strftime(_FORMAT)}
            for uid, entry in sorted(self._entries.items())
        ]

    def saved(self, status: Mapping[str, Any]) -> list[str]:
        """Take the status as it now is; return the tenants whose deletions may begin by it."""
        news = [uid for uid in _read(status) if uid in self._entries and uid not in self._saved]
        self._saved.update(news)
        return [self._entries[uid].tenant for uid in news]

    def _is_recent(self, uid: str, now: datetime.datetime) -> bool:
        entry = self._entries.get(uid)
        return entry is not None and now - entry.began <= _HOUR


def _read(status: Mapping[str, Any]) -> dict[str, _Entry]:
    found = {}
    for each in status.get("teardowns") or ():
        try:
            began = datetime.datetime.strptime(each["began"], _FORMAT).replace(tzinfo=datetime.UTC)
            entry = _Entry(str(each["tenant"]), began)
            found[str(each["uid"])] = entry
        except (KeyError, TypeError, ValueError):
            continue
    return found
