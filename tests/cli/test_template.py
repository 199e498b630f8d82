"""Go's templates: each line was typed to docker 28.2.2 after `inspect -f`, on a container like `WEB`; this came out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidocker.cli.pieces import ExecError, TemplateError
from minidocker.cli.template import render
from minidocker.cli.values import Struct, as_structs, sprintf, text_of, to_json

WEB = as_structs(
    {
        "Id": "abcdef",
        "Name": "/t1",
        "Args": ["100"],
        "Mounts": [],
        "ExecIDs": None,
        "SizeRw": None,
        "State": {"Status": "created", "Running": False, "Paused": False, "Health": None},
        "Config": {
            "Labels": {"x": "y", "k": "v", "z": "1"},
            "Env": ["Q=1", "A=b", "C=d e"],
            "Volumes": None,
            "Cmd": ["sleep", "100"],
            "User": "",
            "ExposedPorts": {},
            "Healthcheck": None,
        },
        "HostConfig": {"Binds": None, "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, "PortBindings": {}},
    }
)

SAID = {
    "{{.Config.Labels}} {{.Config.Env}} {{.Config.Volumes}}": "map[k:v x:y z:1] [Q=1 A=b C=d e] map[]",
    "{{.HostConfig.Binds}} {{.State.Health}} {{.HostConfig.RestartPolicy}} {{.Mounts}}": "[] <nil> {no 0} []",
    "{{.Config.ExposedPorts}} {{.Config.Healthcheck}} {{.Args}} {{.SizeRw}} {{.ExecIDs}}": "map[] <nil> [100] <nil> []",
    '{{index .Config.Labels "k"}}|{{index .Config.Labels "nope"}}|{{.Config.Labels.k}}': "v||v",
    "{{.Config.Labels.nope}}": "<no value>",
    "{{range $i, $e := .Config.Env}}{{$i}}:{{$e}},{{end}}": "0:Q=1,1:A=b,2:C=d e,",
    "{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{else}}none{{end}}": "k=v;x=y;z=1;",
    "{{range .Mounts}}x{{else}}none{{end}}": "none",
    "{{with .Config.User}}u={{.}}{{else}}no user{{end}}": "no user",
    '{{if eq .State.Status "created"}}C{{else if eq .State.Status "running"}}R{{else}}?{{end}}': "C",
    "{{if and .Name (not .State.Running)}}stopped{{end}}": "stopped",
    "{{if or .State.Running .State.Paused}}a{{else}}b{{end}}": "b",
    '{{.Name | upper}} {{upper .Name}} {{join .Config.Cmd ", "}} {{split "a-b-c" "-"}}': "/T1 /T1 sleep, 100 [a b c]",
    '{{title "hello world"}} {{len .Config.Env}} {{truncate .Name 2}} [{{pad "x" 1 2}}]': "Hello World 3 /t [ x  ]",
    '{{printf "%s %q %d %v" .Name .Name 3 .Config.Cmd}}': '/t1 "/t1" 3 [sleep 100]',
    '{{printf "%5d|%-5s|%05.1f %x %t %%" 7 "ab" 3.14159 255 true}}': "    7|ab   |003.1 ff true %",
    '{{printf "%d" "x"}} {{printf "%s" 3}} {{printf "%s"}}': "%!d(string=x) %!s(int=3) %!s(MISSING)",
    '{{printf "a" 1}}': "a%!(EXTRA int=1)",
    "x  {{- .Name -}}   y": "x/t1y",
    "{{/* c */}}z": "z",
    '{{"a\\tb"}} {{`raw\\t`}} {{3}} {{1.5}} {{true}}': "a\tb raw\\t 3 1.5 true",
    '{{print "a" 1 2 "b"}} {{println "x" 1}}': "a1 2b x 1\n",
    '{{eq 1 2 1}} {{ne 1 2}} {{lt 1 2}} {{le 2 2}} {{gt 3 2}} {{ge 1 2}} {{lt "a" "b"}}': (
        "true true true true true false true"
    ),
    '{{json .Config.Labels}} {{json .Name}} {{json .HostConfig.Binds}} {{json "<a>"}}': (
        '{"x":"y","k":"v","z":"1"} "/t1" null "<a>"'
    ),
    '{{slice .Id 0 3}} {{slice "abcdef" 1 3}}': "abc bc",
    "{{(index .Config.Env 0)}} {{$x := 3}}{{$x = 4}}{{$x}} {{$.Name}}": "Q=1 4 /t1",
    '{{range .Config.Env}}{{if eq . "A=b"}}{{continue}}{{end}}{{.}}{{break}}{{end}}': "Q=1",
    "{{range 3}}{{.}}{{end}}": "012",
    "{{.Name | }}": "/t1",
    "a}}b": "a}}b",
    '{{urlquery "a b"}}': "a+b",
    '{{1 | printf "%d"}}{{- /* x */ -}}\n q': "1q",
}

NO_TEMPLATE = {
    "{{.Foo": "unclosed action",
    "{{foo}}": 'function "foo" not defined',
    "{{.a.b | foo}}": 'function "foo" not defined',
    "{{.Name}}{{end}}": "unexpected {{end}}",
    "{{if .Name}}x": "unexpected EOF",
    "{{if true}}a{{else}}b{{else}}c{{end}}": "expected end; found {{else}}",
    "{{$x}}": 'undefined variable "$x"',
    "{{}}": "missing value for command",
    "{{range}}x{{end}}": "missing value for range",
    '{{"abc}}': "unterminated quoted string",
}

DOES_NOT_FIT = {
    "{{.Foo}}": ':1:2: executing "" at <.Foo>: map has no entry for key "Foo"',
    "{{.State.Foo}}": ':1:8: executing "" at <.State.Foo>: map has no entry for key "Foo"',
    "{{.Config.Foo.Bar}}": ':1:9: executing "" at <.Config.Foo.Bar>: map has no entry for key "Foo"',
    "{{.Name.Foo}}": ':1:7: executing "" at <.Name.Foo>: can\'t evaluate field Foo in type interface {}',
    "{{index .Config.Env 9}}": (
        ':1:2: executing "" at <index .Config.Env 9>: error calling index: index out of range: 9'
    ),
    '{{index .Config.Env "a"}}': (
        ':1:2: executing "" at <index .Config.Env "a">: error calling index: cannot index slice/array with type string'
    ),
    '{{eq 1 "a"}}': ':1:2: executing "" at <eq 1 "a">: error calling eq: incompatible types for comparison',
    "{{len 3}}": ':1:2: executing "" at <len 3>: error calling len: len of type int',
    "{{nil}}": ':1:2: executing "" at <nil>: nil is not a command',
    '{{.Name "x"}}': ':1:2: executing "" at <.Name>: Name is not a method but has arguments',
    "{{upper}}": ':1:2: executing "" at <upper>: wrong number of args for upper: want 1 got 0',
    "{{upper 3}}": ':1:8: executing "" at <3>: expected string; found 3',
    "{{upper .Name .Name}}": ':1:2: executing "" at <upper>: wrong number of args for upper: want 1 got 2',
    "{{and}}": ':1:2: executing "" at <and>: wrong number of args for and: want at least 1 got 0',
    '{{range $i, $e := "abc"}}{{end}}': ':1:18: executing "" at <"abc">: range can\'t iterate over abc',
}


@pytest.mark.parametrize("source", SAID)
def test_a_template_prints_what_docker_prints(source: str) -> None:
    assert render(source, WEB) == SAID[source]


@pytest.mark.parametrize("source", NO_TEMPLATE)
def test_what_is_no_template_is_refused_in_gos_words(source: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render(source, WEB)
    assert str(caught.value) == f"template: :1: {NO_TEMPLATE[source]}"
    assert not isinstance(caught.value, ExecError)


@pytest.mark.parametrize("source", DOES_NOT_FIT)
def test_what_does_not_fit_the_value_names_the_place(source: str) -> None:
    with pytest.raises(ExecError) as caught:
        render(source, WEB)
    assert str(caught.value) == f"template: {DOES_NOT_FIT[source]}"


def test_a_typed_row_names_its_type() -> None:
    row = Struct(ID="1")
    row.kind = "*formatter.ContainerContext"
    with pytest.raises(ExecError, match=r"at <\.Foo>: can't evaluate field Foo in type \*formatter\.ContainerContext"):
        render("{{.Foo}}", row)


def test_and_or_do_not_look_further_than_they_must() -> None:
    assert render('{{or .Name (index .Config.Env 9)}} {{and "" (index .Config.Env 9)}}', WEB) == "/t1 "


def test_lines_are_counted() -> None:
    with pytest.raises(ExecError, match="template: :3:3: "):
        render("a\nb\n {{.Foo}}", WEB)


def test_a_bool_is_no_number() -> None:
    assert sprintf("%d %v", True, False) == "%!d(bool=true) false"
    assert text_of([None, 1.0, {"a": None}]) == "[<nil> 1 map[a:<nil>]]"


@given(st.text(alphabet='{}|.$()"`-/* \tabxrangeifndl:=,0123', max_size=30))
def test_any_text_is_a_template_or_a_named_error(source: str) -> None:
    try:
        assert isinstance(render(source, WEB), str)
    except TemplateError as error:
        assert str(error).startswith("template: :")


@given(st.lists(st.none() | st.booleans() | st.integers() | st.text(max_size=5), max_size=4))
def test_json_is_json(value: object) -> None:
    import json

    assert json.loads(to_json(value)) == value
