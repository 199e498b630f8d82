"""A small HTTP/1.1 server, for the registry and for Docker's Engine API: one table of routes over one engine.

    routes.py       method and path pattern -> handler, the whole interface in one place
    message.py      a Request that streams in, a Response that streams out
    connection.py   one client: requests in turn, by RFC 9112, on the wire by the library h11
    server.py       listens (TCP, TLS, UNIX sockets), a thread a client, stops gracefully

Specified by RFC 9110 (semantics) and RFC 9112 (HTTP/1.1 on the wire). The grammar of the wire is h11's, which is strict
where Python's http.server is not (two lengths, a length beside chunks, folded headers: how requests are smuggled), and
has no opinion on sockets: so files go out by sendfile, and a hijacked connection keeps the bytes that were read.
"""
