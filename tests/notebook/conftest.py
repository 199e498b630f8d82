"""What the pictures are tested on: an image in a store, a few steps of a build, XML that can be looked into."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from minidocker.content import Store
from minidocker.image import Image
from minidocker.images import Images
from minidocker.layer import WHITEOUT, Changeset
from minidocker.notebook.pictures.svg import Figure
from minidocker.tree import directory, file

Parse = Callable[[Figure], ElementTree.Element]


@pytest.fixture
def images(tmp_path: Path) -> Images:
    return Images(Store(tmp_path / "store"))


@pytest.fixture
def base(images: Images) -> Image:
    layer = images.add_layer(Changeset({"/bin/sh": file(b"#!" * 500, mode=0o755), "/tmp/junk": file(b"junk")}))
    config = {"history": [{"created_by": "ADD rootfs /"}, {"created_by": 'CMD ["sh"]', "empty_layer": True}]}
    image = images.create(config, [layer])
    images.tag(image, "minidocker/base")
    return images.get("minidocker/base")


@pytest.fixture
def app(images: Images, base: Image) -> Image:
    copied = images.add_layer(Changeset({"/app": directory(), "/app/hello.sh": file(b"echo hi")}))
    changed = images.add_layer(
        Changeset({"/app/hello.sh": file(b"echo hello"), "/tmp": directory(), "/tmp/junk": WHITEOUT})
    )
    history = [
        *base.raw["history"],
        {"created_by": "COPY hello.sh /app/ # buildkit"},
        {"created_by": "ENV GREETING=Hello", "empty_layer": True},
        {"created_by": "RUN /bin/sh -c rm /tmp/junk # buildkit"},
    ]
    settings = {"Cmd": ["sh", "/app/hello.sh"], "Env": ["PATH=/bin", "GREETING=Hello"], "WorkingDir": "/app"}
    image = images.create({"config": settings, "history": history}, [*base.layers, copied, changed])
    images.tag(image, "app")
    return images.get("app")


@pytest.fixture
def parse() -> Parse:
    """Read a figure's SVG as strict XML."""

    def read(figure: Figure) -> ElementTree.Element:
        return ElementTree.fromstring(figure.svg())

    return read
