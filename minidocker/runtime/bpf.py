"""A small assembler of seccomp filters: classic BPF, as the kernel takes it. See seccomp(2).

A filter is a program without loops over one call: its number, the machine that it is of, and six arguments. It ends in
a `return` that says what shall happen. Here it is a tree: first the machine, then a binary search over the numbers,
at whose leaves a few calls look at their arguments.

    >>> len(program({0xC000003E: [(0, Leaf((), ALLOW)), (165, Leaf((), ERRNO | 1)), (166, Leaf((), ALLOW))]})) // 8
    9
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

LOAD, AND, RETURN, JUMP = 0x20, 0x54, 0x06, 0x05
EQUAL, GREATER, AT_LEAST = 0x15, 0x25, 0x35
KILL_THREAD, TRAP, ERRNO, TRACE, LOG, ALLOW, KILL_PROCESS = (
    0,
    3 << 16,
    5 << 16,
    0x7FF00000,
    0x7FFC0000,
    0x7FFF0000,
    1 << 31,
)
NUMBER, MACHINE, ARGUMENTS = 0, 4, 16  # where they are in `struct seccomp_data`
MOST = 4096  # instructions that the kernel takes
_PASS, _FAIL = "pass", "fail"

Instruction = tuple[int, int | str, int | str, int]  # code, where to jump when true and when not, operand


class Condition(NamedTuple):
    """What must hold of one argument; for `MASKED_EQ`, `value` is the mask and `second` what is compared with."""

    argument: int
    op: str
    value: int
    second: int = 0


class Rule(NamedTuple):
    """What to return where all the conditions hold."""

    conditions: tuple[Condition, ...]
    action: int


class Leaf(NamedTuple):
    """What happens to a call: the first rule that holds, else an action."""

    rules: tuple[Rule, ...]
    action: int


Ranges = Sequence[tuple[int, Leaf]]  # from each number on to the next one


def program(machines: Mapping[int, Ranges]) -> bytes:
    """The filter for some machines; calls of any other kill. Raises ValueError where it would be too long."""
    code: list[Instruction] = [(LOAD, 0, 0, MACHINE)]
    for machine, ranges in machines.items():
        section = [(LOAD, 0, 0, NUMBER), *_search(ranges)]
        code += [*_unless(EQUAL, machine, len(section)), *section]
    code.append((RETURN, 0, 0, KILL_THREAD))
    if len(code) > MOST:
        raise ValueError(f"the seccomp profile makes a filter of {len(code)} instructions; the kernel takes {MOST}")
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def _unless(test: int, value: int, length: int) -> list[Instruction]:
    """Jump over the next `length` instructions unless a test holds; a far jump takes one more."""
    return [(test, 0, length, value)] if length < 256 else [(test, 1, 0, value), (JUMP, 0, 0, length)]


def _search(ranges: Ranges) -> list[Instruction]:
    if len(ranges) == 1:
        return _leaf(ranges[0][1])
    middle = len(ranges) // 2
    low, high = _search(ranges[:middle]), _search(ranges[middle:])
    return [*_unless(AT_LEAST, ranges[middle][0], len(high)), *high, *low]


def _leaf(leaf: Leaf) -> list[Instruction]:
    code: list[Instruction] = []
    for rule in leaf.rules:
        body = [step for condition in rule.conditions for step in _condition(condition)]
        code += _resolve([*body, (RETURN, 0, 0, rule.action)], _FAIL)
    return [*code, (RETURN, 0, 0, leaf.action)]


def _resolve(code: list[Instruction], label: str) -> list[Instruction]:
    """Make a label that of the instruction behind the last one."""
    return [
        (step, *(len(code) - at - 1 if to == label else to for to in (yes, no)), value)  # type: ignore[misc]
        for at, (step, yes, no, value) in enumerate(code)
    ]


def _condition(condition: Condition) -> list[Instruction]:
    """A test of 64 bits by an instruction set that has 32: the upper half, and where that is the same, the lower."""
    low = ARGUMENTS + 8 * condition.argument
    (high_value, value), yes, no = divmod(condition.value, 1 << 32), _PASS, _FAIL
    if condition.op in ("NE", "LE", "LT"):
        yes, no = no, yes
    code: list[Instruction] = [(LOAD, 0, 0, low + 4)]
    if condition.op == "MASKED_EQ":
        high_second, second = divmod(condition.second, 1 << 32)
        code += [(AND, 0, 0, high_value), (EQUAL, 0, no, high_second)]
        code += [(LOAD, 0, 0, low), (AND, 0, 0, value), (EQUAL, yes, no, second)]
    elif condition.op in ("EQ", "NE"):
        code += [(EQUAL, 0, no, high_value), (LOAD, 0, 0, low), (EQUAL, yes, no, value)]
    else:
        last = GREATER if condition.op in ("GT", "LE") else AT_LEAST
        code += [(GREATER, yes, 0, high_value), (EQUAL, 0, no, high_value), (LOAD, 0, 0, low), (last, yes, no, value)]
    return _resolve(code, _PASS)
