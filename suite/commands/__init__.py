"""The commands, one module a concern. Importing them is cheap: a command imports what it needs when it runs."""

import typer


def register(app: typer.Typer) -> None:
    """Put every command on `app`."""
    from suite.commands import audit, collapse, compare, data, describe, latency, listing, report, run, search

    for module in (search, run, listing, describe, report, compare, collapse, audit, data, latency):
        module.register(app)
