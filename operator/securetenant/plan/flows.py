"""Who queues where: each tenant belongs to one of a fixed number of flows.

A FlowSchema costs every request of the cluster that it is compared with, so there are not as many
as tenants. A tenant is found again in the flow that holds its namespaces already, so nothing has to
be remembered over a restart; a new one gets the flow with the fewest tenants, its own while there
is an empty one. Nobody is moved when others come and go.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from securetenant.api import names
from securetenant.api.access import Subject
from securetenant.api.tenancysettings import Bounds

_EVERYBODY = "*"
"""To a FlowSchema this is no name: as a User or Group it means anyone who asks."""


class Person(NamedTuple):
    """A User or a Group that works in a tenant."""

    kind: str
    name: str


def place(
    newcomers: Mapping[str, Collection[str]],
    seen: Mapping[int, Collection[str]],
    crowd: Mapping[int, int],
) -> dict[str, int]:
    """Return the flow of each newcomer, by its namespaces.

    ``seen`` are the namespaces in each flow, as the API server has it; ``crowd`` is how many
    tenants are in each.
    """
    holders: defaultdict[str, list[int]] = defaultdict(list)
    for number, inside in seen.items():
        for namespace in inside:
            holders[namespace].append(number)
    result, count = {}, Counter(crowd)
    strangers = []
    for tenant, namespaces in sorted(newcomers.items()):
        held = Counter(number for each in namespaces for number in holders.get(each, ()))
        if held:
            number = min(held, key=lambda each: (-held[each], each))
            result[tenant] = number
            count[number] += 1
        else:
            strangers.append(tenant)
    # After those who were somewhere: an empty flow is empty only when they have theirs.
    for tenant in strangers:
        number = min(range(names.FLOWS), key=lambda each: (count[each], each))
        result[tenant] = number
        count[number] += 1
    return result


def accounts(namespaces: Iterable[str]) -> tuple[str, ...]:
    """Return the namespaces whose ServiceAccounts belong into a flow, sorted.

    Never the cluster's own, whatever label somebody puts on them: its controllers would wait
    behind a tenant.
    """
    return tuple(
        sorted(
            {
                each
                for each in namespaces
                if each not in names.PROTECTED_NAMES
                and not each.startswith(names.PROTECTED_PREFIXES)
            }
        )
    )


def people(subjects: Iterable[Subject], bounds: Bounds | None) -> tuple[Person, ...]:
    """Return the users and groups of grants that belong into a flow, sorted.

    Left out are subjects that the bounds refuse, since one such name would keep the whole flow from
    being written, its neighbours with it. ServiceAccounts come with their namespaces.
    """
    return tuple(
        sorted(
            {
                Person(each.kind, each.name)
                for each in subjects
                if each.kind != "ServiceAccount"
                and each.name != _EVERYBODY
                and not each.name.startswith("system:")
                and (bounds is None or bounds.admits(each.kind, each.name))
            }
        )
    )
