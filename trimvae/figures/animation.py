"""A traversal as a moving picture, with what the predictor says."""

from pathlib import Path
from typing import TYPE_CHECKING

from attributions.heatmaps import PALETTE, new_figure
from attributions.measures import both_classes
from trimvae.figures.drawing import are_images, draw_image, feature_names, short
from trimvae.figures.strips import moving_columns
from trimvae.files import replacing

if TYPE_CHECKING:
    from trimvae.explanation import Explanation


def animate(
    explanation: "Explanation",
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
        latent: Which; that of largest attribution without it.
        frames: Values from end to end.
        fps: Frames per second.

    Returns:
        The path.

    Raises:
        ValueError: `example`, `latent` or the ending is not one of these, or MP4 without ffmpeg.
        RuntimeError: The explanation was loaded without code and predictor.
    """
    from matplotlib.animation import FFMpegWriter, FuncAnimation, PillowWriter

    path = Path(path)
    if path.suffix not in (".gif", ".mp4"):
        raise ValueError(f"`path` must end in .gif or .mp4. Got {path.name}. Rename it.")
    if path.suffix == ".mp4" and not FFMpegWriter.isAvailable():
        raise ValueError(
            f"`path` must end in .gif where ffmpeg is not installed. Got {path.name}. "
            "Install ffmpeg, or write a GIF."
        )
    explanation.check_example(example)
    latent = explanation.strongest(example, 1)[0] if latent is None else latent
    traversal = explanation.traverse(example, latent, steps=frames)
    figure = new_figure(5.2, 2.6)
    picture, curve = figure.subplots(1, 2)
    values = traversal.values.cpu()
    predicted = int(explanation.predicted[example])
    if explanation.task == "regression":
        outputs, label = traversal.outputs[:, 0].cpu(), explanation.class_names[0]
    else:
        outputs = both_classes(traversal.outputs).softmax(dim=1)[:, predicted].cpu()
        label = f"probability of {short(explanation.class_names[predicted])}"
        curve.set_ylim(-0.05, 1.05)
    curve.plot(values, outputs, color=PALETTE[0])
    (point,) = curve.plot(values[:1], outputs[:1], "o", color=PALETTE[1])
    curve.set_xlabel(short(explanation.latent_names[latent]))
    curve.set_title(label, fontsize=9)
    curve.spines[["top", "right"]].set_visible(False)
    columns = moving_columns(traversal.inputs, 6)
    flat = traversal.inputs.flatten(1).cpu().numpy()
    names = [short(feature_names(explanation)[column]) for column in columns]

    def draw(frame: int) -> None:
        picture.clear()
        if are_images(explanation):
            draw_image(picture, traversal.inputs[frame])
        else:
            picture.barh(range(len(columns)), flat[frame, columns], color=PALETTE[2])
            picture.set_yticks(range(len(columns)), names, fontsize=7)
            ends = float(flat[:, columns].min()), float(flat[:, columns].max())
            picture.set_xlim(min(0.0, ends[0]), max(0.0, ends[1]))
        point.set_data([values[frame]], [outputs[frame]])

    order = [*range(frames), *range(frames - 2, 0, -1)]
    moving = FuncAnimation(figure, draw, frames=order)
    writer = PillowWriter(fps=fps) if path.suffix == ".gif" else FFMpegWriter(fps=fps)
    kind = "gif" if path.suffix == ".gif" else "mp4"
    with replacing(path) as temporary:
        # Matplotlib reads the format from the ending.
        named = temporary.with_name(f"{temporary.name}.{kind}")
        try:
            moving.save(named, writer=writer, dpi=90)
            named.replace(temporary)
        finally:
            named.unlink(missing_ok=True)
    return path
