"""A slider that everybody can use: the one of ipywidgets has no name for a screen reader (axe-core found it).

>>> slider = Slider(value=2, min=1, max=7, description="step")
>>> slider.value = 99
>>> slider.value
7
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import traitlets


class Slider(anywidget.AnyWidget):
    """Whole numbers from `min` to `max`, with ipywidgets' names; a value beyond the ends is brought to the end."""

    _esm = Path(__file__).with_suffix(".js")
    min = traitlets.Int(0).tag(sync=True)
    max = traitlets.Int(100).tag(sync=True)
    value = traitlets.Int(0).tag(sync=True)
    description = traitlets.Unicode().tag(sync=True)
    label_width = traitlets.Unicode().tag(sync=True)  # as ipywidgets' style.description_width: "90px"
    disabled = traitlets.Bool(False).tag(sync=True)

    @traitlets.validate("value")
    def _within(self, proposal: Any) -> int:
        return int(min(max(proposal["value"], self.min), self.max))
