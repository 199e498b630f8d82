"""The options of `docker run`, a topic a module: what is asked, how it is written down, and what a runtime makes of it.

Each topic is a module with

    OPTIONS                the SDK's names of the options that it takes
    host_config(given)     those options, checked, as keys of the API's `HostConfig`; raises InvalidArgument
    config(image, given)   the same for `Config`, where the image has a say (not every topic has this)
    boxed(config)          what they mean for a runtime: fields of `Box`, from a container's `config.json`
"""

from minidocker.container.options import (
    devices,
    health,
    limits,
    logging,
    mounts,
    naming,
    networks,
    privilege,
    process,
    restart,
    runtime,
    sharing,
    terminal,
    volumes,
)

_OF_THE_PROGRAM = (health, logging, privilege, restart, runtime, process, terminal)
_OF_ITS_SURROUNDINGS = (limits, sharing, naming, networks, volumes, mounts, devices)
TOPICS = (*_OF_THE_PROGRAM, *_OF_ITS_SURROUNDINGS)
