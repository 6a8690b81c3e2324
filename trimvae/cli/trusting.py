"""Whose code a run is explained with: the caller's own, and the run's only where it is trusted."""

import shlex
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from trimvae.cli.functions import load
from trimvae.storage import checksum


class Named(NamedTuple):
    """What a command line says of classifier and preprocessing."""

    classifier: str | None
    preprocess: str | None
    trust: bool
    """Whether code that the run names may be imported and called."""

    def options(self) -> str:
        """The same as words of a further command line, beginning with a space if there are any."""
        said = {"--classifier": self.classifier, "--preprocess": self.preprocess}
        words = [f" {name} {shlex.quote(spec)}" for name, spec in said.items() if spec is not None]
        return "".join([*words, " --trust" if self.trust else ""])


class Functions(NamedTuple):
    """Classifier and preprocessing, loaded."""

    predictor: Any
    preprocess: Any


def functions_of(folder: Path, configuration: Mapping[str, Any], named: Named) -> Functions:
    """Load classifier and preprocessing; nothing that the run names is imported unasked.

    A demo's classifier is one of trimvae's own networks, whose weights are read as data.

    Args:
        folder: Of the run.
        configuration: Of the run.
        named: By the caller.

    Raises:
        ValueError: The run names code, and the caller neither names it again nor trusts the run.

    Warns:
        UserWarning: The classifier's weights are not those that the run was trained with.
    """
    own = named.classifier is None and configuration.get("command") == "demo"
    classifier = None if own else _spec("classifier", folder, configuration, named)
    preprocess = _spec("preprocess", folder, configuration, named)  # before anything is imported
    if classifier is None:
        return Functions(_demo_classifier(folder, configuration), load(preprocess))
    predictor = load(classifier)
    _compare(folder, configuration, predictor)
    return Functions(predictor, load(preprocess))


def _spec(option: str, folder: Path, configuration: Mapping[str, Any], named: Named) -> str | None:
    """What to import for an option: what the caller names, or a trusted run."""
    given, recorded = getattr(named, option), configuration.get(option)
    if given is None and recorded is not None and not named.trust:
        raise ValueError(
            f"`--{option}` must be named again: a run is data, and code that it names is not "
            f"imported unasked. Got {folder}, which names {recorded!r}. Write --{option} "
            "FILE.py:FUNCTION, or --trust where the run is your own."
        )
    if option == "classifier" and given is None and recorded is None:
        raise ValueError(
            f"`--classifier` must be given. Got {folder}, which names none. Write e.g. "
            "--classifier my_model.py:load."
        )
    return recorded if given is None else given


def weights_of(predictor: Any) -> str | None:
    """Checksum of a classifier's weights; None for a function, which has none to look at."""
    if not isinstance(predictor, nn.Module):
        return None
    state = predictor.state_dict()
    return checksum({name: value for name, value in state.items() if isinstance(value, Tensor)})


def _compare(folder: Path, configuration: Mapping[str, Any], predictor: Any) -> None:
    """Warn where the weights are not those that the run recorded."""
    recorded = configuration.get("classifier_sha256")
    if configuration.get("command") == "demo":
        recorded = weights_of(_demo_classifier(folder, configuration))
    if recorded is not None and recorded != weights_of(predictor):
        warnings.warn(
            "`--classifier` must be the one that the run was trained with. Got one whose weights "
            f"differ from those that {folder} recorded, so that its code was made for another "
            "classifier. Name that one, or train again.",
            UserWarning,
            stacklevel=4,
        )


def _demo_classifier(folder: Path, configuration: Mapping[str, Any]) -> nn.Module:
    from trimvae.cli.demo_data import load_classifier

    return load_classifier(
        folder / "classifier.safetensors", configuration.get("dataset", "digits")
    )
