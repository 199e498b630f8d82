"""All end points, in one table: the whole interface. The first line that fits a path answers.

>>> len({(route.method, route.path) for route in TABLE}) == len(TABLE)
True
"""

from __future__ import annotations

from minidocker.daemon import (
    archive,
    builds,
    containers,
    create,
    execs,
    images,
    networks,
    plugins,
    streams,
    swarm,
    system,
    volumes,
)
from minidocker.daemon.route import Route

FILTERS = {"filters": "json"}
SYSTEM = (
    Route("GET", "/openapi.json", system.openapi, returns="json"),
    Route("GET", "/_ping", system.ping, returns="text"),
    Route("GET", "/version", system.version, returns="Version"),
    Route("GET", "/info", system.info, returns="Info"),
    Route("GET", "/events", system.events, {"since": "text", "until": "text"} | FILTERS, returns="stream"),
    Route("GET", "/system/df", system.usage, {"type": "list"}, returns="DiskUsage"),
    Route("POST", "/auth", images.login, body="AuthConfig", returns="AuthAnswer"),
)
LISTING = {"all": "flag", "limit": "int", "size": "flag", "before": "text", "since": "text"} | FILTERS
LOGS = dict.fromkeys(("follow", "stdout", "stderr", "timestamps", "details"), "flag")
LOGS |= {"since": "text", "until": "text", "tail": "text"}
ATTACH = dict.fromkeys(("stream", "stdin", "stdout", "stderr", "logs"), "flag") | {"detachKeys": "text"}
SIZE = {"h": "int", "w": "int"}
STOP = {"t": "int", "signal": "text"}
UNPACK = {"path": "text", "noOverwriteDirNonDir": "flag", "copyUIDGID": "flag"}
REMOVE = {"v": "flag", "link": "flag", "force": "flag"}
COMMIT = dict.fromkeys(("container", "repo", "tag", "comment", "author"), "text") | {"pause": "flag", "changes": "list"}
NAMED = {"name": "text", "platform": "text"}
CONTAINERS = (
    Route("GET", "/containers/json", containers.listing, LISTING, returns="ContainerSummaries"),
    Route("POST", "/containers/create", create.create, NAMED, "ContainerCreate", "ContainerCreated", 201),
    Route("POST", "/containers/prune", containers.prune, FILTERS, returns="ContainersPruned"),
    Route("GET", "/containers/{id}/json", containers.inspect, {"size": "flag"}, returns="Container"),
    Route("GET", "/containers/{id}/top", containers.top, {"ps_args": "text"}, returns="Top"),
    Route("GET", "/containers/{id}/logs", streams.logs, LOGS, returns="raw"),
    Route("GET", "/containers/{id}/changes", containers.changes, returns="Changes"),
    Route("GET", "/containers/{id}/export", containers.export, returns="tar"),
    Route("GET", "/containers/{id}/stats", streams.stats, {"stream": "flag", "one-shot": "flag"}, returns="stream"),
    Route("POST", "/containers/{id}/resize", containers.resize, SIZE),
    Route("POST", "/containers/{id}/start", containers.start, {"detachKeys": "text"}, status=204),
    Route("POST", "/containers/{id}/stop", containers.stop, STOP, status=204),
    Route("POST", "/containers/{id}/restart", containers.restart, STOP, status=204),
    Route("POST", "/containers/{id}/kill", containers.kill, {"signal": "text"}, status=204),
    Route("POST", "/containers/{id}/update", containers.update, body="ContainerUpdate", returns="ContainerUpdated"),
    Route("POST", "/containers/{id}/rename", containers.rename, {"name": "text"}, status=204),
    Route("POST", "/containers/{id}/pause", containers.pause, status=204),
    Route("POST", "/containers/{id}/unpause", containers.unpause, status=204),
    Route("POST", "/containers/{id}/attach", streams.attach, ATTACH, returns="raw"),
    Route("GET", "/containers/{id}/attach/ws", system.unserved, ATTACH, returns="raw"),
    Route("POST", "/containers/{id}/wait", streams.wait, {"condition": "text"}, returns="ContainerExit"),
    Route("GET", "/containers/{id}/archive", archive.get, {"path": "text"}, returns="tar"),
    Route("PUT", "/containers/{id}/archive", archive.put, UNPACK, "tar"),
    Route("POST", "/containers/{id}/exec", execs.create, body="ExecCreate", returns="Id", status=201),
    Route("DELETE", "/containers/{id...}", containers.remove, REMOVE, status=204),
    Route("POST", "/exec/{id}/start", execs.start, body="ExecStart", returns="raw"),
    Route("POST", "/exec/{id}/resize", execs.resize, SIZE),
    Route("GET", "/exec/{id}/json", execs.inspect, returns="Exec"),
    Route("POST", "/commit", containers.commit, COMMIT, "ContainerConfig", "Id", 201),
)
PULL = {"fromImage": "text", "tag": "text", "platform": "text"}
IMPORT = {"fromSrc": "text", "repo": "text", "message": "text", "changes": "list"}
IMAGES = (
    Route("GET", "/images/json", images.listed, {"all": "flag", "digests": "flag"} | FILTERS, returns="Images"),
    Route("POST", "/images/create", images.create, PULL | IMPORT, body="tar", returns="stream"),
    Route("GET", "/images/search", images.search, {"term": "text", "limit": "int"} | FILTERS, returns="json"),
    Route("POST", "/images/prune", images.prune, FILTERS, returns="Pruned"),
    Route("POST", "/images/load", images.load, {"quiet": "flag"}, body="tar", returns="stream"),
    Route("GET", "/images/get", images.saved, {"names": "list"}, returns="tar"),
    Route("GET", "/images/{name...}/json", images.inspected, returns="Image"),
    Route("GET", "/images/{name...}/history", images.history, returns="History"),
    Route("GET", "/images/{name...}/get", images.saved, returns="tar"),
    Route("POST", "/images/{name...}/push", images.push, {"tag": "text"}, returns="stream"),
    Route("POST", "/images/{name...}/tag", images.tag, {"repo": "text", "tag": "text"}, status=201),
    Route("DELETE", "/images/{name...}", images.remove, {"force": "flag", "noprune": "flag"}, returns="Removed"),
    Route("GET", "/distribution/{name...}/json", images.distribution, returns="Distribution"),
)
BUILD = dict.fromkeys("dockerfile remote target platform networkmode isolation cgroupparent version".split(), "text")
BUILD |= dict.fromkeys("q nocache pull rm forcerm squash".split(), "flag")
BUILD |= dict.fromkeys("memory memswap cpushares cpuperiod cpuquota shmsize".split(), "int")
BUILD |= dict.fromkeys("buildargs labels cachefrom ulimits outputs".split(), "json")
BUILD |= {"t": "list", "extrahosts": "list", "cpusetcpus": "text", "cpusetmems": "text", "securityopt": "text"}
BUILDS = (
    Route("POST", "/build", builds.build, BUILD, body="tar", returns="stream"),
    Route("POST", "/build/prune", builds.prune, {"all": "flag", "keep-storage": "int"} | FILTERS, returns="Pruned"),
    Route("POST", "/session", builds.session, returns="raw"),
    Route("POST", "/grpc", builds.session, returns="raw"),
    Route("POST", "/build/cancel", system.unserved, {"id": "text"}),
)
VOLUMES = (
    Route("GET", "/volumes", volumes.listed, FILTERS, returns="Volumes"),
    Route("POST", "/volumes/create", volumes.create, body="VolumeRequest", returns="Volume", status=201),
    Route("POST", "/volumes/prune", volumes.prune, FILTERS, returns="Pruned"),
    Route("GET", "/volumes/{name}", volumes.inspected, returns="Volume"),
    Route("DELETE", "/volumes/{name}", volumes.remove, {"force": "flag"}, status=204),
)
NETWORKS = (
    Route("GET", "/networks", networks.listed, FILTERS, returns="Networks"),
    Route("POST", "/networks/create", networks.create, body="NetworkRequest", returns="Created", status=201),
    Route("POST", "/networks/prune", networks.prune, FILTERS, returns="Pruned"),
    Route("POST", "/networks/{id}/connect", networks.connect, body="ConnectRequest"),
    Route("POST", "/networks/{id}/disconnect", networks.disconnect, body="DisconnectRequest"),
    Route("GET", "/networks/{id}", networks.inspected, {"verbose": "flag", "scope": "text"}, returns="Network"),
    Route("DELETE", "/networks/{id}", networks.remove, status=204),
)
PLUGINS = (
    Route("GET", "/plugins", plugins.listed, FILTERS, returns="json"),
    Route("GET", "/plugins/privileges", plugins.privileges, {"remote": "text"}, returns="json"),
    Route("POST", "/plugins/pull", plugins.refused, {"remote": "text", "name": "text"}, returns="stream"),
    Route("POST", "/plugins/create", plugins.refused, {"name": "text"}, body="tar", status=204),
    Route("GET", "/plugins/{name...}/json", plugins.missing, returns="json"),
    *(
        Route("POST", f"/plugins/{{name...}}/{verb}", plugins.missing, status=204)
        for verb in ("enable", "disable", "upgrade", "push", "set")
    ),
    Route("DELETE", "/plugins/{name...}", plugins.missing, {"force": "flag"}, returns="json"),
)
SWARM = (
    Route("POST", "/swarm/init", swarm.refused, body="json", returns="text"),
    Route("POST", "/swarm/join", swarm.refused, body="json"),
    Route("POST", "/swarm/leave", swarm.no_node, {"force": "flag"}),
    Route("GET", "/swarm", swarm.no_manager, returns="json"),
    Route("GET", "/swarm/unlockkey", swarm.no_manager, returns="json"),
    Route("POST", "/swarm/unlock", swarm.no_node, body="json"),
    Route("POST", "/swarm/update", swarm.no_manager, body="json"),
    *(
        route
        for noun in ("nodes", "services", "tasks", "secrets", "configs")
        for route in (
            Route("GET", f"/{noun}", swarm.no_manager, FILTERS, returns="json"),
            Route("POST", f"/{noun}/create", swarm.no_manager, body="json", returns="json", status=201),
            Route("GET", f"/{noun}/{{id}}", swarm.no_manager, returns="json"),
            Route("GET", f"/{noun}/{{id}}/logs", swarm.no_manager, returns="raw"),
            Route("POST", f"/{noun}/{{id}}/update", swarm.no_manager, {"version": "int"}, body="json"),
            Route("DELETE", f"/{noun}/{{id}}", swarm.no_manager),
        )
    ),
)
TABLE: tuple[Route, ...] = (*SYSTEM, *CONTAINERS, *IMAGES, *BUILDS, *VOLUMES, *NETWORKS, *PLUGINS, *SWARM)
