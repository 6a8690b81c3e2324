"""Names as a page shows them: whatever they hold, they change nothing beside them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from attributions.naming import cut, isolated
from trimvae.explanation.evidence import Evidence

_Explanation = TypeVar("_Explanation", bound=Evidence)
_MOST = 200
"""Characters of what is made of several names."""


def with_shown_names(explanation: _Explanation) -> _Explanation:
    """Return an explanation whose names are bounded, in one line, in UTF-8, and isolated.

    Names that are the same when cut are told apart by a number. Where all are fit to be shown,
    nothing is copied.
    """
    settings = explanation.settings
    features = settings.get("feature_names")
    changed = {
        "explained_name": cut(settings["explained_name"], _MOST),
        "blocks": [[isolated(block[0]), *block[1:]] for block in settings["blocks"]],
        "feature_names": None if features is None else list(shown(features)),
    }
    classes, latents = shown(explanation.class_names), shown(explanation.latent_names)
    same_settings = all(settings.get(name) == value for name, value in changed.items())
    if same_settings and (explanation.class_names, explanation.latent_names) == (classes, latents):
        return explanation
    return replace(
        explanation,
        class_names=classes,
        latent_names=latents,
        settings={**settings, **changed},
    )


def shown(names: Sequence[str]) -> tuple[str, ...]:
    """Names as they are shown, each another one.

    Examples:
        >>> shown(["a" * 99 + "b", "a" * 99 + "c", "cat"])[1:] == ("a" * 59 + "… #1", "cat")
        True
    """
    plain = [isolated(name) for name in names]
    counts = Counter(plain)
    return tuple(
        f"{short} #{index}" if counts[short] > 1 else short for index, short in enumerate(plain)
    )
