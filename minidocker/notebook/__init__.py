"""minidocker in a notebook: `%load_ext minidocker`, `%%dockerfile`, `%docker`, and objects that draw themselves.

    pictures/   pure functions over what the engine tells of itself: state -> Figure (SVG, and its twin in text)
    widgets/    the same pictures with controls; each has a still face for where no kernel runs
    lessons.py  a clean engine of its own, and an empty folder, for one notebook
    hub.py      a registry for one notebook
    desk.py     a daemon for one notebook, and what crosses to it and back
    programs.py a function of the notebook, as a program beside it
    sight.py    what is seen from inside a container, and from outside
    survey.py   which containers are on which networks, and who listens; a connection that is tried
    attacks.py  what a program inside may try, with its walls and without
    listing.py  the module that a lesson is about, shown in it
    magics.py   a cell that is a Dockerfile; docker's command line in a cell

All that a lesson uses is had from here (`from minidocker.notebook import lesson, figure`) and is imported when it is
first asked for; the pictures need nothing of Jupyter.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

NAMES = {  # where each name that a lesson imports from here stands
    "pictures.objects": "figure mimebundle stack text walk",
    "pictures.blame": "blame",
    "pictures.tarball": "blocks",
    "pictures.powers": "powers",
    "pictures.ray": "ray",
    "pictures.film": "film",
    "pictures.homes": "homes",
    "pictures.owners": "owners",
    "pictures.crowd": "crowd",
    "pictures.machine": "life_cycle",
    "pictures.signals": "signals",
    "lessons": "lesson on_linux",
    "hub": "registry",
    "desk": "daemon recorded_run",
    "programs": "beside",
    "listing": "source",
    "magics": "load_ipython_extension",
    "pictures.door": "door patterns",
    "pictures.conversation": "conversation moved",
    "pictures.crossing": "crossing masked",
    "pictures.labels": "labels",
    "pictures.platforms": "platform_index",
    "pictures.matrix": "matrix",
    "pictures.networkmap": "name_tables network_map",
    "pictures.packet": "packet",
    "pictures.scopes": "scopes",
    "pictures.trace": "trace",
    "pictures.imagediff": "image_diff",
    "pictures.sharing": "shared_layers",
    "pictures.storegraph": "store_graph",
    "pictures.waterfall": "waterfall",
    "widgets.hashlab": "hashlab",
    "widgets.lifelab": "life_lab",
    "widgets.lens": "lens",
    "widgets.limitslab": "limits_lab",
    "widgets.starts": "starts",
    "widgets.copylab": "copy_lab",
    "widgets.daemonlab": "daemon_lab",
    "widgets.explorer": "explorer",
    "pictures.ladder": "ladders",
    "pictures.lanes": "lanes",
    "pictures.stages": "stages",
    "widgets.cachelab": "cache_lab",
    "widgets.registrylab": "registry_lab",
    "widgets.tracer": "tracer",
    "widgets.predict": "predict",
    "widgets.tarlab": "tar_lab",
    "widgets.volumelab": "volume_lab",
    "widgets.stepper": "stepper",
}
PLACES = {name: module for module, names in NAMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *PLACES])
