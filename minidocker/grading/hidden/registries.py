"""Hidden cases of exercise 08."""

from __future__ import annotations

import hashlib

from minidocker.grading.exercise import Case
from minidocker.grading.registries import ATTESTED, Endless, There, _entry, _sent

PINNED = "sha256:" + "fedcba9876543210" * 4
DATA = bytes(range(200))
DIGEST = f"sha256:{hashlib.sha256(DATA).hexdigest()}"
ARM = ["linux/arm64/v8", "linux/arm64", "linux/arm/v7"]
BARE, EIGHT = _entry("bb", "linux", "arm64"), _entry("88", "linux", "arm64", "v8")
SEVEN, LATER = _entry("77", "linux", "arm", "v7"), _entry("99", "linux", "arm64", "v9")

HIDDEN = {
    "8.1": (
        Case("this machine, with a port", ("localhost:5000/a/b/c",), ("localhost:5000", "a/b/c", "latest", "")),
        Case("a team with a dash", ("my-team/app:v1",), ("docker.io", "my-team/app", "v1", "")),
        Case("a name alone, with a digest", (f"app@{PINNED}",), ("docker.io", "library/app", "", PINNED)),
        Case("a name with tag and digest", (f"app:2@{PINNED}",), ("docker.io", "library/app", "2", PINNED)),
        Case("Docker Hub, with a team", ("docker.io/team/app:1",), ("docker.io", "team/app", "1", "")),
        Case("a port and a digest", (f"r:1/app@{PINNED}",), ("r:1", "app", "", PINNED)),
        Case("a tag with dots", ("app:1.2.3-rc.1",), ("docker.io", "library/app", "1.2.3-rc.1", "")),
        Case("a team called local", ("local/host",), ("docker.io", "local/host", "latest", "")),
    ),
    "8.2": (
        Case(
            "three, with blanks everywhere",
            ('bearer  realm="https://r/t" ,  service="s, or t" ,scope="repository:a/b:*"',),
            ("bearer", {"realm": "https://r/t", "service": "s, or t", "scope": "repository:a/b:*"}),
        ),
        Case("an empty value", ('Basic realm=""',), ("basic", {"realm": ""})),
        Case(
            "quotes for some of them",
            ('Bearer realm="https://r/t",service=r.io,error="insufficient_scope"',),
            ("bearer", {"realm": "https://r/t", "service": "r.io", "error": "insufficient_scope"}),
        ),
        Case(
            "an = and a comma in a value",
            ('Bearer realm="https://r/t?a=b,c=d",scope="x"',),
            ("bearer", {"realm": "https://r/t?a=b,c=d", "scope": "x"}),
        ),
    ),
    "8.3": (
        Case("the best of three", ([SEVEN, BARE, EIGHT], ARM), "sha256:88"),
        Case("the second best", ([SEVEN, BARE], ARM), "sha256:bb"),
        Case("a variant that this machine lacks", ([LATER, SEVEN], ARM), "sha256:77"),
        Case("only attestations", ([_entry("dd", "linux", "arm64", annotations=ATTESTED)], ARM), LookupError),
        Case("a platform that is null", ([{"digest": "sha256:00", "platform": None}, BARE], ARM), "sha256:bb"),
        Case("two that fit the same", ([BARE, _entry("cc", "linux", "arm64")], ARM), "sha256:bb"),
    ),
    "8.4": (
        Case("bytes that are no text, one by one", ([bytes([byte]) for byte in DATA], DIGEST, 200), DATA),
        Case("empty chunks between", ([b"", DATA[:9], b"", DATA[9:], b""], DIGEST, 200), DATA),
        Case("two chunks in the wrong order", ([DATA[9:], DATA[:9]], DIGEST, 200), ValueError),
        Case("the digest of something else", ([DATA], PINNED, 200), ValueError),
        Case("a digest without its algorithm", ([DATA], DIGEST[7:], 200), ValueError),
        Case("nothing was promised, and it never ends", (Endless(), DIGEST, 0), ValueError),
    ),
    "8.5": (
        Case("two bytes at once", (DATA[:7], 2, There(most=2)), _sent(DATA[:7])),
        Case("one chunk that is just full", (DATA, 200, There(most=200)), _sent(DATA)),
        Case(
            "cuts of all kinds",
            (DATA, 60, There({1: 10, 2: 60, 3: 1, 5: 2}, [1, 2, 3, 5], most=60)),
            _sent(DATA),
        ),
        Case("cut at the last chunk, though all of it came", (DATA[:10], 4, There({3: 2}, [3])), _sent(DATA[:10])),
        Case("always half of it", (DATA[:16], 4, There(dict.fromkeys(range(1, 20), 2))), _sent(DATA[:16])),
        Case("five cuts at the end", (DATA[:10], 4, There(cuts=[3, 4, 5, 6, 7])), ConnectionError),
    ),
}
