"""Hidden projects of the capstone: another token, another program, another file that is edited."""

from __future__ import annotations

from minidocker.grading.project import Project

OTHER = Project(
    token="tok-c41e0f9a7d3b8526",
    title="wishes",
    words="summer",
    orders="plums 12\nfigs 1\nnuts 300\n",
    packages="left-pad 1.3\nright-pad 0.9\n",
    edited="src/head.sh",
    edit="wishes and orders",
)

HIDDEN = dict.fromkeys(("C.1", "C.2", "C.3", "C.4", "C.5"), (OTHER,))
