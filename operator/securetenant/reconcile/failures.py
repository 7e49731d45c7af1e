"""Errors of several requests, none of which keeps the others from being made."""

import contextlib
from collections.abc import Iterator

from securetenant.api.objects import Ref
from securetenant.reconcile.errors import ClusterError, RefusedError, UnavailableError


class Failures:
    """What failed, by object; raised at the end, all together."""

    def __init__(self) -> None:
        self._errors: list[tuple[Ref, ClusterError]] = []

    @contextlib.contextmanager
    def collect(self, ref: Ref) -> Iterator[None]:
        """Keep the error of a request about an object."""
        try:
            yield
        except ClusterError as error:
            self._errors.append((ref, error))

    def __bool__(self) -> bool:
        return bool(self._errors)

    def __str__(self) -> str:
        return "; ".join(f"{ref}: {error}" for ref, error in self._errors)

    def throw(self) -> None:
        """Raise a :class:`ClusterError` that names every object, if anything failed."""
        if not self._errors:
            return
        errors = [error for _, error in self._errors]
        if any(isinstance(each, RefusedError) for each in errors):
            raise RefusedError(str(self))
        waits = [each.retry_after for each in errors if isinstance(each, UnavailableError)]
        if waits:
            raise UnavailableError(str(self), retry_after=max(waits))
        raise ClusterError(str(self))
