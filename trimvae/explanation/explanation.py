"""Explanation: everything one would want to know, in one object."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from attributions.codes import Code
from attributions.predictors import Function, Predictor
from trimvae import figures
from trimvae.evaluation.result import Evaluation
from trimvae.explanation.arguments import check_names
from trimvae.explanation.asking import as_frozen
from trimvae.explanation.comparison import Comparison, compare
from trimvae.explanation.exporting import Exported
from trimvae.explanation.probing import Context, Probing
from trimvae.explanation.reading import parts_in
from trimvae.explanation.recognising import check_made_with
from trimvae.report.notebook import notebook_card
from trimvae.report.page import write_report
from trimvae.storage import write_tensors
from trimvae.tables.asking import for_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class Explanation(Exported):
    """What a predictor uses of each example, in latents, and how far to trust it.

    Made by `explain`, in layers: `Evidence` holds the tensors, `Selecting` chooses among the
    examples, `Usage` adds up which latents are used, `Weighed` says how far to trust it, `Probing`
    asks code and predictor again, and `Exported` hands it to other libraries. Here it is compared,
    drawn and kept.
    """

    def compare(self, other: Probing) -> Comparison:
        """Compare with another explanation of the same inputs.

        Latents are matched by |correlation| over the examples (Hungarian), so that two predictors
        and one code, two codes, or one code before and after training can be compared.

        Args:
            other: Of the same inputs.

        Returns:
            Trust figures side by side, matched latents, and whether both say the same; in words by
            its `summary`.

        Raises:
            ValueError: The inputs are not the same, or fewer than two.
        """
        return compare(self, other)

    def _repr_html_(self) -> str:
        """Summary and heatmap, for notebooks."""
        return notebook_card(self)

    def plot(self, **options: Any) -> "Figure":
        """Draw classes x latents: mean attribution over the examples predicted as each class.

        Beside each row the effective latents and, as the reference to read it by, the agreement of
        the class' re-encoded examples.

        Args:
            **options: Of `attributions.plot_heatmap`, such as `title`, `limit`, `max_classes` and
                `ax`.

        Returns:
            The figure.
        """
        return figures.plot_classes(self, **options)

    def plot_blocks(self, **options: Any) -> "Figure":
        """Draw classes x blocks: mean attribution of each block to each predicted class.

        Args:
            **options: Of `attributions.plot_heatmap`, such as `title`, `limit`, `max_classes` and
                `ax`.

        Returns:
            The figure.
        """
        return figures.plot_blocks(self, **options)

    def plot_waterfall(self, example: int = 0, **options: Any) -> "Axes":
        """Draw where one output comes from: from the baseline, latent by latent, to the input.

        Args:
            example: Index into the batch.
            **options: `n_latents`, bars of their own; `ax`.

        Returns:
            The axes; `.figure` is the figure.
        """
        return figures.plot_waterfall(self, example, **options)

    def plot_traversals(self, example: int = 0, **options: Any) -> "Figure":
        """Draw the strongest latents of one example moved, with what the predictor says.

        Args:
            example: Index into the batch.
            **options: `n_latents`, rows; `frames`, pictures per row; `fig`.

        Returns:
            The figure.
        """
        return figures.plot_traversals(self, example, **options)

    def plot_pixels(self, example: int = 0, **options: Any) -> "Figure":
        """Draw where in one input the attributions of its strongest latents act.

        Args:
            example: Index into the batch.
            **options: `latents` or `n_latents`; `overlay`; `outlier_perc`; `fig`.

        Returns:
            The figure.
        """
        return figures.plot_pixels(self, example, **options)

    def plot_within(self, latent: int, **options: Any) -> "Axes":
        """Draw what one latent draws, in parts, beside how far each part is used.

        Args:
            latent: Index of the latent.
            **options: `transform`, as of `within`; `n_parts`, bars; `ax`.

        Returns:
            The axes; `.figure` is the figure.
        """
        return figures.plot_within(self, latent, **options)

    def plot_counterfactual(self, example: int = 0, **options: Any) -> "Figure":
        """Draw one input, the smallest latent change that flips its decision, and the difference.

        Args:
            example: Index into the batch.
            **options: Those of `counterfactuals`, such as `target` and `method`; `fig`.

        Returns:
            The figure.
        """
        return figures.plot_counterfactual(self, example, **options)

    def plot_attributes(self, target: int | str, **options: Any) -> "Figure":
        """Draw which latents, in which direction, turn inputs into a class (AttFind).

        Args:
            target: The class, by name or number.
            **options: `k`, most attributes; `examples` of each; `fig`.

        Returns:
            The figure.
        """
        return figures.plot_attributes(self, target, **options)

    def plot_trust(self, evaluation: Evaluation | None = None, **options: Any) -> "Figure":
        """Draw fidelity, completeness, latent share and monotonicity beside their bounds.

        Args:
            evaluation: Of the same code and predictor, from `evaluate`: adds what moving latents
                shows.
            **options: `fig`.

        Returns:
            The figure.
        """
        return figures.plot_trust(self, evaluation, **options)

    def animate(self, path: str | Path, example: int = 0, **options: Any) -> Path:
        """Write one latent's way there and back as GIF, or as MP4 where ffmpeg is installed.

        Args:
            path: Ends in `.gif` or `.mp4`.
            example: Index into the batch.
            **options: `latent`; `frames`, values from end to end; `fps`.

        Returns:
            The path.
        """
        return figures.animate(self, path, example, **options)

    def to_html(self, path: str | Path, **options: Any) -> Path:
        """Write one self-contained HTML page with sliders: overview, latents, classes, examples.

        Args:
            path: The file; written whole or not at all.
            **options: `title`; `evaluation`, whose figures are added; `against`, another
                explanation of the same inputs, to stand beside it; `called`, the names of both;
                `judges`, asked about moves that change an answer; `counterfactuals`, whether
                these are searched for; `max_examples`; `n_latents`; `frames`, values of each
                slider; `max_pixels`, longest side of the sliders' pictures.

        Returns:
            The path.
        """
        return write_report(self, path, **options)

    def rename(
        self, *, classes: Sequence[str] | None = None, latents: Sequence[str] | None = None
    ) -> Self:
        """Return the same explanation with other names.

        Args:
            classes: Of the classes; default: as they are.
            latents: Of the latents; default: as they are.

        Raises:
            TypeError: They are no names.
            ValueError: There are more or fewer names than classes or latents, or two alike.
        """
        class_names, latent_names = self.class_names, self.latent_names
        if classes is not None:
            check_names("classes", classes, len(class_names))
            class_names = tuple(map(str, classes))
        if latents is not None:
            check_names("latents", latents, len(latent_names))
            latent_names = tuple(map(str, latents))
        return replace(self, class_names=class_names, latent_names=latent_names)

    def save(self, path: str | Path) -> None:
        """Write tensors, names and settings to one safetensors file, whole or not at all.

        Args:
            path: The file; code and predictor are not in it.
        """
        texts = {
            "class_names": self.class_names,
            "latent_names": self.latent_names,
            "settings": self.settings,
        }
        write_tensors(path, self.tensors(), "Explanation", texts)

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        code: Code | None = None,
        predictor: Function | None = None,
        preprocess: Function | None = None,
    ) -> Self:
        """Read an explanation that `save` wrote; no code of the file is executed.

        Args:
            path: The file.
            code: The code that it was made with, to ask anew; default: nothing can be asked.
            predictor: The predictor that it was made with, likewise; an `attributions.Predictor`
                is used as it is.
            preprocess: Between decoder and predictor; default: none.

        Returns:
            The explanation.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is truncated, changed or not ours, or code or predictor are not
                those that it was made with.
        """
        loaded = cls(**parts_in(path))
        if code is None or predictor is None:
            return loaded
        if not isinstance(predictor, Predictor):
            predictor = Predictor(
                for_rows(code, predictor),
                preprocess=preprocess,
                explained=loaded.explained,
                probabilities=loaded.settings["probabilities"],
                task=loaded.task,
            )
        context = Context(as_frozen(code, loaded.inputs[:1]), predictor)
        check_made_with(*context, loaded.tensors())
        return replace(loaded, _context=context)
