"""A real browser without a window, where there is one."""

import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)


def program() -> str:
    """Return the browser, or skip the test."""
    if not CHROMIUM:
        pytest.skip("there is no browser here; with the package chromium this runs")
    return CHROMIUM


def opened(
    browser: str, address: str, profile: Path, *options: str
) -> subprocess.CompletedProcess[str]:
    """Open a page; what the browser prints is in stdout, what the page complains of in stderr."""
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    command += ["--enable-logging=stderr", f"--user-data-dir={profile}", *options, address]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    return done
