"""Docker's Engine API over an `Engine`: what the docker command, its SDK and Compose speak to.

    route.py      one end point: method, path, what it takes and returns; a `Call` is one request to it
    table.py      all of them, in one list: the whole interface
    api.py        a request -> version, end point, answer; errors in Docker's form
    system.py     /version /info /events …  and so on, a module for each noun of the API

Specified by Docker's Engine API reference, 1.24 to 1.41. An `Api` is a function from a request to an answer: it works
in this process without any socket, and `minidocker.web` brings it the requests of a socket.
"""
