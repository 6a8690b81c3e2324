"""Explanation -> one self-contained HTML page that needs no network, server or programmer."""

import base64
import hashlib
import io
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from attributions.heatmaps import DIVERGING
from attributions.measures import both_classes, decisions
from trimvae.figures.drawing import are_images, feature_names, image_array
from trimvae.figures.strips import flips, moving_columns, saying
from trimvae.figures.trust import checks
from trimvae.figures.waterfall import contributions
from trimvae.files import replacing
from trimvae.traversals import Traversal
from trimvae.trust import LEAST_AGREEMENT

if TYPE_CHECKING:
    from trimvae.evaluation import Evaluation
    from trimvae.explanation import Explanation

# A sheet of frames up to this size is kept without loss: noise of a lossy format would show.
_LOSSLESS_PIXELS = 40
# A column of a table shown while a latent moves, and classes listed beside it.
_COLUMNS, _CLASSES = 6, 5
# Classes with a heatmap row and a section of their own, and those that AttFind is asked for.
_MOST_CLASSES, _MOST_ATTRIBUTED = 30, 12
# Examples among which AttFind looks for what turns them into a class.
_ATTFIND_EXAMPLES = 128


def write_report(
    explanation: "Explanation",
    path: str | Path,
    *,
    title: str = "What the classifier uses",
    evaluation: "Evaluation | None" = None,
    max_examples: int = 24,
    n_latents: int = 10,
    frames: int = 11,
    max_pixels: int = 80,
) -> Path:
    """Write an explanation as one HTML page: overview, latents, classes and examples.

    Each shown example has sliders that move one latent and show the decoded picture and the
    predictor's probabilities, computed beforehand. All names are escaped, and the page's policy
    lets no script run but its own and nothing be fetched.

    Args:
        explanation: With code and predictor; without them there are no sliders.
        path: The file; written whole or not at all.
        title: Of the page.
        evaluation: Of the same code and predictor, whose figures are added.
        max_examples: Examples shown: misclassified and disagreeing ones first, then evenly over
            the predicted classes.
        n_latents: Latents shown, and sliders per example, the strongest first.
        frames: Values of each slider, the example's own aside.
        max_pixels: Longest side of a slider's pictures; larger ones are reduced.

    Returns:
        The path.

    Raises:
        ValueError: A count is below 1, or `frames` below 2.
        PermissionError: The folder cannot be written to.
    """
    if min(max_examples, n_latents, max_pixels) < 1 or frames < 2:
        raise ValueError(
            "`max_examples`, `n_latents` and `max_pixels` must be at least 1 and `frames` 2. Got "
            f"{max_examples}, {n_latents}, {max_pixels} and {frames}. Use the defaults."
        )
    path = Path(path)
    page = render_report(
        explanation,
        title=title,
        evaluation=evaluation,
        max_examples=max_examples,
        n_latents=n_latents,
        frames=frames,
        max_pixels=max_pixels,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def render_report(
    explanation: "Explanation",
    *,
    title: str,
    evaluation: "Evaluation | None" = None,
    max_examples: int = 24,
    n_latents: int = 10,
    frames: int = 11,
    max_pixels: int = 80,
) -> str:
    """Return the page that `write_report` writes."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("trimvae"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    folder = resources.files("trimvae") / "templates"
    style, script = ((folder / name).read_text("utf-8") for name in ("report.css", "report.js"))
    asked = explanation.can_be_asked
    shown = chosen_examples(explanation, max_examples)
    used = explanation.top(min(n_latents, len(explanation.latent_names)))
    template = environment.get_template("report.html.j2")
    return template.render(
        title=title,
        style=style,
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        explanation=explanation,
        sentences=sentences(explanation),
        checks=checks(explanation),
        figures=None if evaluation is None else evaluation.metrics,
        heatmap=heatmap(explanation),
        latents=[latent_section(explanation, use, max_pixels) for use in used],
        classes=class_sections(explanation, max_pixels),
        examples=[
            example_card(explanation, example, n_latents, frames, max_pixels) for example in shown
        ],
        asked=asked,
        classification=explanation.task == "classification",
        has_labels=explanation.labels is not None,
        shown_classes=shown_classes(explanation, shown),
    )


def sentences(explanation: "Explanation") -> list[str]:
    """What was found, said in sentences that are made from the figures."""
    figures, count = explanation.metrics, len(explanation.inputs)
    used = explanation.top(3)
    needed, size = figures["latents_for_90_percent"], len(explanation.latent_names)
    what = "predictions" if explanation.task == "regression" else "decisions"
    found = []
    if figures["agreement"] < LEAST_AGREEMENT:
        found.append(
            f"Do not rely on this page: agreement is {figures['agreement']:.2f}, so that what "
            "follows is about other inputs than those that the predictor was given."
        )
    found += [
        f"{count} {what} were explained through {size} latents, factors of variation that were "
        "learned from the inputs.",
        f"On average a single one of these {what} rests on {figures['effective_latents']:.1f} "
        f"latents (effective number); {needed:.1f} carry 90 % of its evidence.",
    ]
    for use in used:
        if use.share < 0.05:
            continue
        sentence = f"{use.name} carries {use.share:.0%} of the evidence"
        for_, against = use.speaks_for, use.speaks_against
        if len(explanation.explained_names) > 1 and for_[1] > 0 > against[1]:
            sentence += f": high values speak for {for_[0]}, low values for {against[0]}"
        elif len(explanation.explained_names) == 1:
            sentence += f": high values {'raise' if for_[1] > 0 else 'lower'} the {for_[0]}"
        found.append(sentence + ".")
    if len(explanation.blocks) > 1:
        parts = [
            f"{block.name} {share:.0%}"
            for block, share in zip(explanation.blocks, explanation.block_shares, strict=True)
            if block.kind != "noise"
        ]
        found.append(f"By parts of the code, the evidence is in: {', '.join(parts)}.")
    if explanation.task == "classification":
        found.append(
            f"Encoded and decoded again, {figures['agreement']:.1%} of the inputs are decided "
            "alike; what is said here holds for what the latents can draw."
        )
    else:
        found.append(
            f"Encoded and decoded again, {figures['agreement']:.1%} of the variance of the outputs "
            "remains."
        )
    return found


def chosen_examples(explanation: "Explanation", count: int) -> list[int]:
    """Examples to show, in their order: up to half that went wrong, the rest over the classes."""
    wrong = explanation.disagrees.clone()
    if explanation.labels is not None and explanation.task == "classification":
        wrong |= explanation.predicted != explanation.labels
    chosen = wrong.nonzero()[:, 0].tolist()[: count // 2]
    by_class: dict[int, list[int]] = {}
    for example, predicted in enumerate(explanation.predicted.tolist()):
        if example not in chosen:
            by_class.setdefault(predicted, []).append(example)
    queues = [by_class[index] for index in sorted(by_class)]
    while len(chosen) < count and any(queues):
        for queue in queues:
            if queue and len(chosen) < count:
                chosen.append(queue.pop(0))
    return sorted(chosen)


def shown_classes(explanation: "Explanation", shown: Sequence[int]) -> list[tuple[int, str]]:
    """Classes that the shown examples are predicted as, for the filter."""
    if explanation.task == "regression":
        return []
    indices = sorted({int(explanation.predicted[example]) for example in shown})
    return [(index, explanation.class_names[index]) for index in indices]


class Cell(NamedTuple):
    """One number of the heatmap with its colours."""

    text: str
    background: str
    ink: str


class Row(NamedTuple):
    """One row of the heatmap."""

    name: str
    cells: list[Cell]
    effective: str
    agreement: str


def heatmap(explanation: "Explanation") -> dict[str, Any]:
    """Mean attributions to the predicted classes as a coloured table."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    attributions, effective = explanation.by_predicted_class
    names: tuple[str, ...] = explanation.class_names
    if len(attributions) != len(names):
        names = explanation.explained_names
    elif explanation.attributions.shape[1] == 1 and len(names) == 2:
        names = tuple(f"predicted {name}" for name in names)
    agreement = explanation.agreement_by_class
    values = attributions.cpu().double().numpy()
    present = np.flatnonzero(~np.isnan(values).all(axis=1))
    strength = np.nansum(np.abs(values[present]), axis=1)
    rows = np.sort(present[np.argsort(-strength)[:_MOST_CLASSES]])
    columns = explanation.shares.argsort(descending=True)[:20].sort().values.tolist()
    limit = float(np.nanmax(np.abs(values[rows]), initial=0.0)) or 1.0
    table = []
    for row in rows.tolist():
        cells = []
        for column in columns:
            value = float(values[row, column])
            red, green, blue, _ = colormaps[DIVERGING](0.5 + 0.5 * value / limit)
            light = 0.299 * red + 0.587 * green + 0.114 * blue > 0.5
            text = f"{value:+.1f}" if limit >= 1 else f"{value:+.2g}"
            text = "0" if abs(value) < limit / 1000 else text
            cells.append(Cell(text, to_hex((red, green, blue)), "#111" if light else "#fff"))
        kept = "" if agreement is None else f"{float(agreement[row]):.2f}"
        table.append(Row(names[row], cells, f"{float(effective[row]):.1f}", kept))
    return {
        "rows": table,
        "columns": [explanation.latent_names[column] for column in columns],
        "left_out": len(present) - len(rows),
        "latents_left_out": len(explanation.latent_names) - len(columns),
        "empty": len(values) - len(present),
    }


class Frame(NamedTuple):
    """One step of a strip."""

    value: str
    said: str
    picture: str
    rows: list[tuple[str, str]]
    """Columns and their values, for a table."""


def latent_section(explanation: "Explanation", use: Any, max_pixels: int) -> dict[str, Any]:
    """What a latent looks like: an average example on which it alone moves."""
    section: dict[str, Any] = {"use": use, "frames": [], "flips": []}
    if not explanation.can_be_asked:
        return section
    typical = _typical_example(explanation)
    traversal = explanation.traverse(typical, use.latent, steps=25)
    section["typical"] = typical
    every = 4 if are_images(explanation) else 6  # columns of numbers take more room
    section["frames"] = _frames(explanation, traversal, range(0, 25, every), max_pixels)
    if explanation.task == "classification":
        section["flips"] = [
            (f"{value:+.1f}", explanation.class_names[winner]) for value, winner in flips(traversal)
        ]
    return section


def _typical_example(explanation: "Explanation") -> int:
    """The example that is nearest to the mean latents."""
    centred = explanation.latents - explanation.latents.mean(dim=0)
    return int(centred.norm(dim=1).argmin())


def _frames(
    explanation: "Explanation", traversal: Traversal, steps: Sequence[int], max_pixels: int
) -> list[Frame]:
    names = feature_names(explanation)
    columns = [] if are_images(explanation) else moving_columns(traversal.inputs, _COLUMNS)
    frames = []
    for step in steps:
        flat = traversal.inputs[step].flatten()
        frames.append(
            Frame(
                f"{traversal.values[step]:+.1f}",
                saying(explanation, traversal.outputs[step]),
                picture(traversal.inputs[step : step + 1], max_pixels)
                if are_images(explanation)
                else "",
                [(names[column], _plain(flat[column])) for column in columns],
            )
        )
    return frames


def class_sections(explanation: "Explanation", max_pixels: int) -> list[dict[str, Any]]:
    """For each predicted class: how many, how faithful, by which latents, and what makes it."""
    if explanation.task == "regression" or explanation.settings["contrast"] is not None:
        return []
    counts = torch.bincount(explanation.predicted, minlength=len(explanation.class_names))
    order = counts.argsort(descending=True, stable=True)[:_MOST_CLASSES]
    present = [index for index in order.tolist() if counts[index]]
    few = explanation.select(range(min(len(explanation.inputs), _ATTFIND_EXAMPLES)))
    sections = []
    for place, index in enumerate(present):
        of_class = explanation.for_class(index)
        section: dict[str, Any] = {
            "index": index,
            "name": explanation.class_names[index],
            "count": int(counts[index]),
            "agreement": of_class.metrics["agreement"],
            "effective": of_class.metrics["effective_latents"],
            "top": [use for use in of_class.top(3) if use.share >= 0.05],
            "attributes": [],
        }
        if explanation.can_be_asked and place < _MOST_ATTRIBUTED:
            section["attributes"] = [
                _attribute(few, attribute, index, max_pixels)
                for attribute in few.attributes(index, k=3)
            ]
        sections.append(section)
    return sorted(sections, key=lambda section: section["index"])


def _attribute(
    explanation: "Explanation", attribute: Any, target: int, max_pixels: int
) -> dict[str, Any]:
    pair = explanation.attribute_pairs(attribute, target, 3)
    names = feature_names(explanation)
    section: dict[str, Any] = {
        "name": explanation.latent_names[attribute.latent],
        "direction": ("low", "high")[attribute.direction],
        "effect": f"{attribute.effect:+.1f}",
        "flipped": f"{attribute.flipped:.0%}",
        "pairs": [],
        "columns": [],
    }
    if are_images(explanation):
        section["pairs"] = [
            (
                picture(pair.before[index : index + 1], max_pixels),
                saying(explanation, pair.outputs_before[index]),
                picture(pair.after[index : index + 1], max_pixels),
                saying(explanation, pair.outputs_after[index]),
            )
            for index in range(len(pair.before))
        ]
    elif len(pair.before):
        change = (pair.after - pair.before).flatten(1).mean(dim=0)
        columns = change.abs().topk(min(_COLUMNS, len(change))).indices.tolist()
        section["columns"] = [(names[column], _signed(change[column])) for column in columns]
    return section


def example_card(
    explanation: "Explanation", example: int, n_latents: int, frames: int, max_pixels: int
) -> dict[str, Any]:
    """Everything that is shown of one example; `moves` is what its sliders need."""
    steps = contributions(explanation, example, n_latents=min(n_latents, 8))
    largest = max(map(abs, steps.values), default=0.0) or 1.0
    predicted = int(explanation.predicted[example])
    label = None if explanation.labels is None else int(explanation.labels[example])
    classification = explanation.task == "classification"
    card: dict[str, Any] = {
        "example": example,
        "predicted": predicted,
        "said": saying(explanation, explanation.outputs[example]),
        "label": explanation.class_names[label] if classification and label is not None else None,
        "right": None if label is None or not classification else label == predicted,
        "disagrees": bool(explanation.disagrees[example]),
        "reencoded": saying(explanation, explanation.reencoded_outputs[example]),
        "start": _plain(steps.start),
        "end": _plain(steps.end),
        "explained": steps.label,
        "bars": [
            (name, _signed(value), round(100 * abs(value) / largest, 1), value > 0)
            for name, value in zip(steps.names, steps.values, strict=True)
        ],
        "input": None,
        "columns": [],
        "moves": None,
    }
    if are_images(explanation):
        card["input"] = picture(explanation.inputs[example : example + 1], 2 * max_pixels)
    else:
        names, flat = feature_names(explanation), explanation.inputs[example].flatten()
        card["columns"] = [(name, _plain(value)) for name, value in zip(names, flat, strict=True)]
    if explanation.can_be_asked:
        chosen = explanation.strongest(example, n_latents)
        card["moves"] = moves = _moves(explanation, example, chosen, frames, max_pixels)
        # The sheet stands in the page as a picture; the script needs the rest.
        card["moves_data"] = {name: value for name, value in moves.items() if name != "sheet"}
    return card


def _moves(
    explanation: "Explanation", example: int, chosen: Sequence[int], frames: int, max_pixels: int
) -> dict[str, Any]:
    """What the sliders of an example show: for each latent its values, pictures and outputs."""
    traversals, owns = [], []
    for latent in chosen:
        own = explanation.latents[example, latent].item()
        low, high = (end[latent].item() for end in explanation.ranges)
        grid = torch.linspace(low, high, frames).tolist()
        values = sorted([*grid, own])
        traversals.append(explanation.traverse(example, latent, values=torch.tensor(values)))
        owns.append(values.index(own))
    outputs = torch.stack([traversal.outputs for traversal in traversals]).cpu()
    moves: dict[str, Any] = {
        "latents": [explanation.latent_names[latent] for latent in chosen],
        "values": [[round(value, 2) for value in t.values.tolist()] for t in traversals],
        "own": owns,
        "classes": [],
        "chances": None,
        "rows": None,
        "sheet": None,
    }
    if explanation.task == "classification":
        chances = both_classes(outputs.flatten(0, 1)).softmax(dim=1).unflatten(0, outputs.shape[:2])
        kept = chances.flatten(0, 1).amax(dim=0).argsort(descending=True)[:_CLASSES].tolist()
        predicted = int(explanation.predicted[example])
        kept = sorted({predicted, *kept[: _CLASSES - (predicted not in kept)]})
        winners = decisions(outputs.flatten(0, 1)).unflatten(0, outputs.shape[:2])
        moves["classes"] = [explanation.class_names[index] for index in kept]
        moves["chances"] = _rounded(chances[..., kept])
        moves["winners"] = [[explanation.class_names[i] for i in row] for row in winners.tolist()]
    else:
        moves["name"] = explanation.class_names[0]
        moves["outputs"] = _rounded(outputs[..., 0])
    if are_images(explanation):
        inputs = torch.cat([traversal.inputs for traversal in traversals])
        small = _reduced(inputs, max_pixels)
        moves["height"], moves["width"] = small.shape[-2:]
        moves["sheet"] = picture(inputs, max_pixels, columns=frames + 1)
    else:
        names = feature_names(explanation)
        moves["rows"] = []
        for traversal in traversals:
            columns = moving_columns(traversal.inputs, _COLUMNS)
            moves["rows"].append(
                {
                    "names": [names[column] for column in columns],
                    "values": _rounded(traversal.inputs.flatten(1)[:, columns].cpu()),
                }
            )
    return moves


def _plain(value: Tensor | float) -> str:
    return f"{round(float(value), 2) + 0.0:.2f}"  # adding 0 turns -0 into 0


def _signed(value: Tensor | float) -> str:
    return f"{rounded:+.2f}" if (rounded := round(float(value), 2)) else "0.00"


def _rounded(values: Tensor) -> list[Any]:
    return np.round(values.double().numpy(), 3).tolist()


def _reduced(images: Tensor, max_pixels: int) -> Tensor:
    """Images with no side longer than `max_pixels`, pixels averaged."""
    scale = max_pixels / max(images.shape[-2:])
    if scale >= 1:
        return images
    size = [max(1, round(side * scale)) for side in images.shape[-2:]]
    return F.interpolate(images, size=size, mode="area")


def picture(images: Tensor, max_pixels: int, *, columns: int = 1) -> str:
    """Images `(n, channels, height, width)` on one sheet, row by row, as a data URL."""
    from PIL import Image

    small = _reduced(images.detach().cpu().float(), max_pixels)
    arrays = np.stack([image_array(image) for image in small])
    grid = arrays.reshape(-1, columns, *arrays.shape[1:])
    rows = [np.concatenate(list(row), axis=1) for row in grid]
    sheet = (np.concatenate(rows, axis=0) * 255).round().astype(np.uint8)
    stream = io.BytesIO()
    lossless = max(small.shape[-2:]) <= _LOSSLESS_PIXELS
    # WebP's sides end at 16,383 pixels.
    kind = "webp" if max(sheet.shape[:2]) < 16_384 else "png"
    options = {"lossless": lossless, "quality": 80} if kind == "webp" else {}
    Image.fromarray(sheet).save(stream, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"
