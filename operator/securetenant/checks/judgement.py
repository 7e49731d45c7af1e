"""None but the declared: every allowed flow of a tenant that no declaration covers, and a verdict.

    world = World(namespaces, pods, network_policies, cluster_network_policies)
    declared = Declared(specs, settings)
    for opening in judge(world, declared):
        print(opening)
    # red-a/web reaches blue-a/db on TCP 5432 (egress: NetworkPolicy red-a/open, rule 0; ...)

    judge = Judge(world, declared, unclear=foreign.selecting(bodies, namespaces))
    judge.verdicts()["acme"].state  # Closed, Open or Inconclusive
    world.put(namespace, pods, policies)
    judge.look_again(["acme-a"])  # computes only pairs with that namespace

A flow between two tenants, or between one and the platform, counts for both ends; what a tenant
exchanges with addresses counts only for that tenant. Within a tenant nothing is judged, unless it
has ``network.sameTenant: Deny``. Where a policy of another kind selects pods of a tenant, or a rule
cannot be evaluated, the verdict about it is Inconclusive: what is found is still named. The same
holds for a tenant whose own half of a flow is open, where the other end's half is unclear.
"""

from collections.abc import Iterable, Iterator, Mapping

from securetenant.checks import blocks, ports
from securetenant.checks.declared import Declared, Somebody
from securetenant.checks.findings import Opening, State, Verdict, order, told
from securetenant.checks.flows import End, Link
from securetenant.checks.policies import Direction, Opener
from securetenant.checks.population import Class
from securetenant.checks.ports import Spans
from securetenant.checks.reachability import World
from securetenant.checks.selectors import gathered, members

PLENTY = 20_000
"""As many pairs of namespaces with openings are all named."""
_FEW = 4
"""With more, as many are named for each namespace, so that each that is open is still found."""


def judge(world: World, declared: Declared) -> tuple[Opening, ...]:
    """Return every allowed flow that no declaration covers, sorted."""
    return Judge(world, declared).openings()


class Judge:
    """Keeps the answer about a world, and brings it up to date after a change."""

    def __init__(
        self,
        world: World,
        declared: Declared,
        unclear: Mapping[str, Iterable[str]] | None = None,
        *,
        plenty: int = PLENTY,
    ) -> None:
        """Judge everything; ``unclear`` says by namespace what makes the answer Inconclusive.

        Of more than ``plenty`` pairs of namespaces with openings, only some are named.
        """
        self._plenty = plenty
        self._world = world
        self._declared = declared
        self._unclear = {name: tuple(found) for name, found in (unclear or {}).items()}
        self._pairs: dict[tuple[str, str], tuple[Opening, ...]] = {}
        self._outside: dict[str, tuple[Opening, ...]] = {}
        self._leaning: dict[tuple[str, str], tuple[str, str]] = {}
        """By pair of namespaces: the one whose own half is open, and what that depends on."""
        self._fog = 0
        """Namespaces about which something is unclear."""
        self._is_cut = False
        self._heed()
        self._look_at_all()

    # --- answers ----------------------------------------------------------------------------

    def openings(self) -> tuple[Opening, ...]:
        """Return every allowed flow that no declaration covers, sorted."""
        found = [each for some in self._pairs.values() for each in some]
        found += [each for some in self._outside.values() for each in some]
        return tuple(sorted(found, key=order))

    def verdicts(self) -> dict[str, Verdict]:
        """Return what is said about each tenant that has a namespace."""
        people = self._world.population
        openings: dict[str, list[Opening]] = {}
        for each in self.openings():
            for tenant in each.tenants:
                openings.setdefault(tenant, []).append(each)
        reasons: dict[str, set[str]] = {}
        tenants = set()
        for name in people.position:
            tenant = self._world.tenant(name)
            if tenant:
                tenants.add(tenant)
                found = (*self._unclear.get(name, ()), *self._world.unclear(name))
                reasons.setdefault(tenant, set()).update(f"{name}: {each}" for each in found)
        for name, reason in self._leaning.values():
            reasons[self._world.tenant(name)].add(f"{name}: {reason}")
        return {
            tenant: Verdict(
                _state(bool(openings.get(tenant)), bool(reasons[tenant])),
                tuple(openings.get(tenant, ())),
                tuple(sorted(reasons[tenant])),
                self._is_cut and bool(openings.get(tenant)),
            )
            for tenant in sorted(tenants)
        }

    # --- changes ----------------------------------------------------------------------------

    def look_again(
        self, namespaces: Iterable[str], unclear: Mapping[str, Iterable[str]] | None = None
    ) -> None:
        """Judge what these namespaces take part in, after they were put, changed or removed.

        A change of a spec (:meth:`Declared.put`) touches the namespaces of its tenant and of its
        peers; one of ClusterNetworkPolicies those that :meth:`World.change_cluster` returns; one
        of TenancySettings needs a new judge. ``unclear`` replaces what was known of these
        namespaces.
        """
        names = set(namespaces)
        if unclear is not None:
            for name in names:
                self._unclear.pop(name, None)
            self._unclear.update({name: tuple(unclear[name]) for name in names & set(unclear)})
        if self._is_cut:
            self._look_at_all()
            return
        self._heed()
        for kept in (self._pairs, self._leaning):
            for pair in [pair for pair in kept if names & set(pair)]:
                del kept[pair]
        for name in names:
            self._outside.pop(name, None)
        people = self._world.population
        changed = gathered(people.position[name] for name in names if name in people.position)
        toward: dict[int, int] = {}
        for at in members(changed):
            self._look_outside(at)
        for name, at in people.position.items():
            wanted = self._others(at) & (people.index.everybody if changed >> at & 1 else changed)
            if wanted:
                for target in members(self._outward(at) & wanted):
                    if target not in toward:
                        toward[target] = self._toward(target)
                    if toward[target] >> at & 1:
                        self._look_at(name, at, target)
        if len(self._pairs) > self._plenty:
            self._look_at_all()

    def _heed(self) -> None:
        """Make the world tell apart what declarations tell apart."""
        people = self._world.population
        ranges: list[blocks.Range] = []
        for term in self._declared.looked_at():
            people.compiler.heed_ports(term.ports)
            ranges += term.addresses
            for pairs in (term.pods, *(each.pods for each in term.platform)):
                for key, value in pairs:
                    people.compiler.heed(key, (value,))
        people.learn(ranges)
        self._fog = gathered(
            at
            for name, at in people.position.items()
            if self._unclear.get(name) or self._world.unclear(name)
        )

    # --- looking ----------------------------------------------------------------------------

    def _look_at_all(self) -> None:
        self._pairs.clear()
        self._outside.clear()
        self._leaning.clear()
        people = self._world.population
        order = [at for _, at in sorted(people.position.items())]
        for at in order:
            self._look_outside(at)
        toward = {at: self._toward(at) for at in order}
        self._is_cut = not self._look_at_pairs(order, toward, None)
        if self._is_cut:
            self._pairs.clear()
            self._look_at_pairs(order, toward, _FEW)

    def _look_at_pairs(self, order: list[int], toward: Mapping[int, int], most: int | None) -> bool:
        """Look at every pair, or at as many as it takes; tell whether that was not too much."""
        people = self._world.population
        open_targets = gathered(at for at, bits in toward.items() if bits)
        counts: dict[int, int] = {}
        full = 0
        for at in order:
            bits = self._outward(at) & self._others(at) & open_targets
            for target in members(bits):
                if most is not None and counts.get(at, 0) >= most:
                    if not bits & ~full:
                        break
                    if full >> target & 1:
                        continue
                if toward[target] >> at & 1 and self._look_at(
                    people.at(at).namespace.name, at, target
                ):
                    if most is None:
                        if len(self._pairs) > self._plenty:
                            return False
                        continue
                    for each in (at, target):
                        counts[each] = counts.get(each, 0) + 1
                        if counts[each] >= most:
                            full |= 1 << each
        return True

    def _outward(self, at: int) -> int:
        """Return what a namespace may reach; where that is unclear, also all that is clear."""
        found = self._world.outward(at)
        return found | ~self._fog & self._everybody if self._fog >> at & 1 else found

    def _toward(self, at: int) -> int:
        """Return what may reach a namespace; where that is unclear, also all that is clear."""
        found = self._world.toward(at)
        return found | ~self._fog & self._everybody if self._fog >> at & 1 else found

    @property
    def _everybody(self) -> int:
        return self._world.population.index.everybody

    def _others(self, at: int) -> int:
        """Return the namespaces with which a flow is judged."""
        people = self._world.population
        tenant = people.at(at).tenant
        if tenant and self._declared.is_closed_inside(tenant):
            return people.index.everybody & ~(1 << at)
        return people.index.everybody & ~people.of_tenant[tenant]

    def _look_at(self, source: str, at: int, target: int) -> bool:
        """Look at one pair; tell whether an opening is found."""
        people = self._world.population
        self._lean(source, at, target)
        found: dict[tuple[Spans, Opener, Opener], tuple[set[str], set[str]]] = {}
        for link, left in self._undeclared(self._world.links(at, target)):
            if left:
                ends = found.setdefault((left, link.egress, link.ingress), (set(), set()))
                ends[0].update(link.source.pods)
                ends[1].update(link.target.pods)
        if not found:
            return False
        name = people.at(target).namespace.name
        self._pairs[source, name] = tuple(
            Opening(
                End(people.at(at).tenant, source, tuple(sorted(sources))),
                End(people.at(target).tenant, name, tuple(sorted(targets))),
                (),
                spans,
                egress,
                ingress,
            )
            for (spans, egress, ingress), (sources, targets) in sorted(found.items())
        )
        return True

    def _undeclared(self, links: Iterable[Link]) -> Iterator[tuple[Link, Spans]]:
        """Yield each flow with those of its ports that no declaration covers."""
        meant: dict[tuple[int, int], Spans] = {}
        for link in links:
            key = (id(link.source), id(link.target))
            if key not in meant:
                meant[key] = self._declared.between(
                    self._somebody(link.source), self._somebody(link.target)
                )
            yield link, ports.without(link.ports, meant[key])

    def _lean(self, source: str, at: int, target: int) -> None:
        """Note where a tenant's own half is open, and the other end's half is unclear."""
        people = self._world.population
        fog = (self._fog >> at & 1, self._fog >> target & 1)
        clear = target if fog[0] else at
        if fog[0] == fog[1] or not people.at(clear).tenant:
            return
        assumed: Direction = "Egress" if fog[0] else "Ingress"
        name = people.at(target).namespace.name
        found = {
            (left, link.ingress if fog[0] else link.egress)
            for link, left in self._undeclared(self._world.links(at, target, assumed))
            if left
        }
        if found:
            left, opener = min(found)
            other = source if fog[0] else name
            why = ", ".join((*self._unclear.get(other, ()), *self._world.unclear(other)))
            on = ", ".join(map(str, left))
            text = f"{source} reaches {name} on {on} ({told(opener)}) if {why} lets it"
            self._leaning[source, name] = (people.at(clear).namespace.name, text)

    def _look_outside(self, at: int) -> None:
        space = self._world.population.at(at)
        if not space.tenant:
            return
        found: dict[Opening, set[str]] = {}
        for each, box in self._world.boxes(at):
            somebody = self._somebody(each)
            for ranges, spans in self._declared.beyond(
                box.direction, somebody, box.addresses, box.ports
            ):
                end = End(space.tenant, space.namespace.name, ())
                opening = (
                    Opening(end, None, ranges, spans, box.opener, None)
                    if box.direction == "Egress"
                    else Opening(None, end, ranges, spans, None, box.opener)
                )
                found.setdefault(opening, set()).update(each.pods)
        if found:
            self._outside[space.namespace.name] = tuple(
                _with_pods(each, pods) for each, pods in found.items()
            )

    def _somebody(self, each: Class) -> Somebody:
        space = self._world.population.at(each.home)
        return Somebody(
            space.tenant,
            space.namespace.name,
            space.namespace.labels,
            each.labels,
            each.addresses,
            each.ports,
            each.host_network,
        )


def _with_pods(opening: Opening, pods: Iterable[str]) -> Opening:
    named = tuple(sorted(pods))
    if opening.source is not None:
        return opening._replace(source=opening.source._replace(pods=named))
    if opening.target is not None:
        return opening._replace(target=opening.target._replace(pods=named))
    return opening


def _state(is_open: bool, is_unclear: bool) -> State:
    if is_unclear:
        return "Inconclusive"
    return "Open" if is_open else "Closed"
