"""The command line: `dartboard COMMAND`. Each module of `suite.commands` registers its commands."""

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
    """The entry point: register the commands and run one."""
    from suite import commands

    commands.register(app)
    app()
