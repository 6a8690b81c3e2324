"""What other libraries are handed: pandas, xarray, shap, and plain values."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attributions.outputs import as_numpy
from trimvae.explanation.frames import as_frame
from trimvae.explanation.probing import Probing
from trimvae.json_values import without_nan

if TYPE_CHECKING:
    import pandas as pd
    import shap
    import xarray as xr


@dataclass(frozen=True, kw_only=True)
class Exported(Probing):
    """An explanation in the forms that other libraries take."""

    def to_dict(self) -> dict[str, Any]:
        """Metrics, warnings, names and settings: plain values, ready for JSON, which has no NaN."""
        return {
            "metrics": without_nan(self.metrics),
            "warnings": list(self.warnings),
            "class_names": list(self.class_names),
            "latent_names": list(self.latent_names),
            "settings": without_nan(self.settings),
        }

    def to_frame(self, *, all_classes: bool = False) -> "pd.DataFrame":
        """One row per example and latent (and class): its value and attribution.

        Args:
            all_classes: All classes that are attributed instead of the predicted one alone.

        Returns:
            Columns `example`, `predicted`, `explained`, `latent`, `value` and `attribution`.
        """
        return as_frame(self, all_classes=all_classes)

    def to_xarray(self) -> "xr.Dataset":
        """Attributions, latents and outputs with named dimensions, for xarray.

        Returns:
            A Dataset over `example`, `explained` and `latent` (and `output`, the predictor's own
            outputs), whose attributes are the metrics.

        Raises:
            ModuleNotFoundError: xarray is not installed.
        """
        import xarray as xr

        whole, outputs = ("example", "explained", "latent"), ("example", "output")
        variables = {
            "attributions": (whole, as_numpy(self.attributions)),
            "latents": (("example", "latent"), as_numpy(self.latents)),
            "outputs": (outputs, as_numpy(self.outputs)),
            "reencoded_outputs": (outputs, as_numpy(self.reencoded_outputs)),
            "explained_at": (whole[:2], as_numpy(self.of_columns(self.explained_at))),
            "explained_at_baseline": (
                whole[:2],
                as_numpy(self.of_columns(self.explained_at_baseline)),
            ),
            "predicted": ("example", [self.class_names[index] for index in self.predicted]),
        }
        named = {"explained": list(self.explained_names), "latent": list(self.latent_names)}
        if self.outputs.shape[1] == len(self.class_names):
            named["output"] = list(self.class_names)
        return xr.Dataset(variables, coords=named, attrs=dict(self.metrics))

    def to_shap(self) -> "shap.Explanation":
        """The same as shap's own object, so that shap's plots draw it.

        `shap.plots.beeswarm(explanation.to_shap()[:, :, "4"])` shows a class,
        `shap.plots.waterfall(explanation.to_shap()[0, :, "4"])` an example. The values are those of
        the explanation's method, whichever it is.

        Returns:
            `values` `(batch, latents, classes)`, or `(batch, latents)` of a single output, in
            units of the explained output; `base_values`, where attributions start; `data`, the
            latents; names of latents and outputs.

        Raises:
            ModuleNotFoundError: shap is not installed.
        """
        import shap

        values = as_numpy(self.attributions.transpose(1, 2))
        base = as_numpy(self.of_columns(self.explained_at_baseline))
        single = values.shape[2] == 1
        return shap.Explanation(
            values[..., 0] if single else values,
            base_values=base[:, 0] if single else base,
            data=as_numpy(self.latents),
            feature_names=list(self.latent_names),
            output_names=None if single else list(self.explained_names),
        )
