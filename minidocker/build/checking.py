"""`docker build --check`: a build that looks at the Dockerfile, and builds nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minidocker.build import build_image
from minidocker.build.builder import Builder
from minidocker.build.step import Build
from minidocker.dockerfile.lint import check_text
from minidocker.errors import DockerfileError

if TYPE_CHECKING:
    from minidocker.engine import Engine


class Checker(Builder):
    """A builder that only warns: of all stages, or of those that `--target` needs."""

    def build(self) -> Build:
        """Look. Raises DockerfileError, with the warnings so far."""
        self.check()
        target = self.options.target
        wanted = self.graph.plan(self.dockerfile.target(target)) if target else self.dockerfile.stages
        self.lint(list(wanted))
        return self.tell.build


def check(engine: Engine, **options: Any) -> Build:
    """A `Build` with nothing but its `dockerfile` and its `warnings`; for the arguments see `build_image`.

    Raises DockerfileError, with the warnings so far.
    """
    try:
        return build_image(engine, **options, builder=Checker)
    except DockerfileError as error:
        error.warnings = error.warnings or check_text(error.text, error.line, error.name)
        raise
