"""Both runtimes make the same image of the same Dockerfile, down to its id."""

from __future__ import annotations

from pathlib import Path

import pytest

import minidocker
from minidocker.image import Image
from minidocker.runtime import probe

DOCKERFILE = """FROM minidocker/base
RUN <<END
#!/bin/sh
echo script > /a
END
RUN mkdir -p /x/y && echo $0 > /x/y/z
WORKDIR /w/d
COPY Dockerfile .
RUN mkdir -p a b && echo 1 > a/f && ln -s a l && chmod 700 b
RUN rm /etc/os-release && cp -a /etc/passwd . && cp a/f b/g && ln b/g b/h
RUN chown -R 5:6 a && touch -d @5 a/f && umask 027 && mkdir q && echo 2 > q/w && mv a c
RUN ln a/l b/again || true; echo one > one && ln one two && ln one three
RUN echo more >> one && mv two moved && chmod 600 three && ln moved four && echo again >> four
ENV GREETING=hello
RUN find / -xdev -type f -name 'pass*' | sort > list; stat -c '%a %u %g %n' * > st; id > id; env | sort > env; pwd > pwd
RUN ls / > ls; hostname > h; echo x > /dev/null; sed -i s/root/ROOT/ passwd; awk -F: '{print $1}' passwd > names
RUN for i in 3 1 2; do echo $i; done | sort > sorted && tar czf t.tgz sorted && rm -f t.tgz; rm -r q
USER 1000:1000
RUN echo x > /tmp/u; touch /nope || true; id >> /tmp/u; cd; pwd >> /tmp/u
"""


def build(runtime: str, folder: Path, root: Path) -> Image:
    with minidocker.connect(root, runtime=runtime) as engine:
        return engine.images.build(path=str(folder), tag="agree")[0]


def test_both_runtimes_make_the_same_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not probe.report().works:
        pytest.skip("no real containers here")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "Dockerfile").write_text(DOCKERFILE)
    real, simulated = (build(name, tmp_path / "context", tmp_path / name) for name in ("namespaces", "simulated"))
    for one, other in zip(real.layers, simulated.layers, strict=True):
        assert dict(one.changes) == dict(other.changes), one.created_by
    assert real.id == simulated.id
