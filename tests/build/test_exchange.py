"""The build cache goes to a folder or into an image, and a build on a fresh root takes it from there."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minidocker.build.forecast import Forecaster
from minidocker.compression import _library
from minidocker.content import Store
from minidocker.errors import APIError, InvalidArgument, Unsupported
from minidocker.images import Images
from minidocker.layout import blob_name

TEXT = """\
FROM busybox AS tools
ARG V=1
RUN echo $V > /v
FROM busybox
ENV A=1
COPY a.txt /a/
COPY --from=tools /v /v2
RUN echo last > /last
CMD ["x"]
"""
FILES = {"a.txt": "A"}
ZSTD = pytest.mark.skipif(not (shutil.which("zstd") or _library()), reason="no zstd here")


@pytest.fixture
def fresh(workshop: Any, tmp_path: Path) -> Callable[[], Any]:
    """A function that gives another workshop, with the same base, the same context and an empty cache."""
    base = workshop.images.get("busybox")
    number = iter(range(100))

    def make() -> Any:
        store = Store(tmp_path / f"store{next(number)}")
        images = Images(store)
        layers = [images.add_layer(layer.changes) for layer in base.layers]
        images.tag(images.create(base.raw, layers), "busybox")
        return type(workshop)(store, images, workshop.runtime, workshop.folder)

    return make


def reasons(build: Any) -> list[str]:
    return [step.decision.reason for step in build.steps if not step.text.startswith("FROM")]


def index(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "index.json").read_text())["manifests"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "how", ["", ",compression=uncompressed", pytest.param(",compression=zstd", marks=ZSTD), ",mode=max,tag=x"]
)
def test_a_fresh_root_hits_as_the_first_one_would(workshop: Any, fresh: Any, tmp_path: Path, how: str) -> None:
    there = tmp_path / "cache"
    first = workshop.build(TEXT, FILES, cache_to=f"type=local,dest={there}{how}")
    tag = ",tag=x" if "tag" in how else ""
    second = fresh().build(TEXT, cache_from=f"type=local,src={there}{tag}")
    assert second.image.id == first.image.id
    hit = f"hit from the cache in {there}"
    full = "max" in how
    assert reasons(second) == [hit, hit if full else "miss because never built before", *[hit] * 5]
    assert second.image.cat("/v2") == b"1\n"


def test_once_taken_it_is_there(workshop: Any, fresh: Any, tmp_path: Path) -> None:
    workshop.build(TEXT, FILES, cache_to=f"type=local,dest={tmp_path}/c,mode=max")
    other = fresh()
    other.build(TEXT, cache_from=f"type=local,src={tmp_path}/c")
    shutil.rmtree(tmp_path / "c")
    assert set(reasons(other.build(TEXT))) == {"hit"}


def test_only_what_changed_is_built(workshop: Any, fresh: Any, tmp_path: Path) -> None:
    workshop.build(TEXT, FILES, cache_to=f"type=local,dest={tmp_path}/c,mode=max")
    other = fresh()
    build = other.build(TEXT, {"a.txt": "B"}, cache_from=f"type=local,src={tmp_path}/c")
    words = [step.decision.word for step in build.steps if not step.text.startswith("FROM")]
    assert words == ["hit", "hit", "hit", "miss", "miss", "miss", "miss"]
    assert build.image.cat("/a/a.txt") == b"B"


def test_the_forecast_knows_it(workshop: Any, fresh: Any, tmp_path: Path) -> None:
    workshop.build(TEXT, FILES, cache_to=f"type=local,dest={tmp_path}/c,mode=max")
    other = fresh()
    before = sorted([*(other.store.root / "blobs").rglob("*"), *(other.store.root / "cache").rglob("*")])
    forecast = other.build(TEXT, cache_from=f"type=local,src={tmp_path}/c", builder=Forecaster)
    after = sorted([*(other.store.root / "blobs").rglob("*"), *(other.store.root / "cache").rglob("*")])
    assert after == before, "nothing is written"
    build = other.build(TEXT, cache_from=f"type=local,src={tmp_path}/c")
    for guess, step in zip(forecast.steps, build.steps, strict=True):
        assert guess.decision.word in (step.decision.word, "depends")
    assert reasons(forecast)[:3] == reasons(build)[:3]


def test_the_folder_is_a_layout_and_does_not_grow(workshop: Any, tmp_path: Path) -> None:
    there = tmp_path / "c"
    for number in range(3):
        workshop.build(TEXT, {"a.txt": str(number)}, cache_to=f"type=local,dest={there}")
        blobs = {f"sha256:{path.name}" for path in (there / "blobs" / "sha256").iterdir()}
        (entry,) = index(there)
        manifest = json.loads((there / blob_name(entry["digest"])).read_bytes())
        named = {entry["digest"], manifest["config"]["digest"], *(layer["digest"] for layer in manifest["layers"])}
        assert blobs == named
    assert manifest["config"]["mediaType"] == "application/vnd.minidocker.cache.config.v0+json"
    workshop.build(TEXT, cache_to=f"type=local,dest={there},tag=two")
    assert [one["annotations"]["org.opencontainers.image.ref.name"] for one in index(there)] == ["latest", "two"]


def test_what_else_is_in_the_folder_stays(workshop: Any, tmp_path: Path) -> None:
    there = tmp_path / "c"
    there.mkdir()
    (there / "mine").write_text("x")
    with pytest.raises(InvalidArgument, match=r"index\.json"):
        workshop.build(TEXT, FILES, cache_to=f"type=local,dest={there}")
    workshop.build(TEXT, FILES, cache_to=f"type=local,dest={there},ignore-error=true")
    assert [path.name for path in there.iterdir()] == ["mine"]


@pytest.mark.parametrize("how", [{"cache_to": "type=inline"}, {"buildargs": {"BUILDKIT_INLINE_CACHE": "1"}}])
def test_inline(workshop: Any, fresh: Any, how: dict[str, Any]) -> None:
    first = workshop.image(TEXT, FILES, tag="app", **how)
    assert "minidocker.cache.v0" in first.raw
    other = fresh()
    from minidocker.archive import load, save

    load(other.images, save([(first, ["app"])]))
    build = other.build(TEXT, cache_from=["app"])
    hit = "hit from the image app"
    assert reasons(build)[2:] == [hit] * 5
    assert build.image.diff_ids == first.diff_ids
    child = workshop.image("FROM app\nCMD y\n")
    assert "minidocker.cache.v0" not in child.raw, "it was about the base"
    again = workshop.image(TEXT, FILES, **how, nocache=False)
    assert again.id == first.id, "it repeats"


def test_gzipped_layers_hold_a_cache_too(workshop: Any, fresh: Any, tmp_path: Path) -> None:
    from minidocker.archive import load

    workshop.build(TEXT, FILES, tag="app", cache_to="type=inline", output=f"type=oci,dest={tmp_path}/o.tar")
    other = fresh()
    load(other.images, tmp_path / "o.tar")
    build = other.build(TEXT, cache_from="type=registry,ref=app")
    assert reasons(build)[2:] == ["hit from the image app"] * 5
    assert build.image.cat("/last") == b"last\n"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            "type=local,src=/no/such",
            r"local cache import at /no/such not found due to err: could not read /no/such/index",
        ),
        ("busybox", "cache import from busybox not found due to err: there is no cache metadata in it"),
        ("nosuch:1", "cache import from nosuch:1 not found due to err: No such image: nosuch:1"),
    ],
)
def test_a_cache_that_is_not_there_costs_a_warning(workshop: Any, given: str, words: str) -> None:
    build = workshop.build(TEXT, FILES, cache_from=given)
    assert words in build.log
    assert build.image is not None


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"cache_to": "type=registry,ref=x"}, Unsupported, "type=registry is not supported"),
        ({"cache_to": "type=gha"}, Unsupported, "type=gha is not supported"),
        ({"cache_to": "user/app:cache"}, Unsupported, "use type=local"),
        ({"cache_to": "type=local"}, InvalidArgument, "local cache exporter requires dest"),
        ({"cache_to": "type=local,dest=x,mode=mid"}, InvalidArgument, "invalid cache mode 'mid'"),
        ({"cache_to": "type=local,dest=x,no=1"}, InvalidArgument, "unknown attribute"),
        ({"cache_to": "dest=x"}, InvalidArgument, 'type required for "dest=x"'),
        ({"cache_from": "type=s3,bucket=x"}, Unsupported, "type=s3 is not supported"),
        ({"cache_from": "type=local"}, InvalidArgument, "local cache importer requires src"),
        ({"cache_from": "src=x"}, InvalidArgument, 'type required for "src=x"'),
    ],
)
def test_what_is_refused(workshop: Any, options: dict[str, str], error: type[APIError], words: str) -> None:
    with pytest.raises(error, match=words):
        workshop.build(TEXT, FILES, **options)
    assert not list((workshop.store.root / "cache").glob("steps/*"))


# From hostile hands

FIXED: dict[str, Any] = {"buildargs": {"SOURCE_DATE_EPOCH": "1700000000"}}


def rewritten(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the records of a cache, digests and all, as somebody would who can write there."""
    import hashlib

    (entry,) = index(folder)
    manifest = json.loads((folder / blob_name(entry["digest"])).read_bytes())
    config = json.loads((folder / blob_name(manifest["config"]["digest"])).read_bytes())
    change(config)
    for holder, value in ((manifest["config"], config), (entry, manifest)):
        data = json.dumps(value).encode()
        holder |= {"digest": f"sha256:{hashlib.sha256(data).hexdigest()}", "size": len(data)}
        (folder / blob_name(holder["digest"])).write_bytes(data)
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))


def spoil(config: dict[str, Any], **fields: Any) -> None:
    for record in config["records"]:
        if "diff_id" in record:
            record.update(fields)


@pytest.mark.parametrize(
    "change",
    [
        lambda config: config.update(records=7),
        lambda config: config.update(records=[{}]),
        lambda config: config.update(records=[[]]),
        lambda config: spoil(config, facts="x"),
        lambda config: spoil(config, diff_id="../../etc/passwd"),
        lambda config: spoil(config, layer=99),
        lambda config: spoil(config, layer="0"),
        lambda config: spoil(config, layer=-1),
        lambda config: spoil(config, size=None),
        lambda config: spoil(config, created=5),
        lambda config: spoil(config, seconds="long"),
        lambda config: spoil(config, instruction=None),
    ],
)
def test_records_that_make_no_sense(workshop: Any, fresh: Any, tmp_path: Path, change: Any) -> None:
    there = tmp_path / "c"
    first = workshop.build(TEXT, FILES, **FIXED, cache_to=f"type=local,dest={there},mode=max")
    rewritten(there, change)
    build = fresh().build(TEXT, **FIXED, cache_from=f"type=local,src={there}")
    assert "not found due to err" in build.log
    assert build.image.diff_ids == first.image.diff_ids


@pytest.mark.parametrize(
    "change",
    [
        lambda config: spoil(config, diff_id="sha256:" + "0" * 64),
        lambda config: spoil(config, size=1),
        lambda config: [record.update(facts={**record["facts"], "extra": 1}) for record in config["records"]],
    ],
)
def test_layers_that_are_not_what_they_should_be(workshop: Any, fresh: Any, tmp_path: Path, change: Any) -> None:
    there = tmp_path / "c"
    first = workshop.build(TEXT, FILES, **FIXED, cache_to=f"type=local,dest={there},mode=max")
    rewritten(there, change)
    other = fresh()
    build = other.build(TEXT, **FIXED, cache_from=f"type=local,src={there}")
    assert build.image.diff_ids == first.image.diff_ids
    assert not any(
        "from" in reason for reason in reasons(build) if reason.startswith("hit") and "ENV" not in reason
    ) or ("damaged" in " ".join(reasons(build)))


def test_damaged_blobs(workshop: Any, fresh: Any, tmp_path: Path) -> None:
    there = tmp_path / "c"
    first = workshop.build(TEXT, FILES, **FIXED, cache_to=f"type=local,dest={there},mode=max")
    (entry,) = index(there)
    manifest = json.loads((there / blob_name(entry["digest"])).read_bytes())
    for number, layer in enumerate(manifest["layers"]):
        path = there / blob_name(layer["digest"])
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 255
        path.write_bytes(data if number else data[:-3])
    build = fresh().build(TEXT, **FIXED, cache_from=f"type=local,src={there}")
    assert sum(f"the cache in {there} is damaged" in reason for reason in reasons(build)) >= 3
    assert build.image.diff_ids == first.image.diff_ids


def test_a_hostile_layer_is_refused(workshop: Any, fresh: Any, tmp_path: Path) -> None:
    """Its digests are right, but it is no layer that anybody may have."""
    import hashlib
    import io
    import tarfile

    there = tmp_path / "c"
    workshop.build(TEXT, FILES, **FIXED, cache_to=f"type=local,dest={there},mode=max,compression=uncompressed")
    evil = io.BytesIO()
    with tarfile.open(fileobj=evil, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("../../etc/cron.d/evil"))
    data = evil.getvalue()
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    (there / blob_name(digest)).write_bytes(data)
    (entry,) = index(there)
    manifest = json.loads((there / blob_name(entry["digest"])).read_bytes())
    manifest["layers"] = [one | {"digest": digest, "size": len(data)} for one in manifest["layers"]]
    text = json.dumps(manifest).encode()
    entry |= {"digest": f"sha256:{hashlib.sha256(text).hexdigest()}", "size": len(text)}
    (there / blob_name(entry["digest"])).write_bytes(text)
    (there / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    rewritten(there, lambda config: spoil(config, diff_id=digest, size=len(data)))
    build = fresh().build(TEXT, **FIXED, cache_from=f"type=local,src={there}")
    assert "is damaged" in " ".join(reasons(build))
    assert "/etc/cron.d/evil" not in build.image.tree()


def test_links_out_of_the_folder_give_nothing(workshop: Any, fresh: Any, tmp_path: Path) -> None:
    there = tmp_path / "c"
    workshop.build(TEXT, FILES, **FIXED, cache_to=f"type=local,dest={there},mode=max")
    (tmp_path / "secret").write_text("secret")
    for blob in (there / "blobs" / "sha256").iterdir():
        if os.name == "posix" and blob.stat().st_size < 400:
            blob.unlink()
            blob.symlink_to(tmp_path / "secret")
    build = fresh().build(TEXT, **FIXED, cache_from=f"type=local,src={there}")
    assert build.image is not None
    assert "secret" not in json.dumps([step.decision.reason for step in build.steps])
