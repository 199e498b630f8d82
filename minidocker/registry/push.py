"""`docker push`: an image of ours goes to a registry, what is already there excepted.

    HEAD blob  ->  mount it from another repository  ->  upload it;   five layers at a time
    then the configuration, and the manifest last, under the tag: nobody sees half an image

Layers that are compressed here go as they are, and with them the manifest as it came: the digest there is the one that
it had. Plain ones are gzipped on the way, always to the same bytes on one machine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256

from minidocker.content import MANIFEST, Descriptor
from minidocker.image import Image, Layer
from minidocker.layout import OCIS
from minidocker.manifest import manifest_of
from minidocker.reference import Reference
from minidocker.registry.client import Client, Repository
from minidocker.registry.known import Known
from minidocker.registry.progress import Progress, short
from minidocker.registry.pull import together
from minidocker.registry.upload import Packed, Source, Upload


@dataclass
class Push:
    """One image on its way into one repository."""

    image: Image
    there: Repository
    progress: Progress
    sent: dict[str, Descriptor] = field(default_factory=dict)  # diff id -> what it is there
    skipped: set[str] = field(default_factory=set)

    def run(self, tag: str) -> Descriptor:
        """Send what is missing, and name it; the descriptor of the manifest."""
        layers = {layer.diff_id: layer for layer in reversed(self.image.layers)}
        for layer in layers.values():
            self.progress.state(short(layer.diff_id), "Preparing")
        client = self.there.client
        together([partial(self.layer, layer) for layer in layers.values()], client.settings.uploads, client)
        config = Descriptor.from_json(self.image.manifest["config"])
        self.blob(config, Source(self.image.store.path(config.digest), config), "")
        manifest, kind = self.manifest()
        self.there.put_manifest(tag, manifest, kind)
        self.remember()
        return Descriptor(kind, f"sha256:{sha256(manifest).hexdigest()}", len(manifest))

    def manifest(self) -> tuple[bytes, str]:
        """The manifest as it came, where its layers went as they are; else one that names what they have become."""
        old, blobs = self.image.manifest, [self.sent[diff_id] for diff_id in self.image.diff_ids]
        if [blob.digest for blob in blobs] == [one["digest"] for one in old["layers"]]:
            return self.image.store.read(self.image.manifest_digest), self.image.descriptor.media_type
        config = Descriptor.from_json(old["config"])
        config = Descriptor(OCIS.get(config.media_type, config.media_type), config.digest, config.size)
        return manifest_of(config, [_as_oci(blob) for blob in blobs], old.get("annotations"), MANIFEST), MANIFEST

    def layer(self, layer: Layer) -> None:
        """One layer: there already, mounted, or sent."""
        id, blob, store = short(layer.diff_id), layer.descriptor, layer.store
        if "foreign" in blob.media_type or "nondistributable" in blob.media_type:
            self.progress.state(id, "Skipped foreign layer")
            self.sent[layer.diff_id] = blob
            self.skipped.add(blob.digest)
            return
        packed = Known(store).packed(layer.diff_id) if blob.digest == layer.diff_id else None
        if packed is not None and store.has(packed.digest):
            blob = packed
        if blob.digest != layer.diff_id:
            self.sent[layer.diff_id] = self.blob(blob, Source(store.path(blob.digest), blob), id)
        elif packed is not None and self.is_there(packed, id):
            self.sent[layer.diff_id] = packed
        else:
            self.sent[layer.diff_id] = self.pack(layer, id)

    def is_there(self, blob: Descriptor, id: str) -> bool:
        """Whether a blob need not be sent: it is there, or could be taken from another repository."""
        if self.there.has_blob(blob.digest):
            if id:
                self.progress.state(id, "Layer already exists")
            return True
        return self.mounted(blob, Upload(self.there), id)

    def mounted(self, blob: Descriptor, upload: Upload, id: str) -> bool:
        """Whether another repository of the registry had it."""
        for other in Known(self.image.store).elsewhere(self.there, blob.digest)[:1]:
            if upload.mount(blob.digest, other):
                if id:
                    self.progress.state(id, f"Mounted from {other}")
                return True
        return False

    def blob(self, blob: Descriptor, source: Source, id: str) -> Descriptor:
        """A blob that lies here as it shall lie there."""
        if self.there.has_blob(blob.digest):
            if id:
                self.progress.state(id, "Layer already exists")
            return blob
        upload = Upload(self.there, lambda sent: self.progress.amount(id, "Pushing", sent, blob.size) if id else None)
        if not self.mounted(blob, upload, id):
            upload.send(source)
            if id:
                self.progress.state(id, "Pushed")
        return blob

    def pack(self, layer: Layer, id: str) -> Descriptor:
        """A plain layer: compressed and sent at the same time."""
        with Packed(layer.store, layer.diff_id) as source:
            total = layer.descriptor.size
            upload = Upload(self.there, lambda _sent: self.progress.amount(id, "Pushing", source.plain, total))
            blob = upload.send(source)
        self.progress.state(id, "Pushed")
        return blob

    def remember(self) -> None:
        """Note for the next push what is there, and what plain layers have become."""
        packed = {diff_id: blob for diff_id, blob in self.sent.items() if blob.digest != diff_id}
        ours = {layer.diff_id for layer in self.image.layers if layer.descriptor.digest == layer.diff_id}
        digests = [blob.digest for blob in self.sent.values() if blob.digest not in self.skipped]
        Known(self.image.store).note(
            self.there, [*digests, self.image.id], {one: blob for one, blob in packed.items() if one in ours}
        )


def push(image: Image, client: Client, name: Reference, progress: Progress) -> Descriptor:
    """Send one image to a registry, under a tag. Raises Refused, Unreachable, APIError."""
    try:
        there = client.repository(name.domain, name.path)
        there.pushes = True
        with image.store.keep():
            blob = Push(image, there, progress).run(name.tag)
            image.images.add_digest(image, f"{name.name}@{blob.digest}")
    except BaseException:
        client.wire.stop()
        raise
    finally:
        client.close()
    progress.say(f"{name.tag}: digest: {blob.digest} size: {blob.size}")
    aux = {"Tag": name.tag, "Digest": blob.digest, "Size": blob.size}
    progress.emit({"progressDetail": {}, "aux": aux})
    return blob


def _as_oci(blob: Descriptor) -> Descriptor:
    return Descriptor(OCIS.get(blob.media_type, blob.media_type), blob.digest, blob.size, blob.annotations)
