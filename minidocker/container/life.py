"""The life of a container: which verb leads from which state to which, as Docker's engine has it.

            start            stop, kill,              remove
    created ----->  running  ---------->  exited  ----------> removed
                     |   ^   process 1 ends |
             pause   v   |  unpause         +--- start ---> running
                    paused

A container runs for as long as its first process does, its *process 1*: when that ends, by itself or by a signal, the
container is `exited`. What it wrote stays until it is removed. To restart is to stop and to start.
"""

from __future__ import annotations

from minidocker.errors import APIError, Conflict

VERBS: dict[str, dict[str, str]] = {  # verb -> state before -> state after; a state that is not listed is refused
    "start": {"created": "running", "exited": "running", "running": "running", "restarting": "restarting"},
    "pause": {"running": "paused"},
    "unpause": {"paused": "running"},
    "stop": {
        "running": "exited",
        "paused": "exited",
        "restarting": "exited",
        "created": "created",
        "exited": "exited",
    },
    "kill": {"running": "exited", "paused": "exited"},
    "remove": {"created": "removed", "exited": "removed"},
}
BY_ITSELF: dict[str, dict[str, str]] = {  # what nobody asked for: the monitors see to it
    "process 1 ends": {"running": "exited"},
    "process 1 ends, policy: again": {"running": "restarting"},
    "after a moment": {"restarting": "running"},
}
REFUSED = {  # verb -> Docker's words, where they are the same for all states
    "start": "cannot start a paused container, try unpause instead",
    "kill": "Cannot kill container: {name}: Container {id} is not running",
    "pause": "Container {id} is {how}",
    "unpause": "Container {id} is not paused",
    "remove": "You cannot remove a {state} container {id}. {first} the container before attempting removal or "
    "force remove",
}
HOW = {"paused": "already paused", "restarting": "restarting, wait until the container is running"}


def after(state: str, verb: str) -> str | None:
    """The state that a verb leads to: the same one where there is nothing to do, None where Docker refuses.

    >>> after("running", "pause"), after("exited", "stop"), after("running", "remove")
    ('paused', 'exited', None)
    """
    return VERBS[verb].get(state)


def lead(verb: str, state: str, name: str, id: str) -> str:
    """As `after`, for a container of this name and id. Raises Conflict where Docker refuses, in its words.

    >>> lead("pause", "exited", "web", "1f2e")
    Traceback (most recent call last):
    ...
    minidocker.errors.Conflict: Container 1f2e is not running
    """
    then = after("exited" if state == "dead" else state, verb)  # dead: Docker's removal of it failed half-way
    if then is None:
        raise refusal(verb, state, name, id)
    return then


def refusal(verb: str, state: str, name: str, id: str) -> APIError:
    """What Docker answers to a verb that a state does not allow (status 409; 500 where nothing is paused)."""
    first = "Unpause and then stop" if state == "paused" else "Stop"
    words = REFUSED[verb].format(name=name, id=id, state=state, first=first, how=HOW.get(state, "not running"))
    return (APIError if verb == "unpause" else Conflict)(words)
