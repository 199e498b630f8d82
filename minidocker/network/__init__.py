"""Networks: which containers can reach each other, under which addresses and names.

A network of the driver `bridge` is a switch with a range of addresses; a container that runs on it has an address of
its own and, on a network that somebody made, a name that the others can ask for. `host` is the machine's own network,
`none` has nothing but loopback. What is known of a network is one file, `networks/<id>.json`.

    pool      which addresses are given to whom
    ports     what `--expose` and `-p` mean
    names     who has which name on a network
    network   one network; networks: all of them
"""

from minidocker.network.network import Network
from minidocker.network.networks import Networks

__all__ = ["Network", "Networks"]
