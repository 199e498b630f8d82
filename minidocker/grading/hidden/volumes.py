"""Hidden cases of exercise 10."""

from __future__ import annotations

from minidocker.grading.exercise import Case
from minidocker.grading.volumes import NO_METHOD, NO_VOLUME, _asked, _user, _volume
from minidocker.layer import directory, file
from minidocker.tree import symlink
from minidocker.volume.volume import ANONYMOUS

HOME = directory(0o711, uid=33, gid=33)
WEB = {
    "/": directory(),
    "/var": directory(),
    "/var/www": HOME,
    "/var/www/index": file(b"<p>"),
    "/var/www2": directory(),
}
WEB |= {"/var/www/a": directory(), "/var/www/a/b": symlink("../index"), "/var/www2/no": file(), "/link": symlink("var")}
NONE = {"/": directory(0o700)}
DEEP = {"/a": "one", "/a/b": "two", "/a/b/c": "three"}
FIRST, SECOND = _volume("11", {ANONYMOUS: "", "team": "red=blue"}), _volume("22", {ANONYMOUS: "", "team": ""})
NAMED = _volume("data.1", {"team": "green"})
MAPS = {"Name": "maps", "Mountpoint": "/shelf/maps"}

HIDDEN = {
    "10.1": (
        Case("a name with dots and dashes", ("my_data-1.x:/a/b",), ("volume", "my_data-1.x", "/a/b", False)),
        Case("the root of the host, read-only", ("/:/host:ro",), ("bind", "/", "/host", True)),
        Case("three words", ("x:/y:Z,rw",), ("volume", "x", "/y", False)),
        Case("a dot in the target", ("x:/./y/.",), ("volume", "x", "/y", False)),
        Case("a word that is empty", ("x:/y:ro,",), ValueError),
        Case("an empty end", ("x:/y:",), ValueError),
        Case("nothing at all", ("",), ValueError),
        Case("a mode in place of the target", ("x:ro",), ValueError),
        Case("a root alone", ("/",), ValueError),
        Case("a word in capitals", ("x:/y:RO",), ValueError),
    ),
    "10.2": (
        Case("three deep", ("/a/b/c/d/e", DEEP), ("three", "/d/e")),
        Case("in the middle one", ("/a/b/cc", DEEP), ("two", "/cc")),
        Case("the inner target itself", ("/a/b", DEEP), ("two", "/")),
        Case("the root", ("/", DEEP), ("", "/")),
        Case("another that begins alike", ("/ab/c", DEEP), ("", "/ab/c")),
        Case("the same source twice", ("/y/f", {"/x": "s", "/y": "s"}), ("s", "/f")),
    ),
    "10.3": (
        Case(
            "a folder with a link in it",
            (WEB, "/var/www", NONE, False),
            {"/": HOME, "/index": file(b"<p>"), "/a": directory(), "/a/b": symlink("../index")},
        ),
        Case(
            "one empty folder is in the volume",
            (WEB, "/var/www", NONE | {"/a": directory()}, False),
            NONE | {"/a": directory()},
        ),
        Case("a place that is a link", (WEB, "/link", NONE, False), NONE),
        Case("nocopy, and it was used", (WEB, "/var/www", NONE | {"/f": file()}, True), NONE | {"/f": file()}),
        Case("a name that begins alike", (WEB, "/var/ww", NONE, False), NONE),
    ),
    "10.4": (
        Case("by a value with = in it", ([FIRST, SECOND], [], False, "team=red=blue"), ["11"]),
        Case("by an empty value", ([FIRST, SECOND], [], False, "team="), ["22"]),
        Case("by a key, all", ([NAMED, SECOND, FIRST], [], True, "team"), ["11", "22", "data.1"]),
        Case(
            "a used one among others", ([FIRST, SECOND, NAMED], [_user("x"), _user("22", "data.1")], True, ""), ["11"]
        ),
        Case("nothing is there", ([], [_user("x")], True, ""), []),
        Case("a container with no mounts", ([SECOND], [_user()], False, ""), ["22"]),
    ),
    "10.5": (
        _asked("another one", "VolumeDriver.Get", "maps", {"Volume": MAPS}, "", "maps", "books"),
        _asked("where is one that is not there?", "VolumeDriver.Path", "map", NO_VOLUME, "", "maps"),
        _asked("needed no more, and never there", "VolumeDriver.Unmount", "x", NO_VOLUME, ""),
        _asked("remove one of two", "VolumeDriver.Remove", "maps", {}, "", "maps", "books"),
        _asked("all of one", "VolumeDriver.List", "", {"Volumes": [MAPS]}, "", "maps"),
        _asked("a method in small letters", "volumedriver.get", "maps", NO_METHOD, "", "maps"),
        _asked("an unknown method for one that is not there", "VolumeDriver.Copy", "x", NO_METHOD, ""),
    ),
}
