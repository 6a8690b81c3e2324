"""Names as a page shows them: whatever they hold, they change nothing beside them."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from attributions.naming import cut, isolated, told_apart
from trimvae.explanation.evidence import Evidence

if TYPE_CHECKING:
    from markupsafe import Markup

_Explanation = TypeVar("_Explanation", bound=Evidence)
_MOST = 200
"""Characters of what is made of several names."""

# Around a latent's number and its name, wherever a sentence or a table uses the name: characters
# for private use, which no name keeps. So the page finds the names of latents, and nothing else.
_OPEN, _BETWEEN, _CLOSE = "\ue000", "\ue001", "\ue002"
_MARKED = re.compile(f"{_OPEN}(\\d+){_BETWEEN}([^{_CLOSE}]*){_CLOSE}")


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
    return told_apart([isolated(name) for name in names])


def with_marked_names(explanation: _Explanation) -> _Explanation:
    """Return an explanation whose latents' names are marked, so that a reader can rename them.

    `renamable` makes of a marked name an element of the page, `unmarked` the name that it was.
    """
    names = tuple(
        f"{_OPEN}{index}{_BETWEEN}{re.sub(f'[{_OPEN}-{_CLOSE}]', '', name)}{_CLOSE}"
        for index, name in enumerate(explanation.latent_names)
    )
    return replace(explanation, latent_names=names)


def renamable(text: str) -> "Markup":
    """A text for the page, escaped, with each marked name as an element that a script can find."""
    from markupsafe import Markup, escape

    element = r'<bdi class="name" data-latent="\1">\2</bdi>'
    unbroken = text.replace(" %", "\u00a0%")  # no line ends between a number and its sign
    return Markup(_MARKED.sub(element, str(escape(unbroken))))


def unmarked(text: str) -> str:
    """The text with its names as they were before they were marked."""
    return _MARKED.sub(r"\2", text)


def own_names(explanation: Evidence, latents: Sequence[int]) -> dict[int, str]:
    """The names by which `explain` knows latents again; cut only where they are very long."""
    names = {latent: explanation.latent_names[latent] for latent in latents}
    return {
        latent: name if len(name) <= _MOST else isolated(name) for latent, name in names.items()
    }
