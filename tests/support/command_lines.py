"""Checks a command or a call without running it: what is typed exists, with these options, for these names."""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import re
import runpy
import shlex
import sys
import tempfile
from functools import cache, partial
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import jsonschema
from typer.main import get_command

from saymask.cli.main import app
from saymask.lookup import resolve, resolve_writer
from saymask.metrics.protocols import protocol_named

ROOT = Path(__file__).parents[2]


def check_command(line: str, complete: bool = True) -> None:
    """Raise if a command could not be typed like this; with `complete=False` required arguments may be left out.

    Raises:
        UsageError of typer, SaymaskError, AssertionError: what is wrong with it.
    """
    program, *words = shlex.split(line, comments=True)
    match program:
        case "saymask":
            _check_saymask(words, complete)
        case "torchrun":
            from torch.distributed.run import get_args_parser

            options = get_args_parser().parse_args(words)
            assert options.module and options.training_script == "saymask", line
            _check_saymask(options.training_script_args, complete)
        case "python":
            _check_script(words)
        case "make":
            makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
            assert all("=" in word or re.search(rf"^{re.escape(word)}:", makefile, re.MULTILINE) for word in words), line
        case "pytest":
            assert all((ROOT / word).exists() for word in words if "/" in word), line
        case "pip" | "hf":
            assert words[0] in ("install", "download"), line
        case "curl":
            _check_curl(words)
        case _:
            raise AssertionError(f"{line}: nobody knows how to check {program!r}")


def _check_saymask(words: list[str], complete: bool) -> None:
    """Parse it with the real command line, then look up the names."""
    try:
        parsed = _parsing_only().main(words, prog_name="saymask", standalone_mode=False)
    except Exception as error:
        if not complete and type(error).__name__ in ("MissingParameter", "NoArgsIsHelpError"):
            return
        raise
    if "--help" in words or "--version" in words:
        return
    if parsed["command"] == "check":
        parsed["dataset"] = parsed["name"]
    for kind in ("tracker", "dataset", "recipe"):
        if parsed.get(kind):
            parsed[kind] = resolve(parsed[kind], kind)
    if "recipe" in parsed:
        parsed["recipe"]().override(parsed["overrides"] or [])
    for name in parsed["formats"].split(",") if "formats" in parsed else ():
        resolve_writer(name)
    if "protocol" in parsed:
        protocol_named(parsed["protocol"])


@cache
def _parsing_only() -> Any:
    """The real command line, every command replaced by one that gives its parameters back."""
    root = get_command(app)
    for name, command in root.commands.items():
        for leaf_name, leaf in getattr(command, "commands", {name: command}).items():
            leaf.callback = partial(_parameters, leaf_name)
    return root


def _parameters(command: str, **parameters: Any) -> dict[str, Any]:
    return {"command": command, **parameters}


def _check_curl(words: list[str]) -> None:
    """What is asked of the server is in its schema: the request, its parameters, the headers that it needs, the fields of its body."""
    parser = argparse.ArgumentParser(prog="curl")
    parser.add_argument("address")
    for flags in (["-i"], ["-I"], ["-N"], ["-O"], ["-J"]):
        parser.add_argument(*flags, action="store_true")
    parser.add_argument("-X", default="")
    parser.add_argument("-H", action="append", default=[])
    parser.add_argument("--json", type=json.loads)
    parser.add_argument("--data-binary", default="")
    try:
        typed = parser.parse_args(words)
    except SystemExit as error:
        raise AssertionError(f"curl {shlex.join(words)}: exit code {error.code}") from error
    parts = urlsplit(typed.address)
    method = (typed.X or ("head" if typed.I else "post" if typed.json or typed.data_binary else "get")).lower()
    schema = _schema()
    found = [path for path in schema["paths"] if re.fullmatch(re.sub(r"{\w+}", r"[^/]+", path), parts.path)]
    assert found and method in schema["paths"][min(found, key=len)], f"{method} {parts.path}"
    operation = schema["paths"][min(found, key=len)][method]
    known = {(entry["in"], entry["name"]): entry for entry in operation.get("parameters", ())}
    headers = {header.partition(":")[0].lower() for header in typed.H}
    assert {("query", name) for name in parse_qs(parts.query)} | {("header", name) for name in headers} <= known.keys(), typed.address
    needed = {name for (place, name), entry in known.items() if entry.get("required") and place != "path"}
    assert needed <= headers | parse_qs(parts.query).keys(), f"{typed.address} needs {needed}"
    if typed.json:
        body = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        jsonschema.validate(typed.json, {**schema["components"]["schemas"][body], "components": schema["components"]})


@cache
def _schema() -> dict[str, Any]:
    from served import toy_engine

    from saymask.web.app import create_app
    from saymask.web.settings import Settings

    with tempfile.TemporaryDirectory() as data:
        return create_app(Settings(Path(data)), toy_engine()).openapi()


class _Parsed(Exception):
    """Ends a script when it has understood its arguments."""


def _check_script(words: list[str]) -> None:
    """Start a script of `bench/` and end it behind the parsing of its arguments; one without a parser takes none."""
    script, *arguments = words
    path = ROOT / script
    if "ArgumentParser" not in path.read_text(encoding="utf-8"):
        assert not arguments, f"{script} takes no arguments"
        return
    parse = argparse.ArgumentParser.parse_args

    def parse_and_stop(parser: argparse.ArgumentParser, *args: Any) -> None:
        parse(parser, *args)
        raise _Parsed

    with mock.patch.object(argparse.ArgumentParser, "parse_args", parse_and_stop), mock.patch.object(sys, "argv", [script, *arguments]):
        try:
            runpy.run_path(str(path), run_name="__main__")
        except _Parsed:
            return
        except SystemExit as error:
            raise AssertionError(f"python {shlex.join(words)}: exit code {error.code}") from error
    raise AssertionError(f"{script} never parsed its arguments")


def check_calls(source: str) -> None:
    """Import what a block of Python imports, and fit its calls to the signatures of what it has imported.

    Raises:
        ImportError, AttributeError: something that is not there.
        TypeError: a call with arguments that the function does not have.
    """
    tree = ast.parse(source)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    known: dict[str, Any] = {}
    exec(compile(ast.Module(imports, []), "imports", "exec"), known)
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        if ast.unparse(call.func).partition(".")[0] in known:
            function = eval(ast.unparse(call.func), known)
            inspect.signature(function).bind(*call.args, **{keyword.arg: None for keyword in call.keywords if keyword.arg})
