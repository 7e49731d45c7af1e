"""Draws what converging costs against its size, from the figures on the page."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from harness import ROOT

PAGE = ROOT / "docs" / "benchmarks" / "converge.md"
PICTURE = ROOT / "docs" / "images" / "converge.svg"
_WHO = ("bare client, no policies", "bare client, with the policies", "operator")
_CLASSES = ("plain", "judged", "ours")
_PANELS = ("Time", "CPU of the API server")
_LEFT, _WIDTH, _BAR, _GAP, _TOP = 20, 470, 18, 6, 84
_SCALE_WIDTH = 330
_STYLE = """\
    .page { fill: #ffffff } text { fill: #1f2328; font: 13px system-ui, "Segoe UI", sans-serif }
    .head { font-weight: 600 }
    .plain { fill: #8c959f } .judged { fill: #54aeff } .ours { fill: #0969da }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117 } text { fill: #e6edf3 }
      .plain { fill: #6e7681 } .judged { fill: #388bfd } .ours { fill: #a5d6ff }
    }
"""


class Bar(NamedTuple):
    """What one of them took, in milliseconds per namespace: time and CPU of the API server."""

    size: int
    who: int
    milliseconds: tuple[float, float]


def bars(page: str) -> Iterator[Bar]:
    """Yield what the table of the page says; the reference was measured twice: its mean."""
    for size, what, told in re.findall(
        r"^\| ([\d,]+) \| ([^|]+) \| ([^|]+) \|$", page, re.MULTILINE
    ):
        pairs = re.findall(r"([\d.]+) s \(([\d.]+) s of", told)
        if what in _WHO and pairs:
            count = int(size.replace(",", ""))
            time, cpu = (sum(map(float, each)) / len(pairs) for each in zip(*pairs, strict=True))
            yield Bar(count, _WHO.index(what), (time / count * 1000, cpu / count * 1000))


def draw(page: str) -> str:
    """Return the picture, as SVG."""
    found = sorted(bars(page))
    sizes = sorted({each.size for each in found})
    most = max(value for each in found for value in each.milliseconds)
    group = len(_WHO) * (_BAR + _GAP) + 26
    height = _TOP + len(sizes) * group + 8
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 960 {height}" role="img"'
            ' aria-labelledby="title desc">'
        ),
        '  <title id="title">What a namespace costs</title>',
        f'  <desc id="desc">{_words(found)}</desc>',
        f"  <style>\n{_STYLE}  </style>",
        f'  <rect class="page" width="960" height="{height}" rx="8"/>',
    ]
    for number, name in enumerate(_WHO):
        x = _LEFT + number * 240
        lines.append(f'  <rect class="{_CLASSES[number]}" x="{x}" y="16" width="14" height="14"/>')
        lines.append(f'  <text x="{x + 22}" y="28">{name}</text>')
    for panel, title in enumerate(_PANELS):
        x = _LEFT + panel * _WIDTH
        lines.append(f'  <text class="head" x="{x}" y="60">{title}, ms per namespace</text>')
        for row, size in enumerate(sizes):
            y = _TOP + row * group
            lines.append(f'  <text x="{x}" y="{y + 10}">{size:,} namespaces</text>')
            for each in found:
                if each.size == size:
                    value = each.milliseconds[panel]
                    top, wide = y + 18 + each.who * (_BAR + _GAP), value / most * _SCALE_WIDTH
                    lines.append(
                        f'  <rect class="{_CLASSES[each.who]}" x="{x}" y="{top}"'
                        f' width="{wide:.0f}" height="{_BAR}" rx="2"/>'
                    )
                    lines.append(
                        f'  <text x="{x + wide + 8:.0f}" y="{top + 14}">{value:.0f}</text>'
                    )
    return "\n".join([*lines, "</svg>\n"])


def _words(found: list[Bar]) -> str:
    return "; ".join(
        f"{each.size:,} namespaces, {_WHO[each.who]}: {each.milliseconds[0]:.0f} ms each and"
        f" {each.milliseconds[1]:.0f} ms of the API server's CPU"
        for each in found
    )
