"""Make the README's pictures anew: lessons, run in JupyterLab, in a headless Chromium (Debian's).

.venv/bin/python -m notebooks.images.screenshot
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.browser.desk import Desk
from tests.browser.lab import HOME, chromium, jupyterlab

HERE = Path(__file__).resolve().parent
SHOWN = {  # picture -> the lesson, and the cell that is near its top
    "start-here": ("00-start-here", "ann.start()"),
    "explorer": ("03-stacking", "explorer(image"),
}


def main() -> None:
    """Run every cell, scroll, and take the picture."""
    with (
        tempfile.TemporaryDirectory() as folder,
        jupyterlab(Path(folder), {"notebooks": HOME / "notebooks"}) as address,
        chromium() as browser,
    ):
        for name, (lesson, cell) in SHOWN.items():
            desk = Desk.at(browser, address + "&reset", height=860)  # without what was open before
            opened = desk.open(f"notebooks/{lesson}.ipynb")
            opened.run_all()
            opened.scroll_to(cell)
            desk.page.screenshot(path=HERE / f"{name}.png")
            opened.close()


if __name__ == "__main__":
    main()
