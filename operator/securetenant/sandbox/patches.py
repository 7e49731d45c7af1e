"""Changes to the NetworkPolicy engine for kernels that lack what it is written for.

The engine hands packets to a queue by an expression of nftables (``CONFIG_NFT_QUEUE``) and keeps
its verdicts as labels of connections (``CONFIG_NETFILTER_NETLINK_GLUE_CT``). Without the first it
enforces nothing, without the second it judges every reply as a new connection. A kernel that has
neither usually has the older target ``NFQUEUE``, and can match connections by their state.

The source is the module that ``go.sum`` pins; it is changed in a temporary folder.
"""

import gzip
import os
import platform
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

_NEEDED = ("CONFIG_NFT_QUEUE", "CONFIG_NETFILTER_NETLINK_GLUE_CT")

PLACES: tuple[tuple[Path, Callable[..., Any]], ...] = (
    (Path("/proc/config.gz"), gzip.open),
    (Path("/boot") / f"config-{platform.release()}", open),
)
"""Where a kernel says how it was made, and how to read it."""

_NFQ = """package network

import (
	"encoding/binary"

	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
)

// NFQ returns the target NFQUEUE: struct xt_NFQ_info_v3, aligned.
func NFQ(num uint16, bypass bool) *expr.Target {
	b := make([]byte, 8)
	binary.NativeEndian.PutUint16(b[0:], num)
	binary.NativeEndian.PutUint16(b[2:], 1)
	if bypass {
		binary.NativeEndian.PutUint16(b[4:], 1)
	}
	info := xt.Unknown(b)
	return &expr.Target{Name: "NFQUEUE", Rev: 3, Info: &info}
}
"""

_SAME = """
// same matches one connection.
type same struct{ flow *netlink.ConntrackFlow }

func (s same) MatchConntrackFlow(other *netlink.ConntrackFlow) bool {
	a, b := s.flow.Forward, other.Forward
	return a.Protocol == b.Protocol && a.SrcPort == b.SrcPort && a.DstPort == b.DstPort &&
		a.SrcIP.Equal(b.SrcIP) && a.DstIP.Equal(b.DstIP)
}
"""

_QUEUE = (
    r"queue := &expr\.Queue\{Num: uint16\(c\.config\.QueueID\)\}\n"
    r"\tif c\.config\.FailOpen \{\n\t\tqueue\.Flag = expr\.QueueFlagBypass\n\t\}"
)
_LABEL = (
    r"\t+&expr\.Ct\{Register: 0x1, Key: expr\.CtKeyLABELS\},\n"
    r"\t+&expr\.Bitwise\{[^\n]*generateLabelMask[^\n]*\n"
    r"\t+&expr\.Cmp\{Op: expr\.CmpOpNeq, Register: 0x1, Data: make\(\[\]byte, 16\)\},\n"
)
_DELETE = (
    "_, err = netlink.ConntrackDeleteFilters(netlink.ConntrackTable,"
    " netlink.InetFamily(flow.FamilyType), same{flow})"
)
_CONTROLLER = (
    (
        _QUEUE,
        "queue := network.NFQ(uint16(c.config.QueueID), c.config.FailOpen)",
        2,
    ),
    (_LABEL, "", 1),
    (
        r"flow\.Labels = clearLabelBit\([^\n]*\n\t+err = netlink\.ConntrackUpdate\([^\n]*",
        _DELETE,
        1,
    ),
)
_DNS = (
    (
        r"&expr\.Queue\{Num: uint16\(n\.nfQueueID\), Flag: expr\.QueueFlagBypass\}",
        "network.NFQ(uint16(n.nfQueueID), true)",
        1,
    ),
)


class PatchError(Exception):
    """The source is not the one that the changes were written for."""


def needed() -> bool:
    """Tell whether this kernel says that it lacks what the engine is written for.

    A kernel that says nothing about itself gets the engine as it is.
    """
    text = _configuration()
    return bool(text) and any(f"{each}=" not in text for each in _NEEDED)


def _configuration() -> str:
    for path, opener in PLACES:
        try:
            with opener(path, "rb") as file:
                return bytes(file.read()).decode(errors="replace")
        except OSError:
            continue
    return ""


def apply(module: Path, folder: Path) -> None:
    """Copy the source of the engine to ``folder``, changed; ``module`` stays as it is."""
    shutil.copytree(module, folder, copy_function=shutil.copyfile)
    for directory, _, _ in os.walk(folder):
        os.chmod(directory, 0o700)
    (folder / "pkg/network/nfq.go").write_text(_NFQ, encoding="utf-8")
    controller = folder / "pkg/dataplane/controller.go"
    _change(controller, _CONTROLLER)
    with controller.open("a", encoding="utf-8") as file:
        file.write(_SAME)
    _change(folder / "pkg/dns/dnsagent.go", _DNS)


def _change(path: Path, changes: tuple[tuple[str, str, int], ...]) -> None:
    text = path.read_text(encoding="utf-8")
    for pattern, replacement, times in changes:
        text, found = re.subn(pattern, replacement, text)
        if found != times:
            raise PatchError(f"{path.name}: {pattern!r} is there {found} times, not {times}")
    path.write_text(text, encoding="utf-8")
