"""Provenance: a statement of what an image was built from, by which Dockerfile and with which arguments.

An in-toto statement with SLSA's predicate, version 0.2 or 1, filled in as BuildKit does. It goes out beside the image,
as a manifest of its own in the index: `vnd.docker.reference.type: attestation-manifest`. In `mode=min` neither build
arguments nor labels are in it, in `mode=max` they are, and the Dockerfile too; secrets never are.

    >>> Attest.parse("mode=max,version=v1")
    Attest(full=True, version='v1', builder='', reproducible=False)
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from minidocker.build.specs import pairs, truth
from minidocker.content import CONFIG, MANIFEST, Descriptor
from minidocker.dockerfile.mounts import TRUTH
from minidocker.errors import InvalidArgument, Unsupported
from minidocker.layout import Layout
from minidocker.manifest import dump, manifest_of
from minidocker.platforms import Platform
from minidocker.reference import Reference
from minidocker.times import rfc3339

if TYPE_CHECKING:
    from minidocker.build.step import Build

Json = dict[str, Any]
IN_TOTO = "application/vnd.in-toto+json"
TYPES = {"v0.2": "https://slsa.dev/provenance/v0.2", "v1": "https://slsa.dev/provenance/v1"}
BUILD_TYPE = "https://mobyproject.org/buildkit@v1"
BUILD_TYPE_V1 = "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md"


@dataclass(frozen=True)
class Attest:
    """What `--provenance` asks for. `full` is mode=max."""

    full: bool = False
    version: str = "v0.2"
    builder: str = ""
    reproducible: bool = False

    @classmethod
    def parse(cls, text: str) -> Attest | None:
        """`true`, `false`, or `mode=max,version=v1,…`; None where none is wanted. Raises InvalidArgument."""
        if text in TRUTH or not text:
            return cls() if TRUTH.get(text) else None
        given = pairs(text)
        if truth(given, "disabled"):
            return None
        mode, version = given.pop("mode", "min"), given.pop("version", "v0.2")
        builder, reproducible = given.pop("builder-id", ""), truth(given, "reproducible")
        if mode not in ("min", "max"):
            raise InvalidArgument(f'invalid mode "{mode}" for provenance: min or max')
        if version not in TYPES:
            raise InvalidArgument(f'invalid version "{version}" for provenance: v0.2 or v1')
        if given:
            raise InvalidArgument(f"unknown attribute for provenance: {min(given)}")
        return cls(mode == "max", version, builder, reproducible)

    @classmethod
    def of(cls, provenance: str | bool | None, attests: Sequence[str]) -> Attest | None:
        """What both options together ask for. Raises InvalidArgument, Unsupported."""
        asked = [] if provenance in (None, "") else [str(provenance)]
        for text in attests:
            given = pairs(text)
            kind = given.pop("type", "")
            if kind == "sbom" and not truth(given, "disabled"):
                raise Unsupported("--attest type=sbom is not supported: minidocker does not scan what is in an image")
            if kind not in ("provenance", "sbom"):
                raise InvalidArgument(f"unknown attestation type: {kind}" if kind else "attestation type not specified")
            asked += [text.replace("type=provenance", "disabled=false")] if kind == "provenance" else []
        if len(asked) > 1:
            raise InvalidArgument("duplicate attestation field provenance")
        return cls.parse(asked[0]) if asked else None


def predicate(attest: Attest, build: Build) -> Json:
    """What SLSA wants to know of a build that is done."""
    known = _Known(attest, build)
    return known.first() if attest.version == "v0.2" else known.second()


def statement(attest: Attest, said: Json, subject: Sequence[Json]) -> Json:
    """The predicate as a statement about some artifacts."""
    kind = {"_type": "https://in-toto.io/Statement/v0.1", "predicateType": TYPES[attest.version]}
    return kind | {"subject": list(subject), "predicate": said}


def about_image(manifest: Descriptor, names: Sequence[str], platform: Platform) -> list[Json]:
    """An image as a subject: under each of its names, or none."""
    urls = [purl(name, platform) for name in names] or ["_"]
    return [{"name": url, "digest": _digest(manifest.digest)} for url in urls]


def attach(layout: Layout, attest: Attest, said: Json, manifest: Descriptor) -> Json:
    """Put a statement into a layout, as an attestation of an image; the entry for the index."""
    blob = layout.put(json.dumps(said, indent=2).encode(), IN_TOTO)
    blob = Descriptor(IN_TOTO, blob.digest, blob.size, {"in-toto.io/predicate-type": TYPES[attest.version]})
    nowhere = {"architecture": "unknown", "os": "unknown"}
    rootfs = {"type": "layers", "diff_ids": [blob.digest]}
    config = layout.put(dump(nowhere | {"config": {}, "rootfs": rootfs}), CONFIG)
    made = layout.put(manifest_of(config, [blob]), MANIFEST)
    notes = {"vnd.docker.reference.digest": manifest.digest, "vnd.docker.reference.type": "attestation-manifest"}
    return made.to_json() | {"annotations": notes, "platform": nowhere}


def purl(name: str, platform: Platform) -> str:
    """A package URL.

    >>> purl("app:1", Platform.parse("linux/arm64"))
    'pkg:docker/app@1?platform=linux%2Farm64'
    """
    one = Reference.parse(name)
    digest = f"digest={one.digest}&" if one.digest else ""
    version = f"@{one.tag}" if one.tag else ""
    return f"pkg:docker/{one.name}{version}?{digest}platform={quote(str(platform), safe='')}"


class _Known:
    """The facts about one build, in the two shapes that SLSA has for them."""

    def __init__(self, attest: Attest, build: Build) -> None:
        assert build.options is not None and build.dockerfile is not None and build.image is not None
        self.attest, self.build, self.options, self.dockerfile = attest, build, build.options, build.dockerfile
        self.platform = str(Platform.parse(""))

    def first(self) -> Json:
        """Version 0.2."""
        began, ended, invocation = self.when()
        meta: Json = {"buildInvocationID": invocation, "buildStartedOn": began, "buildFinishedOn": ended}
        complete = {"parameters": self.complete, "environment": True, "materials": False}
        meta |= {"completeness": complete, "reproducible": self.attest.reproducible}
        meta |= {f"{BUILD_TYPE}#hermetic": self.hermetic, f"{BUILD_TYPE}#metadata": self.metadata()}
        source, environment = {"entryPoint": self.dockerfile.name}, {"platform": self.platform}
        request = {"configSource": source, "parameters": self.parameters(), "environment": environment}
        steps = {"buildConfig": self.config()} if self.attest.full else {}
        head = {"builder": {"id": self.attest.builder}, "buildType": BUILD_TYPE, "materials": list(self.materials())}
        return head | {"invocation": request} | steps | {"metadata": meta}

    def second(self) -> Json:
        """Version 1."""
        began, ended, invocation = self.when()
        steps = {"buildConfig": self.config()} if self.attest.full else {}
        definition = {
            "buildType": BUILD_TYPE_V1,
            "externalParameters": {"configSource": {"path": self.dockerfile.name}, "request": self.parameters()},
            "internalParameters": steps | {"builderPlatform": self.platform},
            "resolvedDependencies": list(self.materials()),
        }
        meta: Json = {"invocationID": invocation, "startedOn": began, "finishedOn": ended}
        meta |= {"buildkit_metadata": self.metadata(), "buildkit_hermetic": self.hermetic}
        meta |= {"buildkit_completeness": {"request": self.complete, "resolvedDependencies": False}}
        meta |= {"buildkit_reproducible": self.attest.reproducible}
        return {"buildDefinition": definition, "runDetails": {"builder": {"id": self.attest.builder}, "metadata": meta}}

    @property
    def given(self) -> dict[str, str]:
        """What was asked for that may be anybody's business or not."""
        args = {f"build-arg:{name}": value for name, value in self.options.build_args.items()}
        return args | {f"label:{name}": value for name, value in self.options.labels.items()}

    @property
    def complete(self) -> bool:
        return self.attest.full or not self.given

    def parameters(self) -> Json:
        """The request, as BuildKit's frontend gets it."""
        target = {"target": self.options.target} if self.options.target else {}
        args = target | (self.given if self.attest.full else {})
        local = {"locals": [{"name": "context"}, {"name": "dockerfile"}]}
        return {"frontend": "dockerfile.v0"} | ({"args": args} if args else {}) | local

    def materials(self) -> Iterator[Json]:
        """What came in: images, and what ADD fetched."""
        for name, image in sorted(self.build.bases.items()):
            platform = Platform.parse(f"linux/{image.raw.get('architecture') or 'amd64'}")
            yield {"uri": purl(name, platform), "digest": _digest(image.manifest_digest)}
        rows = {
            url: said for step in self.build.steps for url, said in step.files.items() if "://" in url or "@" in url
        }
        for url, said in sorted(rows.items()):
            if said.startswith("commit "):
                yield {"uri": url, "digest": {"sha1": said.split()[3]}}
            elif said.split()[-1].startswith("sha256:") and url.startswith(("http://", "https://")):
                yield {"uri": url, "digest": _digest(said.split()[-1])}

    @property
    def hermetic(self) -> bool:
        """Whether nothing could reach a network while it was built."""
        return all(step.facts.get("network", "none") == "none" for step in self.build.steps)

    def config(self) -> Json:
        """The steps; BuildKit has its graph here, and we what it was made from."""
        steps = [
            {"id": f"step{step.number}", "stage": step.stage, "line": step.line, "instruction": step.text}
            | ({"layer": step.layer.diff_id} if step.layer else {})
            for step in self.build.steps
        ]
        return {"steps": steps}

    def metadata(self) -> Json:
        """BuildKit's own: in mode=max, the Dockerfile, and which step is which line."""
        if not self.attest.full:
            return {}
        data = base64.b64encode(self.dockerfile.text.encode("utf-8", "surrogateescape")).decode()
        infos = [{"filename": self.dockerfile.name, "language": "Dockerfile", "data": data}]
        lines = {
            f"step{step.number}": {"start": {"line": step.line}, "end": {"line": step.line}}
            for step in self.build.steps
        }
        places = {name: {"locations": [{"ranges": [line]}]} for name, line in lines.items()}
        return {"source": {"locations": places, "infos": infos}}

    def when(self) -> tuple[str, str, str]:
        """When it began and ended, and a name for just this build; with SOURCE_DATE_EPOCH, all of that repeats."""
        began, ended = self.build.began, self.build.ended
        if self.options.epoch is not None:
            began = ended = self.options.epoch * 10**9
        assert self.build.image is not None
        name = hashlib.sha256(f"{self.build.image.id} {began} {ended}".encode()).hexdigest()[:25]
        return rfc3339(began), rfc3339(ended), name


def _digest(digest: str) -> dict[str, str]:
    kind, _, value = digest.partition(":")
    return {kind: value}
