"""`docker pull`: an image of a registry comes here; nothing of it is seen before all of it is here and checked.

    GET manifest (of an index, the one for this platform)  ->  GET configuration  ->  GET layers, three at a time
    then, in this order: the layers' blobs, the configuration, the manifest as it came, its names

The manifest's bytes are kept, so a push to elsewhere gives the same digest. The name that no tag can move,
`app@sha256:…`, stands beside the tag.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from minidocker.content import CONFIG, INDEX
from minidocker.errors import APIError, ImageNotFound
from minidocker.image import Image
from minidocker.images import Images
from minidocker.reference import Reference
from minidocker.registry.client import Client, Repository
from minidocker.registry.download import Download
from minidocker.registry.known import Known
from minidocker.registry.progress import Progress
from minidocker.registry.refusals import of_pull
from minidocker.registry.resolve import Resolved, fits, resolve


def pull(images: Images, client: Client, name: Reference, progress: Progress, platform: str = "") -> Image:
    """Bring one image here, and give it its name. Raises ImageNotFound, Refused, Unreachable, CorruptBlob…"""
    return _from_any(images, client, name, progress, lambda there: [_pull(images, there, name, progress, platform)])[0]


def pull_all(images: Images, client: Client, name: Reference, progress: Progress, platform: str = "") -> list[Image]:
    """Bring all tagged images of a repository here."""

    def every(there: Repository) -> list[Image]:
        tags = there.tags()
        if not tags:
            raise ImageNotFound(f"repository {name.name} has no tags")
        names = [Reference.parse(f"{name.name}:{tag}") for tag in tags]
        return [_pull(images, there, one, progress, platform) for one in names]

    return _from_any(images, client, name, progress, every, one=False)


def _from_any(
    images: Images,
    client: Client,
    name: Reference,
    progress: Progress,
    action: Callable[[Repository], list[Image]],
    one: bool = True,
) -> list[Image]:
    """From the first server that has it: a mirror may not."""
    error: APIError | None = None
    said = str(name) if one else name.name
    try:
        for there in client.repositories(name.domain, name.path):
            try:
                before = images.names(), images.digests()
                with images.store.keep():
                    pulled = action(there)
                fresh = (images.names(), images.digests()) != before
                progress.say(f"Status: {'Downloaded newer image' if fresh else 'Image is up to date'} for {said}")
            except APIError as caught:
                if not there.endpoint.mirror:
                    raise of_pull(caught, name) from caught
                error = caught
                client.wire.stopped.clear()
                continue
            return pulled
        raise error or ImageNotFound(f"there is no server for {name}")
    except BaseException:
        client.wire.stop()
        raise
    finally:
        client.close()


def _pull(images: Images, there: Repository, name: Reference, progress: Progress, platform: str) -> Image:
    image, digest = (None, "") if platform else current(images, there, name)
    found = resolve(there, name, platform) if image is None else None
    progress.say(f"Pulling from {name.path}", name.digest or name.tag)
    if image is None:
        assert found is not None
        image, digest = fetch(images, there, found, progress), found.top.digest
        if problem := fits(found, platform):
            progress.say(f"WARNING: image with reference {name} was found but {problem}")
    images.add_digest(image, f"{name.name}@{digest}")
    if not name.digest:
        images.tag(image, str(name), told=False)
    progress.say(f"Digest: {digest}")
    return image


def current(images: Images, there: Repository, name: Reference) -> tuple[Image | None, str]:
    """The image here, and its digest there, where the registry says that the name still means just that.

    It is a question without a body: Docker Hub does not count it as a pull.
    """
    if name.digest or not images.find(str(name)):
        return None, ""
    blob = there.client.again(lambda: there.head_manifest(name.tag))
    pinned = f"{name.name}@{blob.digest}" if blob else ""
    here = images.find(pinned) if blob and pinned in images.get(str(name)).digests else None
    if blob is None or here is None:
        return None, ""
    image = Image(images, here["digest"])
    whole = all(images.store.has(layer.descriptor.digest) for layer in image.layers)
    return (image, blob.digest) if whole else (None, "")


def fetch(images: Images, there: Repository, found: Resolved, progress: Progress) -> Image:
    """Bring the blobs of an image here, those that are missing, and enter the image; it has no name yet."""
    store, client = images.store, there.client
    jobs = {blob.digest: Download(store, there, blob, diff_id, progress, urls) for blob, diff_id, urls in found.layers}
    for number, job in enumerate(jobs.values()):
        if not job.here:
            progress.state(job.id, "Pulling fs layer" if number < client.settings.downloads else "Waiting")
    together([job.run for job in jobs.values()], client.settings.downloads, client)
    for job in jobs.values():
        job.commit()
    store.put(found.config, CONFIG)
    if found.top is not found.manifest:
        store.put(found.top.data, INDEX)
    if not there.endpoint.mirror:
        Known(store).note(there, jobs, {})
    return images.add_manifest(found.manifest.data)


def together(jobs: Sequence[Callable[[], object]], workers: int, client: Client) -> None:
    """Do all of this, so many at a time; where one fails, or somebody interrupts, the others are ended."""
    with ThreadPoolExecutor(workers, "layer") as pool:
        futures = [pool.submit(job) for job in jobs]
        try:
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            failed = [future for future in done if future.exception()]
            if failed:
                failed[0].result()
        except BaseException:
            client.wire.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
