"""Exercise 01: each wrong solution gets the hint that is meant for it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from minidocker.layer import WHITEOUT
from tests.grading.proofs import each_gets_its_hint


def prefix_without_slash(lower: dict[str, Any], layer: dict[str, Any]) -> dict[str, Any]:
    gone = [path for path, entry in layer.items() if entry.kind != "dir"]
    tree = {path: entry for path, entry in lower.items() if not any(path.startswith(top) for top in gone)}
    return tree | {path: entry for path, entry in layer.items() if entry.kind != "whiteout"}


def whiteouts_stay(lower: dict[str, Any], layer: dict[str, Any]) -> dict[str, Any]:
    return lower | layer


def in_place(lower: dict[str, Any], layer: dict[str, Any]) -> dict[str, Any]:
    lower.update(layer)
    return lower


def whiteout_for_each(lower: dict[str, Any], upper: dict[str, Any]) -> dict[str, Any]:
    changed = {path: entry for path, entry in upper.items() if lower.get(path) != entry}
    return changed | {path: WHITEOUT for path in lower if path not in upper}


def content_only(lower: dict[str, Any], upper: dict[str, Any]) -> dict[str, Any]:
    return {path: e for path, e in upper.items() if path not in lower or lower[path].data != e.data}


def no_chain(diff_ids: list[str]) -> list[str]:
    import hashlib

    hashed = [hashlib.sha256(f"{a} {b}".encode()).hexdigest() for a, b in itertools.pairwise(diff_ids)]
    return diff_ids[:1] + [f"sha256:{digits}" for digits in hashed]


def digits_alone(blob: bytes, digest: str) -> bool:
    import hashlib

    return hashlib.sha256(blob).hexdigest() in digest.lower()


def previous_diff_id(diff_ids: list[str]) -> list[str]:
    chain: list[str] = []
    for diff_id in diff_ids:
        chain.append(diff_id if not chain else diff_id.replace("sha256:", f"{chain[-1]} "))
    return chain


def no_algorithm(blob: bytes, digest: str) -> bool:
    import hashlib

    return hashlib.sha256(blob).hexdigest() == digest.rpartition(":")[2]


def of_a_liar(diff_ids: list[str]) -> Any:  # noqa: ARG001
    class Liar(list[str]):
        def __eq__(self, other: object) -> bool:
            return True

    return Liar()


def borrows(lower: dict[str, Any], upper: dict[str, Any]) -> dict[str, Any]:
    from minidocker import layer, tree

    return dict(layer.diff(tree.Tree(lower), tree.Tree(upper)).items())


def other_names(lower: dict[str, Any], upper: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001
    return {}


def crashes(blob: bytes, digest: str) -> bool:  # noqa: ARG001
    raise ValueError("oh")


WRONG: list[tuple[str, Callable[..., Any], str, str]] = [
    ("1.2", prefix_without_slash, "under way", "'/tmp/', slash included"),
    ("1.2", whiteouts_stay, "under way", "it is never seen in the tree"),
    ("1.2", in_place, "cannot pass", "changes its arguments"),
    ("1.2", other_names, "cannot pass", "The engine calls apply(lower, layer); yours is apply(lower, upper)"),
    ("1.3", whiteout_for_each, "under way", "One whiteout at the top"),
    ("1.3", content_only, "under way", "a new mode is a change"),
    ("1.3", borrows, "cannot pass", "minidocker's own diff()"),
    ("1.4", previous_diff_id, "under way", "sha256 of the text 'CHAIN DIFF'"),
    ("1.4", no_chain, "under way", "not of the diff id below it"),
    ("1.4", of_a_liar, "cannot pass", "must return a list, and returns a Liar"),
    ("1.1", digits_alone, "under way", "A digest is `algorithm:hex`"),
    ("1.1", no_algorithm, "under way", "A digest is `algorithm:hex`"),
    ("1.1", crashes, "under way", "ValueError: oh (line 2 of crashes)"),
]


test_a_wrong_solution_gets_its_hint = each_gets_its_hint("01-layers", WRONG)
