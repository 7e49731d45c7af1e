"""A person's kubeconfig: which file, which context, and what to do where there is none."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from securetenant.kube import kubeconfig
from securetenant.kube.kubeconfig import KubeconfigError


def written(path: Path, current: str, **contexts: str) -> Path:
    """Write a kubeconfig with a user for each context, of whom a file holds the token."""
    body: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": current,
        "clusters": [{"name": "c", "cluster": {"server": "https://192.0.2.1"}}],
        "users": [{"name": f"u-{name}", "user": {"tokenFile": name}} for name in contexts],
        "contexts": [
            {"name": name, "context": {"cluster": "c", "user": f"u-{name}", "namespace": space}}
            for name, space in contexts.items()
        ],
    }
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(body), encoding="utf-8")
    return path


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two files and one that is not there, as $KUBECONFIG names them."""
    first = written(tmp_path / "a/config", "blue", blue="one", red="two")
    second = written(tmp_path / "b/config", "green", green="three", red="four")
    monkeypatch.setenv("KUBECONFIG", f"{first}:{tmp_path}/none:{second}")
    return first, second


def test_of_two_files_the_first_one_says_which_context_is_meant(both: tuple[Path, Path]) -> None:
    """The package takes the last: a change would be made in another cluster than kubectl's."""
    found = kubeconfig.read()
    assert (found.context, found.namespace, found.files) == ("blue", "one", both)


@pytest.mark.parametrize(
    ("context", "namespace", "folder"), [("green", "three", 1), ("red", "two", 0)]
)
def test_a_context_is_found_in_either_file_and_the_first_one_of_a_name_counts(
    context: str, namespace: str, folder: int, both: tuple[Path, Path]
) -> None:
    found = kubeconfig.read(context=context)
    assert found.namespace == namespace
    assert found.token_file == both[folder].parent / context


def test_the_file_that_is_named_is_the_only_one(both: tuple[Path, Path]) -> None:
    found = kubeconfig.read(both[1])
    assert (found.context, found.files) == ("green", both[1:])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("a: [", "cannot be used: ", id="no YAML"),
        pytest.param("- a", "cannot be used: ", id="no mapping"),
        pytest.param("{}", "it has no current-context; it has none. Name another", id="empty"),
        pytest.param("contexts: [{}]", "cannot be used: ", id="a context without a name"),
    ],
)
def test_what_is_no_kubeconfig_is_named(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(KubeconfigError) as error:
        kubeconfig.read(path)
    assert f"Kubeconfig {path}" in str(error.value)
    assert told in str(error.value)


def test_a_context_that_is_not_there_is_answered_with_those_that_are(
    both: tuple[Path, Path],
) -> None:
    with pytest.raises(KubeconfigError) as error:
        kubeconfig.read(context="nope")
    assert "there is no context nope; its contexts are blue, green, red." in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigError) as error:
        kubeconfig.read(tmp_path / "none")
    assert f"There is no kubeconfig {tmp_path}/none" in str(error.value)
