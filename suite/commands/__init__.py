"""The commands, one module a concern. Importing them is cheap: a command imports what it needs when it runs."""

import typer


def register(app: typer.Typer) -> None:
    """Put every command on `app`."""
    from suite.commands import collapse, data, describe, report, search

    for module in (search, describe, report, collapse, data):
        module.register(app)
