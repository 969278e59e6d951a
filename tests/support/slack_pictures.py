"""Pictures of every kind of message, as a phone shows it: `python tests/support/slack_pictures.py [NAME …]`.

They are drawn from the reviewed blocks in tests/data/slack, written to docs/slack, and need Chromium; pngquant makes them small.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from blockkit import message, page, phone

ROOT = Path(__file__).parents[2]
BLOCKS = ROOT / "tests" / "data" / "slack"
PICTURES = ROOT / "docs" / "slack"
SHEET = "all"
MEASURE = "<script>document.querySelectorAll('.phone,.sheet').forEach(e => e.dataset.height = Math.ceil(e.getBoundingClientRect().height))</script>"


def chromium(*arguments: str) -> str:
    """What Chromium prints."""
    browser = shutil.which("chromium") or shutil.which("google-chrome") or "chromium"
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--force-device-scale-factor=1.5",
    ]
    done = subprocess.run(
        [browser, *flags, *arguments], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


def columns() -> dict[str, list[str]]:
    """Each file's messages: one, or a list of them."""
    found: dict[str, list[str]] = {}
    for file in sorted(BLOCKS.glob("*.json")):
        said = json.loads(file.read_text("utf-8"))
        found[file.stem] = [
            message(one["text"], one.get("blocks", []))
            for one in (said if isinstance(said, list) else [said])
        ]
    return found


def main(names: list[str]) -> None:
    """Write the pictures with these names, or all."""
    PICTURES.mkdir(exist_ok=True)
    all_columns = columns()
    sheet = "".join(phone(name, messages, captioned=True) for name, messages in all_columns.items())
    pages = {name: phone(name, messages) for name, messages in all_columns.items()}
    pages[SHEET] = f'<div class="sheet" id="{SHEET}">{sheet}</div>'
    with tempfile.TemporaryDirectory() as folder:
        every = Path(folder, "every.html")
        every.write_text(page("".join(pages.values()) + MEASURE), "utf-8")
        dom = chromium("--dump-dom", every.as_uri())
        for name in names or pages:
            height = max(int(size) for size in re.findall(rf'id="{name}" data-height="(\d+)"', dom)[:1])
            width = 1_670 if name == SHEET else 390
            file = Path(folder, f"{name}.html")
            file.write_text(page(pages[name]), "utf-8")
            picture = PICTURES / f"{name}.png"
            chromium(f"--window-size={width},{height}", f"--screenshot={picture}", file.as_uri())
            if squeeze := shutil.which("pngquant"):
                subprocess.run(
                    [squeeze, "--force", "--output", picture, "--", picture], timeout=60, check=True
                )


if __name__ == "__main__":
    main(sys.argv[1:])
