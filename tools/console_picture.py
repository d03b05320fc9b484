"""Take the picture of the console's first page: `python tools/console_picture.py`. Needs Chromium."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from snapkeep.console.guard import TOKEN
from snapkeep.lab.demo.console_world import REGION, running_world

PICTURE = Path(__file__).parents[1] / "docs/images/console.png"
SIZE = {"width": 1280, "height": 800}


def main() -> None:
    """Start the console, wait until the failed copy is shown, and take the picture."""
    with running_world(lambda _: None) as aws:
        command = [sys.executable, "-m", "snapkeep", "console", "--no-open", "--region", REGION]
        with subprocess.Popen(command, env=os.environ | aws.environment(), stdout=subprocess.PIPE, text=True) as process:
            try:
                found = re.search(rf"http://\S+\?{TOKEN}=\S+", process.stdout.readline() if process.stdout else "")
                if found is None:
                    sys.exit("the console did not print its address")
                _take(found[0])
            finally:
                process.terminate()


def _take(address: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        page.goto(address)
        page.get_by_text("copy needs attention").wait_for(timeout=180_000)
        page.screenshot(path=PICTURE)
        browser.close()


if __name__ == "__main__":
    main()
