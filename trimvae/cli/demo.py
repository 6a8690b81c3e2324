"""trimvae demo: a classifier of our own, explained side by side through two codes."""

import math
from pathlib import Path
from typing import Annotated

import typer

from trimvae.cli.options import AsJson, Overwrite
from trimvae.cli.speaker import Speaker
from trimvae.cli.starting import Start


def demo_command(
    dataset: Annotated[
        str,
        typer.Option(
            help="digits, fashion, sprites or breast-cancer; or photographs, on which an ImageNet "
            "classifier is explained (it needs the extra `photographs`)."
        ),
    ] = "digits",
    seed: Annotated[int, typer.Option(help="Seed of everything that is learned.", min=0)] = 0,
    out: Annotated[Path, typer.Option(help="Folder for metrics, figures and report.")] = Path(
        "runs/demo"
    ),
    epochs: Annotated[
        int | None,
        typer.Option(
            help="Passes over the data for each VAE, before its axes; default: what suits the "
            "data set.",
            min=1,
        ),
    ] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Train a classifier; explain it through a plain VAE and through trimvae, trained twice.

    Takes a few minutes on two cores. Nothing is downloaded, but Fashion-MNIST where Debian's
    package dataset-fashion-mnist is not installed.

    Example: trimvae demo --dataset sprites --out runs/sprites
    """
    speaker = Speaker(as_json)
    if dataset == "photographs":
        _explain_photograph(out, seed, speaker, overwrite=overwrite)
        return
    with Start(out, overwrite=overwrite) as start:
        from trimvae.cli import demonstration

        metrics = demonstration.run(
            start,
            dataset=dataset,
            seed=seed,
            epochs=epochs,
            say=speaker.say,
            progress=not as_json,
        )
    speaker.table(
        f"The same classifier of {dataset}, three codes",
        ["held-out examples", *demonstration.ARMS.values()],
        {
            name: [metrics[arm].get(name, math.nan) for arm in demonstration.ARMS]
            for name in metrics["trim"]
        },
    )
    speaker.say("\n".join(("", *metrics["found"], "")))
    speaker.end(out, f"open {out}/report.html in a browser; {out}/comparison.png", metrics)


def _explain_photograph(out: Path, seed: int, speaker: Speaker, *, overwrite: bool) -> None:
    with Start(out, overwrite=overwrite) as start:
        from trimvae.cli import demo_photographs

        metrics = demo_photographs.run(start, seed=seed, say=speaker.say)
    speaker.say("\n".join(("", *metrics["found"], "")))
    speaker.end(out, f"open {out}/report.html in a browser", metrics)
