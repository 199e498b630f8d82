"""`lens(engine)`: what the host sees, what a container sees, and a switch for each namespace that lies between.

To flip a switch starts the container anew, with that namespace shared with the host, or its own again: nobody can
change it while it runs. What is shown then is measured. A simulated machine has no namespaces, and no switches.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import ipywidgets as W

from minidocker.errors import DockerException, NotFound
from minidocker.notebook.pictures.lens import KINDS, STILL, Sight, lens_figure
from minidocker.notebook.pictures.svg import Figure
from minidocker.notebook.sight import SHARED, sight
from minidocker.notebook.widgets.face import Faced, Picture, on_change

if TYPE_CHECKING:
    from minidocker.container import Container
    from minidocker.engine import Engine

SLEEPS = ["sh", "-c", "sleep 100000 & sleep 100000"]  # two processes at least, and nothing to do
ALWAYS = {  # which namespaces nobody shares, and why
    "mnt": "docker run has no option for it: without it, there would be no image to see",
    "time": "docker run has no option for it: its clocks are not shifted anyway",
}
SIMULATED = "No switches here: this machine starts no real containers (simulated): there is nothing to share."


class Lens(Faced):
    """A container, seen from both sides; a ticked box is a namespace of its own."""

    def __init__(self, engine: Engine, image: str, name: str) -> None:
        self.engine, self.image, self.name = engine, image, name
        self.real = engine.runtime.name == "namespaces"
        self.putting_back = False
        self.switches = {kind: self._switch(kind) for kind in SHARED}
        self.picture = Picture()
        row = W.HBox(list(self.switches.values()), layout={"flex_flow": "row wrap"})
        label = W.HTML("namespaces of its own (untick one to share the host's):", layout={"margin": "0"})
        super().__init__([label, row, self.picture])
        self.start()

    def _switch(self, kind: str) -> Any:
        fixed = not self.real or kind in ALWAYS
        why = SIMULATED if not self.real else ALWAYS.get(kind, f"untick: {SHARED[kind][0]}")
        words = f"{KINDS[kind].partition(',')[0]} ({kind})"
        layout = {"width": "max-content", "margin": "0 14px 0 0"}
        box = W.Checkbox(value=True, description=words, indent=False, disabled=fixed, tooltip=why, layout=layout)
        on_change(box, lambda own: self.flip(kind, own))
        return box

    @property
    def shares(self) -> list[str]:
        """The kinds whose namespace is the host's, as the switches stand."""
        return [kind for kind, switch in self.switches.items() if not switch.value]

    def flip(self, kind: str, own: bool) -> None:
        """Start anew as the switches stand now; where that is refused, put this one back, and say why."""
        if self.putting_back:
            return
        try:
            self.start()
        except (DockerException, OSError) as error:
            self.putting_back = True
            self.switches[kind].value = not own
            self.putting_back = False
            self.start([f"Docker says: {error}".partition("\n")[0]])

    def start(self, notes: list[str] | None = None) -> None:
        """Remove the container, start another one, and look at it from both sides."""
        self._remove()
        options: dict[str, Any] = {}
        for kind in self.shares:
            options |= SHARED[kind][1]
        self.container: Container = self.engine.containers.run(
            self.image, SLEEPS, name=self.name, detach=True, stop_signal="KILL", **options
        )
        seen = sight(self.container)
        flags = "".join(f" {SHARED[kind][0]}" for kind in self.shares)
        notes = [*(notes or []), *self._notes(seen)]
        self.picture.figure = lens_figure(seen, f"docker run -d{flags} {self.image} …", notes)

    def _notes(self, seen: Sight) -> list[str]:
        if not self.real:
            return [SIMULATED]
        kept = [facet.kind for facet in seen.facets if facet.kind in self.shares and facet.apart]
        words = "Asked for, and not shared: without root, a container always has a user namespace of its own."
        return [words] if "user" in kept else []

    def _remove(self) -> None:
        with contextlib.suppress(NotFound):
            self.engine.containers.get(self.name).remove(force=True)

    def face(self) -> Figure:
        """A container that shares nothing, in words that are true on every machine."""
        return lens_figure(STILL, "docker run -d")

    def close(self) -> None:
        """Remove its container."""
        with contextlib.suppress(DockerException, OSError):
            self._remove()
        super().close()


def lens(engine: Engine, image: str = "minidocker/base", name: str = "lens") -> Lens:
    """A container of an image from both sides, with switches. An older one of the same name is removed.

    The image needs a shell, `cat` and `sleep`.
    """
    return Lens(engine, image, name)
