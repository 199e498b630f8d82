"""Published ports: TCP and UDP through a door, whole, both ways, with clients of all manners."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from minidocker.runtime.forward import Door, listen
from minidocker.runtime.loop import Loop

Serve = Callable[[socket.socket], None]


@pytest.fixture
def loop() -> Iterator[Loop]:
    made, stop = Loop(), threading.Event()
    wake, waker = os.pipe()
    made.watch(wake, lambda _: os.read(wake, 1))

    def turn() -> None:
        while not stop.is_set():
            made.turn(0.01)

    thread = threading.Thread(target=turn)
    thread.start()
    yield made
    stop.set()
    os.write(waker, b"!")
    thread.join()
    os.close(wake)
    os.close(waker)


@pytest.fixture
def door(loop: Loop) -> Iterator[Callable[[Serve], tuple[str, int]]]:
    opened: list[Door] = []

    def make(serve: Serve) -> tuple[str, int]:
        inside = listen("127.0.0.1", 0, "tcp")

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = inside.accept()
                    threading.Thread(target=serve, args=(client,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        outside = listen("127.0.0.1", 0, "tcp")
        place: tuple[str, int] = outside.getsockname()
        opened.append(Door(loop, outside, inside.getsockname()))
        return place

    yield make
    for one in opened:
        one.close()


def whole(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def echo(client: socket.socket) -> None:
    with client:
        client.sendall(whole(client))


def test_what_goes_in_comes_back_whole_though_nobody_hurries(door: Callable[[Serve], tuple[str, int]]) -> None:
    data = os.urandom(5_000_000)
    with socket.create_connection(door(echo)) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)  # a half-close crosses too: the other side sees the end, and answers
        assert whole(client) == data


def test_a_server_that_speaks_first_and_leaves(door: Callable[[Serve], tuple[str, int]]) -> None:
    def greet(client: socket.socket) -> None:
        with client:
            client.sendall(b"hello")

    with socket.create_connection(door(greet)) as client:
        assert whole(client) == b"hello"


def test_many_at_once(door: Callable[[Serve], tuple[str, int]]) -> None:
    place = door(echo)
    clients = [socket.create_connection(place) for _ in range(100)]
    for number, client in enumerate(clients):
        client.sendall(str(number).encode())
        client.shutdown(socket.SHUT_WR)
    assert [whole(client) for client in clients] == [str(number).encode() for number in range(100)]
    for client in clients:
        client.close()


def test_where_nobody_listens_the_client_is_let_go(loop: Loop) -> None:
    outside = listen("127.0.0.1", 0, "tcp")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = free.getsockname()
    made = Door(loop, outside, nobody)
    with socket.create_connection(outside.getsockname()) as client, suppress(ConnectionResetError):
        assert client.recv(1) == b""
    made.close()


def test_datagrams_of_two_clients_find_their_ways_back(loop: Loop) -> None:
    inside, outside = listen("127.0.0.1", 0, "udp"), listen("127.0.0.1", 0, "udp")
    made, place = Door(loop, outside, inside.getsockname()), outside.getsockname()
    with listen("127.0.0.1", 0, "udp") as one, listen("127.0.0.1", 0, "udp") as two:
        for client, text in ((one, b"1"), (two, b"2"), (one, b"3")):
            client.sendto(text, place)
        for _ in range(3):
            data, client_there = inside.recvfrom(100)
            inside.sendto(b"re:" + data, client_there)
        assert {one.recv(100), one.recv(100)} == {b"re:1", b"re:3"} and two.recv(100) == b"re:2"
    made.close()
    inside.close()


def test_a_port_is_opened_once() -> None:
    with listen("127.0.0.1", 0, "tcp") as first, pytest.raises(OSError):
        listen("127.0.0.1", first.getsockname()[1], "tcp")
