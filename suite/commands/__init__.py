"""The commands, one module each. Importing them is quick: a command imports torch or pandas only when it runs."""

import typer


def register(app: typer.Typer) -> None:
    """Put every command on `app`."""
    from suite.commands import data, describe, doctor, latency, listing, run, search
    from suite.commands.results import audit, collapse, compare, report

    for module in (search, run, listing, describe, report, compare, collapse, audit, data, latency, doctor):
        module.register(app)
