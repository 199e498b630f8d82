"""What an engine does with registries, in the words of Docker's SDK: pull, push, login, and a look at what is there.

Who we are to a registry is what this engine was told by `login`, else what `docker login` has left on this machine.
"""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from weakref import WeakSet

from minidocker.content import Descriptor
from minidocker.errors import APIError, DockerException, ImageNotFound, InvalidArgument
from minidocker.image import Image
from minidocker.images import Images
from minidocker.platforms import Platform
from minidocker.reference import HUB, Reference
from minidocker.registry.authorize import basic
from minidocker.registry.challenge import parse_all
from minidocker.registry.client import INDEXES, Client, Repository
from minidocker.registry.credentials import INDEX_SERVER, Credentials, Login, host_of
from minidocker.registry.data import RegistryData
from minidocker.registry.progress import Listener, Message, Progress
from minidocker.registry.pull import pull, pull_all
from minidocker.registry.push import push
from minidocker.registry.refusals import Refused, of_pull, refusal
from minidocker.registry.resolve import kind_of, resolve
from minidocker.registry.settings import Settings
from minidocker.registry.wire import Request

Auth = Mapping[str, Any] | None


class Registries:
    """All registries, as one engine sees them; with `logins`, as somebody who is known there by these alone."""

    def __init__(self, images: Images, logins: Mapping[str, Any] | None = None) -> None:
        self.images, self.alone = images, logins is not None
        self.told = {domain_of(name): Login.of(login) for name, login in (logins or {}).items()}
        self.given: Settings | None = None  # a daemon has read its daemon.json, and reads it again when it is told to
        self.clients: WeakSet[Client] = WeakSet()

    def client(self, auth: Auth = None, insecure: str = "") -> Client:
        """A client for one errand. Raises InvalidArgument where daemon.json is not what it should be."""
        settings = self.settings
        settings = replace(settings, insecure=(*settings.insecure, insecure)) if insecure else settings
        given = Login.of(auth)

        def login(domain: str) -> Login:
            known = given or self.told.get(domain) or Login()
            return known if known or self.alone else Credentials().get(domain)

        client = Client(settings, login)
        self.clients.add(client)
        return client

    @property
    def settings(self) -> Settings:
        """What daemon.json says of registries. Raises InvalidArgument where it is not what it should be."""
        return self.given or Settings.read(self.images.store.root)

    def stop(self) -> None:
        """End whatever goes on."""
        for client in list(self.clients):
            client.wire.stop()

    # Pull and push

    def pull(self, name: Reference, platform: str = "", auth: Auth = None, listener: Listener | None = None) -> Image:
        """One image. Raises ImageNotFound, Unreachable, Refused…"""
        Platform.parse(platform)
        image = pull(self.images, self.client(auth), name, Progress(listener), platform)
        self._tell("pull", name, image)
        return image

    def pull_all(
        self, name: Reference, platform: str = "", auth: Auth = None, listener: Listener | None = None
    ) -> list[Image]:
        """All tagged images of a repository."""
        images = pull_all(self.images, self.client(auth), name, Progress(listener), platform)
        for image in images:
            self._tell("pull", name, image)
        return images

    def push(self, name: Reference, all_tags: bool, auth: Auth = None, listener: Listener | None = None) -> None:
        """One image under its tag, or all tags of a repository. Raises ImageNotFound, Refused…"""
        progress = Progress(listener)
        progress.say(f"The push refers to repository [{name.domain}/{name.path}]")
        names = self._tags(name) if all_tags else [name]
        for one in names:
            if not self.images.find(str(one)):
                raise ImageNotFound(f"An image does not exist locally with the tag: {one.name}")
            image = self.images.get(str(one))
            push(image, self.client(auth), one, progress)
            self._tell("push", one, image)

    def _tags(self, name: Reference) -> list[Reference]:
        every = (Reference.parse(tag) for tags in self.images.names().values() for tag in tags)
        found = sorted((one for one in every if one.name == name.name), key=lambda one: one.tag)
        if not found:
            raise ImageNotFound(f"An image does not exist locally with the tag: {name.name}")
        return found

    def _tell(self, action: str, name: Reference, image: Image) -> None:
        self.images.tell(action, str(name), name.name, image.labels)

    # Questions

    def data(self, name: str, auth: Auth = None) -> RegistryData:
        """What a registry has under a name: its descriptor, and the platforms that it is for."""
        return RegistryData(self, name, self.inspect(name, auth))

    def inspect(self, text: str, auth: Auth = None) -> dict[str, Any]:
        """As the API's `GET /distribution/{name}/json`. Raises ImageNotFound, Refused…"""
        name, client = Reference.parse(text), self.client(auth)
        try:
            there = client.repository(name.domain, name.path)
            top = there.manifest(name.digest or name.tag)
            if kind_of(top) in INDEXES:
                entries = json.loads(top.data).get("manifests") or ()
                platforms = [entry.get("platform") or {} for entry in entries if isinstance(entry, dict)]
            else:
                raw = resolve(there, Reference(name.domain, name.path, "", top.digest)).raw
                platforms = [{key: raw[key] for key in ("architecture", "os", "variant") if raw.get(key)}]
        except APIError as error:
            raise of_pull(error, name) from error
        finally:
            client.close()
        descriptor = {"mediaType": kind_of(top), "digest": top.digest, "size": len(top.data)}
        return {"Descriptor": descriptor, "Platforms": platforms}

    def manifest(self, text: str, verbose: bool = False, insecure: bool = False) -> str:
        """What `docker manifest inspect` prints. Raises NotFound, Refused, Unreachable."""
        from minidocker.registry.inspection import inspect

        with self._repository(text, insecure) as (there, name):
            return inspect(there, name, verbose)

    # Artifacts

    def attach(self, text: str, artifact_type: str, content: bytes, **more: Any) -> Descriptor:
        """Push something about an image (a signature, an SBOM), beside it; `more` is as of `artifacts.attach`."""
        from minidocker.registry.artifacts import attach

        with self._repository(text) as (there, name):
            return attach(there, name.digest or name.tag, artifact_type, content, **more)

    def referrers(self, text: str, artifact_type: str = "") -> list[dict[str, Any]]:
        """What has been attached to an image: the descriptors of the artifacts."""
        from minidocker.registry.artifacts import referrers

        with self._repository(text) as (there, name):
            return referrers(there, name.digest or there.manifest(name.tag).digest, artifact_type)

    @contextmanager
    def _repository(self, text: str, insecure: bool = False) -> Iterator[tuple[Repository, Reference]]:
        name = Reference.parse(text)
        client = self.client(None, name.domain if insecure else "")
        try:
            yield client.repository(name.domain, name.path), name
        finally:
            client.close()

    # Login

    def login(
        self, username: str, password: str = "", registry: str = "", reauth: bool = False, path: str = ""
    ) -> dict[str, Any]:
        """Ask a registry whether it knows us, and remember who we are until the engine is closed.

        Raises Refused where it does not. `path` is the config.json of earlier logins.
        """
        domain = domain_of(registry)
        if not reauth and path:
            known = Credentials(Path(path)).get(domain)
            if known.username == username:
                self.told[domain] = known
                return {"IdentityToken": known.identity_token, "Status": "Login Succeeded"}
        token = self.check(domain, Login(username, password))
        self.told[domain] = Login(username, "" if token else password, token)
        return {"IdentityToken": token, "Status": "Login Succeeded"}

    def check(self, domain: str, login: Login) -> str:
        """Ask a registry whether it knows somebody; the identity token, if it gave one in place of the password."""
        client = Client(self.settings, lambda _domain: login)
        try:
            there = client.repository(domain, "")
            return _log_in(there, login)
        except Refused as error:
            raise _not_known(error, domain) from error
        finally:
            client.close()


def domain_of(registry: str) -> str:
    """The registry that a login is for, by whatever name."""
    if registry in ("", HUB, "index.docker.io", "registry-1.docker.io") or registry == INDEX_SERVER:
        return HUB
    host = host_of(registry)
    if not host or any(character.isspace() or not character.isprintable() for character in host):
        raise InvalidArgument(f"invalid registry {registry!r}: a host name, and perhaps a port, is expected")
    return host


def _log_in(there: Repository, login: Login) -> str:
    endpoint, authorizer = there.endpoint, there.client.authorizer
    url = f"{endpoint.url}/v2/"
    challenge = authorizer.chosen.get(endpoint.url)
    if challenge is not None and challenge.scheme == "bearer":
        realm, service = challenge.parameters["realm"], challenge.parameters.get("service", "")
        value = authorizer.fetch(endpoint, realm, service, login, (), offline=True)
        token = value.get("refresh_token")
        shown = f"Bearer {value.get('token') or value.get('access_token')}"
    else:
        token, shown = "", basic(login)
    request = Request("GET", url, "do you know us?", authorization=shown, verify=endpoint.verify)
    answer = there.client.wire.ask(request)
    if answer.status != 200:
        if answer.status == 401 and challenge is not None and challenge.scheme == "basic":
            answer.close()
            raise Refused("", f"login attempt to {url} failed with status: {answer.reason}", 401)
        parse_all(answer.headers.get_all("WWW-Authenticate") or ())
        raise refusal(answer)
    answer.close()
    return token if isinstance(token, str) else ""


def _not_known(error: Refused, domain: str) -> Refused:
    """A refusal of a login, in Docker's words."""
    if error.code != "UNAUTHORIZED":
        return error
    where = "https://registry-1.docker.io" if domain == HUB else f"https://{domain}"
    return Refused("", f'Get "{where}/v2/": {error.explanation}', error.http_status)


def streamed(action: Callable[[Listener], object]) -> Iterator[Message]:
    """The messages of something that goes on in a thread; where it fails, the last one says why.

    Who stops listening ends it.
    """
    messages: queue.Queue[Message | None] = queue.Queue(100)
    left, failed = threading.Event(), list[BaseException]()

    def listen(message: Message | None) -> None:
        while True:
            if left.is_set() and message is not None:
                raise DockerException("context canceled")
            try:
                return messages.put(message, timeout=0.2)
            except queue.Full:
                if left.is_set():
                    return None

    def run() -> None:
        try:
            action(listen)
        except DockerException as error:
            listen(failure(error))
        except BaseException as error:  # a mistake of ours: for whoever listens, not for a thread's last words
            failed.append(error)
        finally:
            listen(None)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while (message := messages.get()) is not None:
            yield message
        if failed:
            raise failed[0]
    finally:
        left.set()
        thread.join()


def failure(error: DockerException) -> Message:
    """An error as the last message of a stream."""
    return {"errorDetail": {"message": str(error)}, "error": str(error)}
