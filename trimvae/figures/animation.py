"""A traversal as a moving picture, with what the predictor says."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attributions.checks import check_counts
from attributions.heatmaps import PALETTE, new_figure
from attributions.outputs import both_classes
from trimvae.explanation.probing import Probing
from trimvae.explanation.traversals import Traversal
from trimvae.figures.drawing import are_images, draw_image, feature_names, short
from trimvae.figures.strips import moving_columns
from trimvae.storage import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def animate(
    explanation: Probing,
    path: str | Path,
    example: int = 0,
    *,
    latent: int | None = None,
    frames: int = 25,
    fps: int = 10,
) -> Path:
    """Write one latent's way there and back as GIF, or as MP4 where ffmpeg is installed.

    Args:
        explanation: An explanation with code and predictor.
        path: Ends in `.gif` or `.mp4`; written whole or not at all.
        example: Index into the batch.
        latent: Which moves; default: that of largest attribution.
        frames: Values from end to end.
        fps: Frames per second.

    Returns:
        The path.

    Raises:
        ValueError: `example`, `latent`, a count or the ending is out of range, or MP4 is asked for
            without ffmpeg.
        RuntimeError: The explanation was loaded without code and predictor.
    """
    path = Path(path)
    _check_ending(path)
    check_counts(frames=frames, fps=fps)
    explanation.check_example(example)
    latent = explanation.strongest(example, 1)[0] if latent is None else latent
    traversal = explanation.traverse(example, latent, n_steps=frames)
    figure = new_figure(5.2, 2.6)
    picture, curve = figure.subplots(1, 2)
    said, label = _said(explanation, example, traversal)
    values = traversal.values.tolist()
    curve.plot(values, said, color=PALETTE[0])
    (point,) = curve.plot(values[:1], said[:1], "o", color=PALETTE[1])
    curve.set_xlabel(short(explanation.latent_names[latent]))
    curve.set_title(label, fontsize=9)
    if explanation.task == "classification":
        curve.set_ylim(-0.05, 1.05)
    curve.spines[["top", "right"]].set_visible(False)
    draw_picture = _pictures(picture, explanation, traversal)

    def draw(frame: int) -> None:
        draw_picture(frame)
        point.set_data([values[frame]], [said[frame]])

    _write(figure, draw, [*range(frames), *range(frames - 2, 0, -1)], path, fps)
    return path


def _said(explanation: Probing, example: int, traversal: Traversal) -> tuple[list[float], str]:
    """What the predictor says at each step, and what to call it."""
    predicted = int(explanation.predicted[example])
    if explanation.task == "regression":
        outputs, label = traversal.outputs[:, 0], short(explanation.class_names[0])
    else:
        outputs = both_classes(traversal.outputs).softmax(dim=1)[:, predicted]
        label = f"probability of {short(explanation.class_names[predicted])}"
    return outputs.tolist(), label


def _pictures(picture: Any, explanation: Probing, traversal: Traversal) -> Callable[[int], None]:
    """Return what draws one step: the decoded image, or the columns that move most."""
    if are_images(explanation):

        def draw_frame(frame: int) -> None:
            picture.clear()
            draw_image(picture, traversal.inputs[frame])

        return draw_frame
    columns = moving_columns(traversal.inputs, 6)
    names = [short(feature_names(explanation)[column]) for column in columns]
    moving = traversal.inputs.flatten(1)[:, columns].cpu().float().numpy()
    ends = min(0.0, float(moving.min())), max(0.0, float(moving.max()))

    def draw_columns(frame: int) -> None:
        picture.clear()
        picture.barh(range(len(columns)), moving[frame], color=PALETTE[2])
        picture.set_yticks(range(len(columns)), names, fontsize=7)
        picture.set_xlim(ends)

    return draw_columns


def _check_ending(path: Path) -> None:
    from matplotlib.animation import FFMpegWriter

    if path.suffix not in (".gif", ".mp4"):
        raise ValueError(f"`path` must end in .gif or .mp4. Got {path.name}. Rename it.")
    if path.suffix == ".mp4" and not FFMpegWriter.isAvailable():
        raise ValueError(
            f"`path` must end in .gif where ffmpeg is not installed. Got {path.name}. "
            "Install ffmpeg, or write a GIF."
        )


def _write(
    figure: "Figure", draw: Callable[[int], None], order: Sequence[int], path: Path, fps: int
) -> None:
    from matplotlib.animation import FFMpegWriter, FuncAnimation, PillowWriter

    moving = FuncAnimation(figure, draw, frames=order)
    writer = PillowWriter(fps=fps) if path.suffix == ".gif" else FFMpegWriter(fps=fps)
    with replacing(path) as temporary:
        # Matplotlib reads the format from the ending.
        named = temporary.with_name(f"{temporary.name}{path.suffix}")
        try:
            moving.save(named, writer=writer, dpi=90)
            named.replace(temporary)
        finally:
            named.unlink(missing_ok=True)
