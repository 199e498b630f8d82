"""Docker's plugin protocol: programs beside the engine that do a part of its work, asked over HTTP.

A plugin is found by its name: a socket, or a file that says where it listens (`discovery`). It is asked with `POST`s of
JSON (`client`), first `/Plugin.Activate`, which tells what it is good for: `VolumeDriver` (`volumedriver`).
https://docs.docker.com/engine/extend/plugin_api/
"""
