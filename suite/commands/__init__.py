"""The commands, one module each. Importing them is quick: a command imports torch or pandas only when it runs."""

import typer


def register(app: typer.Typer) -> None:
    """Put every command on `app`."""
    from suite.commands import audit, collapse, compare, data, describe, latency, listing, report, run, search

    for module in (search, run, listing, describe, report, compare, collapse, audit, data, latency):
        module.register(app)
