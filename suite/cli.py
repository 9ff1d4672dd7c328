"""The command line: `dartboard COMMAND`. Each module of `suite.commands` registers the commands of one concern."""

import typer

app = typer.Typer(
    name="dartboard",
    help="A benchmark and reproducibility suite for differentiable architecture search.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,  # square brackets in a help text are a default, not markup
)


def main() -> None:
    """The entry point: load the commands, run the one asked for."""
    from suite import commands

    commands.register(app)
    app()
