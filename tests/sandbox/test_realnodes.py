"""A machine that cannot run real nodes gets the reason before anything is built or started."""

import gzip
import os
from pathlib import Path

import pytest

from securetenant.sandbox import control, instances, patches
from securetenant.sandbox.errors import SandboxError
from securetenant.sandbox.instances import Options
from securetenant.sandbox.realnodes import cgroups, requirements


def refused(options: Options) -> str:
    with pytest.raises(SandboxError) as caught:
        control.up(instances.named(f"t{os.getpid()}-refused"), options, lambda _: None)
    return str(caught.value)


def test_who_is_not_root_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert refused(Options(real_nodes=1)) == (
        "Real nodes cannot run here: only root can make namespaces and control groups for"
        " containers. Use --nodes, which runs no containers, or another machine."
    )


def test_programs_that_are_missing_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(cgroups, "missing", lambda: "")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert requirements.missing() == (
        "these programs are not in PATH: ip (package iproute2), nsenter (package util-linux),"
        " unshare (package util-linux), nft (package nftables) or iptables"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(nodes=1, real_nodes=1), "fake nodes or real ones, not both"),
        (Options(real_nodes=51), "51 real nodes were asked for. Ask for up to 50."),
    ],
)
def test_what_makes_no_sense_is_refused(options: Options, message: str) -> None:
    assert message in refused(options)


@pytest.mark.parametrize(
    ("configuration", "needed"),
    [
        ("CONFIG_NFT_QUEUE=y\nCONFIG_NETFILTER_NETLINK_GLUE_CT=y\n", False),
        ("CONFIG_NFT_QUEUE=m\n# CONFIG_NETFILTER_NETLINK_GLUE_CT is not set\n", True),
        ("# CONFIG_NFT_QUEUE is not set\nCONFIG_NETFILTER_NETLINK_GLUE_CT=y\n", True),
        ("", False),
    ],
)
def test_the_engine_is_changed_only_for_a_kernel_that_says_it_lacks_something(
    configuration: str, needed: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "config.gz"
    file.write_bytes(gzip.compress(configuration.encode()))
    monkeypatch.setattr(patches, "PLACES", ((file, gzip.open),))
    assert patches.needed() is needed


def test_a_source_that_is_not_the_expected_one_is_refused(tmp_path: Path) -> None:
    """A changed engine that was changed by half would filter something, but not what it has to."""
    module = tmp_path / "module"
    for folder in ("dataplane", "dns", "network"):
        (module / "pkg" / folder).mkdir(parents=True)
    (module / "pkg/dataplane/controller.go").write_text("package dataplane\n")
    with pytest.raises(patches.PatchError, match=r"controller\.go: .* is there 0 times, not 2"):
        patches.apply(module, tmp_path / "changed")
