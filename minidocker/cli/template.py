"""`--format`: the part of Go's text/template that docker's users type.

Docker's command line formats its output with templates of the Go language: `{{.ID}}`, `{{json .}}`,
`{{range .Mounts}}…{{end}}`. This module compiles such a text into Python functions: the text is cut up (`pieces`), each
action parsed, and the result run over a value. Not here are `define`, `template`, `block`, `call`, `html` and `js`; the
functions (`values`) are Go's own and docker's: `json`, `join`, `split`, `upper`, `lower`, `title`, `pad`, `truncate`.

>>> render('{{.Name}}:{{range $i, $v := .Env}} {{$i}}{{$v | upper}}{{end}}', {"Name": "web", "Env": ["a", "c"]})
'web: 0A 1C'

A value is what JSON has: dict, list, str, int, float, bool, None. A `Struct` is a dict that Go would hold as a struct:
asking it for a field that it has not is an error, where a map answers with nothing.
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from minidocker.cli.pieces import ExecError, TemplateError, Token, cut, parse_error
from minidocker.cli.values import FUNCTIONS, Function, Struct, text_of


def render(source: str, value: Any) -> str:
    """`source` filled in from `value`; raises `TemplateError` (or `ExecError`)."""
    return compile_template(source)(value)


def compile_template(source: str, functions: Mapping[str, Function] | None = None) -> Callable[[Any], str]:
    """The function that fills `source` in. `functions` replace those of the same name."""
    parser = _Parser(source, {**FUNCTIONS, **(functions or {})})
    body = parser.block(stop=())[0]

    def fill(value: Any) -> str:
        out: list[str] = []
        body(Scope(value, ChainMap({"$": value})), out)
        return "".join(out)

    return fill


@dataclass
class Scope:
    """What a template sees at one place: the dot, and the variables (`$` is the value that it was given)."""

    dot: Any
    variables: ChainMap[str, Any]

    def inside(self, dot: Any, variables: Mapping[str, Any] | None = None) -> Scope:
        """The scope of a block within this one."""
        return Scope(dot, self.variables.new_child(dict(variables or {})))

    def assign(self, name: str, value: Any) -> None:
        """`$x = value`: where `$x` was declared."""
        next(scope for scope in self.variables.maps if name in scope)[name] = value


Expression = Callable[[Scope], Any]
Step = Callable[[Scope, list[str]], None]
_END = ("end",)


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


class _Parser:
    def __init__(self, source: str, functions: Mapping[str, Function]) -> None:
        self.source, self.functions = source, functions
        self.pieces = cut(source)
        self.declared: list[str] = ["$"]
        self.tokens: list[Token] = []
        self.at = 0

    # Blocks: a list of steps up to a keyword that ends it.

    def block(self, stop: Sequence[str]) -> tuple[Step, str]:
        """The steps up to one of the keywords in `stop`, and that keyword, its tokens left to read."""
        steps: list[Step] = []
        mark = len(self.declared)
        for piece in self.pieces:
            if piece.tokens is None:
                steps.append(_literal(piece.text))
                continue
            self.tokens, self.at = [*piece.tokens], piece.at
            self.space()
            word = self.tokens[0].text if self.tokens and self.tokens[0].kind == "name" else ""
            if word in stop:
                self.tokens.pop(0)
                del self.declared[mark:]
                return _sequence(steps), word
            steps.append(self.action(word, stop))
        if stop:
            raise self.error("unexpected EOF")
        return _sequence(steps), ""

    def action(self, word: str, stop: Sequence[str]) -> Step:
        if word in ("end", "else"):
            raise self.error(f"expected end; found {{{{{word}}}}}" if stop == _END else f"unexpected {{{{{word}}}}}")
        if word in ("if", "with", "range", "break", "continue"):
            self.tokens.pop(0)
            step: Step = getattr(self, word + "_")()
            return step
        silent, value = self.pipeline()
        return lambda scope, out: _put(out, value(scope), silent)

    def if_(self) -> Step:
        mark = len(self.declared)
        _, condition = self.pipeline("if")
        then, otherwise = self.arms()
        del self.declared[mark:]

        def run(scope: Scope, out: list[str]) -> None:
            inner = scope.inside(scope.dot)
            (then if condition(inner) else otherwise)(inner, out)

        return run

    def with_(self) -> Step:
        mark = len(self.declared)
        _, value = self.pipeline("with")
        then, otherwise = self.arms()
        del self.declared[mark:]

        def run(scope: Scope, out: list[str]) -> None:
            inner = scope.inside(scope.dot)
            dot = value(inner)
            then(Scope(dot, inner.variables), out) if dot else otherwise(inner, out)

        return run

    def range_(self) -> Step:
        names = self.loop_variables()
        self.space()
        mark = len(self.declared)
        start = self.tokens[0].at if self.tokens else self.at
        said = self.text()
        _, value = self.pipeline("range")
        self.declared += names
        body, otherwise = self.arms()
        del self.declared[mark:]

        def run(scope: Scope, out: list[str]) -> None:
            pairs = _pairs(value(scope), lambda message: self.failure(start, said, message))
            for key, item in pairs:
                bound = dict(zip(names, (key, item)[-len(names) :], strict=True)) if names else {}
                try:
                    body(scope.inside(item, bound), out)
                except _Continue:
                    continue
                except _Break:
                    break
            if not pairs:
                otherwise(scope, out)

        return run

    def loop_variables(self) -> list[str]:
        """`$k, $v :=` at the head of a range, consumed."""
        head = re.match(r"\s*(\$\w+)\s*(?:,\s*(\$\w+)\s*)?:=", "".join(token.text for token in self.tokens))
        if head is None:
            return []
        while self.tokens.pop(0).text != ":=":
            pass
        return [name for name in head.groups() if name]

    def arms(self) -> tuple[Step, Step]:
        """What follows `{{if …}}` up to its `{{end}}`: the block, and that of `{{else}}` (or `{{else if …}}`)."""
        then, word = self.block(("else", "end"))
        if word == "end":
            return then, _sequence([])
        self.space()
        if self.tokens and self.tokens[0].text in ("if", "with"):
            following = self.tokens.pop(0).text
            step: Step = getattr(self, following + "_")()
            return then, step
        return then, self.block(_END)[0]

    def break_(self) -> Step:
        def run(_scope: Scope, _out: list[str]) -> None:
            raise _Break

        return run

    def continue_(self) -> Step:
        def run(_scope: Scope, _out: list[str]) -> None:
            raise _Continue

        return run

    # Expressions: `$x := command | command`.

    def pipeline(self, keyword: str = "command") -> tuple[bool, Expression]:
        """Whether it only assigns (and so prints nothing), and its value."""
        self.space()
        variable, declares = self.assignment()
        commands = [self.command(keyword)]
        while self.tokens and self.tokens[0].text == "|":
            self.tokens.pop(0)
            self.space()
            if self.tokens:
                commands.append(self.command(keyword))
        if self.tokens and self.tokens[0].text != ")":
            raise self.error(f'unexpected "{self.tokens[0].text}" in {keyword}')
        if declares:
            self.declared.append(variable)

        def value(scope: Scope) -> Any:
            piped: tuple[Any, ...] = ()
            for command in commands:
                piped = (command(scope, piped),)
            if declares:
                scope.variables[variable] = piped[0]
            elif variable:
                scope.assign(variable, piped[0])
            return piped[0]

        return bool(variable), value

    def assignment(self) -> tuple[str, bool]:
        head = re.match(r"(\$\w+)\s*(:?=)", "".join(token.text for token in self.tokens[:3]))
        if head is None:
            return "", False
        while self.tokens.pop(0).text not in (":=", "="):
            pass
        self.space()
        if head[2] == "=" and head[1] not in self.declared:
            raise self.error(f'undefined variable "{head[1]}"')
        return head[1], head[2] == ":="

    def command(self, keyword: str) -> Callable[[Scope, tuple[Any, ...]], Any]:
        """Operands up to a `|`, a `)` or the end: a function and its arguments, or one value."""
        if not self.tokens:
            raise self.error(f"missing value for {keyword}")
        first, said = self.tokens[0], self.text()
        if first.kind == "name" and first.text not in ("true", "false", "nil"):
            if first.text not in self.functions:
                raise self.error(f'function "{first.text}" not defined')
            self.tokens.pop(0)
            return self.call(first, said, self.operands())
        operands = self.operands()
        if first.text == "nil" and len(operands) == 1:
            return lambda _scope, _piped: _raise(self.failure(first.at, "nil", "nil is not a command"))

        def value(scope: Scope, piped: tuple[Any, ...]) -> Any:
            args = [operand(scope) for operand, _ in operands[1:]] + [*piped]
            found = operands[0][0](scope)
            if callable(found):
                return found(*args)
            if args:
                name = operands[0][1].text
                method = f"{name.lstrip('.')} is not a method but has arguments"
                other = f"can't give argument to non-function {name}"
                raise self.failure(first.at, name, method if first.kind == "field" else other)
            return found

        return value

    def call(
        self, name: Token, said: str, operands: list[tuple[Expression, Token]]
    ) -> Callable[[Scope, tuple[Any, ...]], Any]:
        function = self.functions[name.text]

        def early(scope: Scope, piped: tuple[Any, ...]) -> Any:
            """`and` and `or` do not look at what cannot matter any more."""
            value: Any = None
            for value in chain((operand(scope) for operand, _ in operands), piped):
                if bool(value) == (name.text == "or"):
                    break
            return value

        def run(scope: Scope, piped: tuple[Any, ...]) -> Any:
            count = len(operands) + len(piped)
            if count < function.least or (function.most is not None and count > function.most):
                want = f"at least {function.least}" if function.most is None else str(function.least)
                raise self.failure(name.at, name.text, f"wrong number of args for {name.text}: want {want} got {count}")
            if name.text in ("and", "or"):
                return early(scope, piped)
            args = [operand(scope) for operand, _ in operands]
            for i in function.strings:
                if i < len(args) and not isinstance(args[i], str):
                    token = operands[i][1]
                    raise self.failure(token.at, token.text, f"expected string; found {text_of(args[i])}")
            try:
                return function.call(*args, *piped)
            except (ValueError, TypeError, AttributeError) as error:
                raise self.failure(name.at, said, f"error calling {name.text}: {error}") from None

        return run

    def operands(self) -> list[tuple[Expression, Token]]:
        found: list[tuple[Expression, Token]] = []
        self.space()
        while self.tokens and self.tokens[0].text not in ("|", ")"):
            found.append(self.operand())
            self.space()
        return found

    def operand(self) -> tuple[Expression, Token]:
        """One value: a literal, a variable, a field, a pipeline in parentheses; then any fields of it."""
        token = self.tokens.pop(0)
        value = self.fields(self.term(token), [token] if token.kind == "field" else [], token.at)
        said = self.source[token.at : self.tokens[0].at if self.tokens else None]
        return value, Token(token.kind, re.split(r"\s*-?}}", said)[0] if not self.tokens else said, token.at)

    def term(self, token: Token) -> Expression:
        match token.kind:
            case "dot" | "field":
                return lambda scope: scope.dot
            case "variable":
                if token.text not in self.declared:
                    raise self.error(f'undefined variable "{token.text}"')
                return lambda scope: scope.variables[token.text]
            case "op" if token.text == "(":
                _, inner = self.pipeline()
                if not self.tokens:
                    raise self.error("unclosed left paren")
                self.tokens.pop(0)
                return inner
        literal = self.literal(token)
        return lambda _scope: literal

    def literal(self, token: Token) -> Any:
        match token.kind:
            case "string":
                return token.text[1:-1].encode().decode("unicode_escape").encode("latin-1").decode()
            case "raw":
                return token.text[1:-1]
            case "number":
                try:
                    return int(token.text, 0)
                except ValueError:
                    return float(token.text)
            case "name":
                if token.text in ("true", "false", "nil"):
                    return {"true": True, "false": False}.get(token.text)
                if token.text in self.functions:
                    return self.functions[token.text].call()
                raise self.error(f'function "{token.text}" not defined')
        raise self.error(f'unexpected "{token.text}" in operand')

    def fields(self, value: Expression, names: list[Token], start: int) -> Expression:
        while self.tokens and self.tokens[0].kind == "field":
            names.append(self.tokens.pop(0))

        def walk(scope: Scope) -> Any:
            found = value(scope)
            for token in names:
                found = self.field(found, token, start, names[-1])
            return found

        return walk if names else value

    def field(self, value: Any, token: Token, start: int, last: Token) -> Any:
        name, said = token.text[1:], self.source[start : last.at + len(last.text)]
        if isinstance(value, Mapping):
            if name in value:
                return value[name]
            if not isinstance(value, Struct):
                return None
            if not value.kind:
                raise self.failure(token.at, said, f'map has no entry for key "{name}"')
        if value is None:
            raise self.failure(token.at, said, f'nil data; no entry for key "{name}"')
        kind = value.kind if isinstance(value, Struct) else "interface {}"
        raise self.failure(token.at, said, f"can't evaluate field {name} in type {kind}")

    # What is left of the action, and how to complain.

    def text(self) -> str:
        """The rest of the command that is being read, as it stands in the template."""
        depth = 0
        words = ""
        for token in self.tokens:
            depth += (token.text == "(") - (token.text == ")")
            if depth < 0 or (depth == 0 and token.text == "|"):
                break
            words += token.text
        return words.strip()

    def space(self) -> None:
        while self.tokens and self.tokens[0].kind == "space":
            self.tokens.pop(0)

    def error(self, message: str) -> TemplateError:
        return parse_error(self.source, self.at, message)

    def failure(self, at: int, said: str, message: str) -> ExecError:
        line = self.source.count("\n", 0, at) + 1
        column = at - (self.source.rfind("\n", 0, at) + 1)
        return ExecError(f'template: :{line}:{column}: executing "" at <{said}>: {message}')


def _literal(text: str) -> Step:
    return lambda _scope, out: out.append(text)


def _sequence(steps: Sequence[Step]) -> Step:
    def run(scope: Scope, out: list[str]) -> None:
        for step in steps:
            step(scope, out)

    return run


def _put(out: list[str], value: Any, silent: bool) -> None:
    if not silent:
        out.append(text_of(value))


def _raise(error: Exception) -> Any:
    raise error


def _pairs(value: Any, failure: Callable[[str], Exception]) -> list[tuple[Any, Any]]:
    """What a range goes over: index and item, or key and value in the order of the keys."""
    match value:
        case None:
            return []
        case dict():
            return [(key, value[key]) for key in sorted(value)]
        case list():
            return [*enumerate(value)]
        case int() if not isinstance(value, bool):
            return [(i, i) for i in range(value)]
    raise failure(f"range can't iterate over {text_of(value)}")
