"""The command line. `app` declares the commands and imports nothing heavy; each command's work is in a file of its own.

app         names, options and help of all commands
output      what goes where: results to standard output, messages to standard error; exit codes
searching   nas search, nas resume
looking     nas front, nas report, nas export
spaces      nas spaces
"""

from __future__ import annotations


def main() -> None:
    """The command `nas`."""
    from nas.cli.app import run

    run()
