"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Classifier = Annotated[
    str | None,
    typer.Option(
        help="FILE.py:FUNCTION or MODULE:FUNCTION that returns your trained nn.Module.",
        show_default=False,
    ),
]

Preprocess = Annotated[
    str | None,
    typer.Option(
        help="FILE.py:FUNCTION that returns what stands between image and classifier "
        "(resize, mean and deviation)."
    ),
]

Trust = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Import and call what the run names as classifier and preprocess, as for a run of "
        "your own; otherwise a run is data, and you name them again.",
    ),
]

DataOption = Annotated[
    str,
    typer.Option(
        help="digits; sprites; fashion; fashion:FOLDER of idx files; FILE.npz with `inputs`; "
        "FILE.csv; or a folder with one subfolder of images per class."
    ),
]

OtherData = Annotated[
    str | None,
    typer.Option(help="Data in place of the run's held-out examples, named as for train."),
]

RunFolder = Annotated[Path, typer.Argument(help="Folder that train or demo wrote.")]

MethodOption = Annotated[
    str,
    typer.Option(
        help="integrated_gradients, exact_shapley, expected_gradients, input_x_gradient, saliency "
        "or a class of captum.attr, such as KernelShap."
    ),
]

Classes = Annotated[
    list[str] | None,
    typer.Option(
        help="Class to attribute to, by name or number; repeat for several. Or predicted, of each "
        "example its own; or all. Default: all, of more than 100 classes predicted.",
    ),
]

Examples = Annotated[int, typer.Option(help="How many examples to explain.", min=1)]

Baselines = Annotated[
    str,
    typer.Option(
        help="Where attributions start: prior_mean, dataset_mean, class_mean or posterior; all but "
        "the first are of the examples that are there. E.g. --baselines class_mean"
    ),
]

Residual = Annotated[
    bool,
    typer.Option(
        "--residual",
        help="Add what the decoder leaves out, held fixed: attributions then end at the "
        "classifier's output at the inputs themselves.",
    ),
]

NSteps = Annotated[
    int | None,
    typer.Option(
        help="Path points of methods that have a path; default: as many as completeness to 1 % "
        "needs. E.g. --n-steps 64",
        min=1,
    ),
]

LatentNames = Annotated[
    Path | None,
    typer.Option(
        help="JSON file of old names and new, as the report saves it: "
        '{"axis1": "loop"}. E.g. --latent-names names.json',
    ),
]

Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="Replace the run in that folder; files that are not the run's own stay.",
    ),
]

AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object to standard output and nothing else.")
]

Judges = Annotated[
    list[str] | None,
    typer.Option(
        "--judge",
        help="FILE.py:FUNCTION that returns another classifier for the same labels: does it read "
        "what the code draws alike? Repeat for several.",
    ),
]
