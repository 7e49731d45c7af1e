"""A person's kubeconfig: a file, or those of ``$KUBECONFIG``, read as kubectl reads them.

What an earlier file says counts, its current context too
(https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/).
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kubernetes.aio.config import kube_config

_SHOWN = 8


class KubeconfigError(Exception):
    """It cannot be used; the message says why, and what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kubeconfig:
    """What is read of it before the ``kubernetes`` package reads the rest."""

    files: tuple[Path, ...]
    context: str
    """The one that is meant, which is there."""
    namespace: str
    """The context's, or ``default``."""
    token_file: Path | None
    """Of the context's user: the package reads it only once."""

    @property
    def location(self) -> str:
        """Return the files as the package takes them."""
        return os.pathsep.join(map(str, self.files))


def there(path: Path | None = None) -> list[Path]:
    """Return the files that there are: ``path``, or the default ones."""
    named = [str(path)] if path else os.environ.get("KUBECONFIG", "").split(os.pathsep)
    wanted = [each for each in named if each] or [kube_config.KUBE_CONFIG_DEFAULT_LOCATION]
    return [found for each in wanted if (found := Path(each).expanduser()).is_file()]


def read(path: Path | None = None, context: str | None = None) -> Kubeconfig:
    """Read ``path``, or the default files; raises :class:`KubeconfigError`."""
    files = there(path)
    if not files:
        named = path or os.environ.get("KUBECONFIG") or kube_config.KUBE_CONFIG_DEFAULT_LOCATION
        raise KubeconfigError(
            f"There is no kubeconfig {named}, and this is no pod of a cluster. Name one by"
            " --kubeconfig FILE"
        )
    try:
        documents = [(each, yaml.safe_load(each.read_text(encoding="utf-8"))) for each in files]
        return _read(documents, context)
    # What is no kubeconfig fails in any of these ways.
    except (OSError, ValueError, LookupError, TypeError, AttributeError, yaml.YAMLError) as error:
        told = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise unusable(files, told) from error


def unusable(files: Sequence[Path], why: str) -> KubeconfigError:
    """Return the error of files that cannot be used."""
    told = ", ".join(map(str, files))
    return KubeconfigError(
        f"Kubeconfig {told} cannot be used: {why}. Name another by --kubeconfig FILE"
    )


def _read(documents: Sequence[tuple[Path, Any]], context: str | None) -> Kubeconfig:
    files = tuple(path for path, _ in documents)
    contexts = {name: each for _, name, each in _entries(documents, "context")}
    users = {name: (path, each) for path, name, each in _entries(documents, "user")}
    current = (str(each.get("current-context") or "") for _, each in documents)
    meant = context or next(filter(None, current), "")
    if meant not in contexts:
        known = sorted(contexts)
        more = ", and others" if len(known) > _SHOWN else ""
        told = f"its contexts are {', '.join(known[:_SHOWN])}{more}" if known else "it has none"
        asked = f"there is no context {meant}" if meant else "it has no current-context"
        raise unusable(files, f"{asked}; {told}")
    path, user = users.get(str(contexts[meant].get("user", "")), (files[0], {}))
    token_file = user.get("tokenFile")
    return Kubeconfig(
        files=files,
        context=meant,
        namespace=str(contexts[meant].get("namespace") or "default"),
        token_file=path.parent / token_file if token_file else None,
    )


def _entries(
    documents: Sequence[tuple[Path, Any]], kind: str
) -> Iterator[tuple[Path, str, Mapping[str, Any]]]:
    """Yield contexts or users, the one that counts of several with a name last."""
    for path, document in reversed(documents):
        for each in document.get(f"{kind}s") or ():
            yield path, str(each["name"]), each[kind] or {}
