"""The `saymask` command: collects the commands and turns what goes wrong into one line and an exit code.

0 = done, 1 = failed, 2 = the request cannot be carried out as written, 130 = stopped by Ctrl-C. Nothing heavy is imported until a
command runs, so `--help` answers at once.
"""

from __future__ import annotations

import errno
import gc
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import saymask
from saymask.cli import (
    batch,
    bench,
    convert,
    data,
    demo,
    fetch,
    inspect,
    plan,
    segment,
    serve,
    train,
)
from saymask.cli.evaluation import calibrate, evaluate, multiple_choice, report
from saymask.cli.output import note, report_error, say
from saymask.errors import SaymaskError

_DISK_REFUSES = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
"""Errors of writing, which name no file."""


class _Commands(TyperGroup):
    """The place where every command's errors pass."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuse a sentence that would be read as options, and say how to pass it."""
        words = args[: args.index("--")] if "--" in args else args
        for word in words:
            if word.startswith("-") and " " in word and "=" not in word.partition(" ")[0]:
                raise typer.BadParameter(
                    f"{word!r} begins with a dash and is read as an option; write -- before such sentences: "
                    f"saymask segment OPTIONS -- SOURCE {word!r}"
                )
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except SaymaskError as error:
            report_error(error)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            note("stopped; nothing half-written was left behind")
            raise typer.Exit(130) from error
        except ImportError as error:
            if (error.name or "").startswith("saymask"):
                raise
            report_error(f"a library cannot be imported: {error}; run `saymask doctor` to see what is broken")
            raise typer.Exit(1) from error
        except OSError as error:
            if error.errno == errno.EPIPE or (error.filename is None and error.errno not in _DISK_REFUSES):
                raise
            report_error(f"{error.filename or 'the disk refuses'}: {(error.strerror or str(error)).lower()}")
            raise typer.Exit(1) from error


app = typer.Typer(
    cls=_Commands,
    name="saymask",
    help="Say what you want; get its mask on every frame.",
    epilog="Try it: saymask demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"saymask {saymask.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and leave.")] = False,
) -> None:
    pass


app.command("segment")(segment.segment)
app.command("serve")(serve.serve)
app.command("demo")(demo.demo)
app.command("fetch")(fetch.fetch)
app.command("list")(inspect.list_names)
app.command("doctor")(inspect.doctor)
app.command("train")(train.train)
app.command("eval")(evaluate.evaluate)
app.command("multiple-choice")(multiple_choice.multiple_choice)
app.command("calibrate")(calibrate.calibrate)
app.command("report")(report.report)
app.command("submission")(report.submission)
app.command("convert")(convert.convert)
app.command("bench")(bench.bench)
app.command("plan")(plan.plan)
app.add_typer(batch.app, name="batch")
app.add_typer(data.app, name="data")


def main() -> None:
    """Entry point of the installed command."""
    try:
        app()
    finally:
        gc.freeze()  # the process ends: to look through all that it holds for garbage takes long
