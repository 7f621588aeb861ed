"""What goes where: results to standard output, progress and messages to standard error; exit codes 0, 1 and 2."""

from __future__ import annotations

import json
import os
import sys
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

import typer

from nas.core.errors import DamageWarning, NASError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

FAILED = 1
"""The work failed."""
WRONG = 2
"""The request was wrong."""
WIDTH = 160
"""Columns of tables that are not read on a terminal."""

_DEBUG = False


class Output:
    """Where a command writes. `working` is set when the request was found right: what fails then is the work."""

    def __init__(self) -> None:
        self.working = False
        self._out: Console | None = None
        self._err: Console | None = None

    @property
    def out(self) -> Console:
        """Standard output."""
        if self._out is None:
            self._out = _console(stderr=False)
        return self._out

    @property
    def err(self) -> Console:
        """Standard error."""
        if self._err is None:
            self._err = _console(stderr=True)
        return self._err

    def result(self, value: Any) -> None:
        """A result as JSON: the only thing that goes to standard output."""
        stream = _RESULTS or sys.stdout
        stream.write(json.dumps(value, default=_plain) + "\n")
        stream.flush()

    def show(self, thing: RenderableType) -> None:
        """A result for a person."""
        self.out.print(thing, highlight=False)

    def say(self, text: str, style: str = "") -> None:
        """A message."""
        self.err.print(text, style=style or None, markup=False, highlight=False, soft_wrap=True)

    def fail(self, text: str) -> None:
        """An error block."""
        self.say(_block(text), "bold red" if self.err.is_terminal else "")

    def warn(self, text: str) -> None:
        """A warning: the work goes on."""
        self.say(f"warning: {text}", "yellow")


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    stream = sys.stderr if stderr else _RESULTS or sys.stdout
    return Console(file=stream, width=None if stream.isatty() else WIDTH, markup=False, emoji=False)


def _plain(value: Any) -> Any:
    """Paths as text, frozen mappings and tuples as JSON has them."""
    if hasattr(value, "items"):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)


@contextmanager
def guarded() -> Iterator[Output]:
    """A command's work. What the engine refuses becomes an `error:` block on standard error and an exit code."""
    output = Output()
    try:
        with _results_apart(), _damage_told(output):
            yield output
    except NASError as error:
        if _DEBUG:
            raise
        output.fail(str(error))
        raise typer.Exit(FAILED if output.working else WRONG) from None
    except BrokenPipeError:
        sys.stderr.close()
        raise typer.Exit(0) from None
    except OSError as error:  # a disk that is full, a folder that may not be written to
        if _DEBUG or error.filename is None:
            raise
        output.fail(f"{error.filename}: {error.strerror}")
        raise typer.Exit(FAILED) from None
    except KeyboardInterrupt:
        output.say("stopped")
        raise typer.Exit(FAILED) from None


@contextmanager
def _damage_told(output: Output) -> Iterator[None]:
    """What is damaged and left out is told in a line of its own, without the place in the code; others as ever."""
    with warnings.catch_warnings():
        usual = warnings.showwarning
        warnings.simplefilter("always", DamageWarning)

        def show(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
            if issubclass(category, DamageWarning):
                output.warn(str(message))
            else:
                usual(message, category, *rest, **more)

        warnings.showwarning = show
        yield


_RESULTS: TextIO | None = None
"""Where results go while what users' code prints is kept out of them."""


@contextmanager
def _results_apart() -> Iterator[None]:
    """Whatever writes to standard output while a command works writes to standard error, but for the results."""
    global _RESULTS
    try:
        number = sys.stdout.fileno()
    except (OSError, ValueError, AttributeError):  # a stream without a file, as under a test runner
        yield
        return
    sys.stdout.flush()
    held, python = os.dup(number), sys.stdout
    try:
        _RESULTS = open(held, "w", encoding=python.encoding, closefd=False)  # noqa: SIM115 - closed below, by number
        os.dup2(sys.stderr.fileno(), number)
        yield
    finally:
        _RESULTS.flush()
        python.flush()
        os.dup2(held, number)
        os.close(held)
        _RESULTS = None


def debugging(wanted: bool) -> None:
    """Whether errors come with their traceback, in this process."""
    global _DEBUG
    _DEBUG = wanted


def _block(text: str) -> str:
    """`error: …`, one line per mistake, each wrapped."""
    lines = [line for line in text.splitlines() if line.strip()]
    width = max(60, min(_terminal_width(), 160))
    return "\n".join(
        textwrap.fill(
            f"error: {line}", width, subsequent_indent="       ", break_long_words=False, break_on_hyphens=False
        )
        for line in lines
    )


def _terminal_width() -> int:
    import shutil

    return shutil.get_terminal_size((WIDTH, 24)).columns
