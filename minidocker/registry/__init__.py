"""Registries: images by name over HTTP, by the OCI distribution specification; the client and the server.

settings    which registries are mirrors, or may be spoken to without TLS (daemon.json, certs.d)
challenge   WWW-Authenticate, read; authorize answers it; credentials are those of `docker login`
wire        requests and answers over connections that stay open; trace writes them down
refusals    a registry's "no" in words
client      one repository: its manifests, blobs, uploads and tags
pull  push  images from there to here, and from here to there; progress is what they tell meanwhile

server      a registry of one's own; serving makes it listen, users says who may come in
shelf       its repositories on disk; blobs, uploads and manifests answer for them by the rules of names
errorcodes  its own "no"; sweep takes away its garbage; mirror fetches what is elsewhere
"""
