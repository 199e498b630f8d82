"""Pictures: pure functions from the engine's public state to a `Figure`, which is SVG and its twin in text.

    svg.py      what a figure is made of: boxes, arrows, text that fits, the notebook's own colours
    dot.py      the one place where Graphviz source becomes SVG
    facts.py    what pictures show, as plain values: an image as rows, a layer as marks A, M and D
    objects.py  which picture belongs to which object: what `image` or `container` at the end of a cell shows

The others are one picture each. None knows Jupyter; each figure is the same bytes for the same state.
"""
