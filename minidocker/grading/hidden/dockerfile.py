"""Hidden cases of exercise 06."""

from __future__ import annotations

from minidocker.grading.exercise import Case

ENV = {"A": "1", "AB": "2", "_x9": "3", "NIL": "", "SLASH": "C:\\"}

HIDDEN = {
    "6.1": (
        Case("an empty file", ("", "\\"), []),
        Case("nothing but comments", ("# a\n\n   \n# b", "\\"), []),
        Case("tabs", ("\tRUN a \\\t\n\tb\n", "\\"), [(1, "RUN a \tb")]),
        Case("a # after what went on", ("RUN a \\\n#b\\\nc\nCMD d", "\\"), [(1, "RUN a c"), (4, "CMD d")]),
        Case("two instructions that go on", ("RUN a\\\nb\nRUN c\\\n\n# x\nd\n", "\\"), [(1, "RUN ab"), (3, "RUN cd")]),
        Case("a backslash in the midst", ("RUN a\\b c\nCMD d", "\\"), [(1, "RUN a\\b c"), (2, "CMD d")]),
        Case("a doubled one of another kind", ("RUN a ``\nRUN b \\`\nc", "`"), [(1, "RUN a ``"), (2, "RUN b \\c")]),
    ),
    "6.2": (
        Case("one word", ('["true"]',), ["true"]),
        Case("blanks around the list", ('  ["sh", "-c", "a && b"]  ',), ["sh", "-c", "a && b"]),
        Case("a list that is not closed", ('["a", "b"',), ["/bin/sh", "-c", '["a", "b"']),
        Case("something after the list", ('["a"] && b',), ["/bin/sh", "-c", '["a"] && b']),
        Case("JSON of another kind", ('{"a": 1}',), ["/bin/sh", "-c", '{"a": 1}']),
        Case("a number", ("1",), ["/bin/sh", "-c", "1"]),
        Case("blanks are kept", ("  a   b ",), ["/bin/sh", "-c", "  a   b "]),
    ),
    "6.3": (
        Case("no variables", ("/srv/app", ENV), "/srv/app"),
        Case("an empty word", ("", ENV), ""),
        Case("a name that begins as another", ("$A$AB${A}B", ENV), "121B"),
        Case("an underscore and digits", ("${_x9}-$_x9", ENV), "3-3"),
        Case("in another place's env", ("$A", {}), ""),
        Case("a value that ends in a backslash", ("$SLASH$A", ENV), "C:\\1"),
        Case("an escaped brace", ("\\${A}", ENV), "${A}"),
        Case("the word of :+ has variables", ("${A:+<$AB>}${NIL:+$A}", ENV), "<2>"),
        Case("an empty default", ("x${NO:-}y", ENV), "xy"),
        Case("a default with a slash and dots", ("${NO:-r.io/a:1}", ENV), "r.io/a:1"),
    ),
    "6.4": (
        Case("nothing at all", ([], [], None, []), []),
        Case("arguments alone", ([], [], None, ["a", "b"]), ["a", "b"]),
        Case("an override, of nothing", ([], ["sh"], ["id"], []), ["id"]),
        Case("an override of several words", (["a"], ["b"], ["c", "d"], ["e"]), ["c", "d", "e"]),
        Case("an empty override drops both", (["a"], ["b"], [], []), []),
        Case("an empty override, with arguments", (["a"], ["b"], [], ["c"]), ["c"]),
        Case("words on all sides", (["a", "b"], ["c", "d"], None, []), ["a", "b", "c", "d"]),
    ),
}
