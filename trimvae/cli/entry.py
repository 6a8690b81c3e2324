"""The commands together, and what is said when one of them fails."""

import re
from dataclasses import dataclass
from typing import Annotated

import typer

from trimvae import __version__
from trimvae.cli.blaming import frames_of_the_caller, told, told_of
from trimvae.cli.claiming import alone, explanation_claimed, report_claimed, run_claimed
from trimvae.cli.demo import demo_command
from trimvae.cli.evaluate import evaluate_command
from trimvae.cli.explain import explain_command
from trimvae.cli.interrupting import interruptible
from trimvae.cli.report import report_command
from trimvae.cli.train import train_command

app = typer.Typer(
    name="trimvae",
    help="Explain a trained PyTorch classifier through the latents of a disentangling VAE.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@dataclass
class Wish:
    """What the caller asked of every command."""

    traceback: bool = False


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"trimvae {__version__}")
        raise typer.Exit


@app.callback()
def _for_every_command(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show where in the code an error arose.")
    ] = False,
) -> None:
    context.ensure_object(Wish).traceback = traceback


_AGAIN = "every file is whole, old or new. Run the command again."

for _name, _command, _advice in (
    ("demo", demo_command, "run it again with --overwrite."),
    ("train", train_command, "the same command with --resume goes on from the last epoch."),
    ("explain", alone(explain_command, explanation_claimed), _AGAIN),
    ("evaluate", alone(evaluate_command, run_claimed), _AGAIN),
    ("report", alone(report_command, report_claimed), _AGAIN),
):
    app.command(_name)(interruptible(_command, _advice))


def main() -> None:
    """Run the command line; what the user can mend is said shortly, with exit code 2.

    That is a line for a refusal, and for an error of the user's own functions the place in their
    file, where it has one. An error of ours keeps its traceback, with exit code 1.
    """
    wish = Wish()
    try:
        app(obj=wish)
    except Exception as error:
        if wish.traceback:
            raise
        own = frames_of_the_caller(error)
        said = told(error, own) if own else told_of(error)
        if mendable(error) and not own:
            said = f"error: {_in_one_line(error)}"
        if said is None:
            raise
        typer.echo(said, err=True)
        raise SystemExit(2) from error


def mendable(error: Exception) -> bool:
    """Whether a line is enough: a refusal of ours, or an error of files and disks.

    A refusal names an argument in backquotes and says what it must be. Everything else is a mistake
    in somebody's code.
    """
    return isinstance(error, OSError) or re.match(r"`[^`]+` ", str(error)) is not None


def _in_one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    if text.startswith("`"):
        return text
    return f"{text}. trimvae --traceback COMMAND shows where."
