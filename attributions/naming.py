"""Names that others have given, as plain text that is safe to draw and to write."""

import unicodedata
from collections import Counter
from collections.abc import Sequence

_MOST = 60
_ISOLATE, _END = "\u2068", "\u2069"
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that turn the order of what follows them, beyond the name that they stand in."""


def cut(name: str, length: int = _MOST) -> str:
    """A name as one line of plain text that is no longer than so many characters.

    Marks that would reorder the text around the name are left out; what no encoding can write, such
    as half of a surrogate pair, becomes U+FFFD, and line breaks become spaces.

    Args:
        name: Whatever it is called.
        length: Most characters, of which the last becomes an ellipsis where some are left out.

    Examples:
        >>> cut("a very long name", 7)
        'a very…'
        >>> cut("user\u202egnp.exe")
        'usergnp.exe'
    """
    kept = name[: length + len(_REORDERING) + 64]  # no need to look at the rest of a whole book
    plain = "".join(_plain(letter) for letter in kept if letter not in _REORDERING)
    longer = len(plain) > length or len(kept) < len(name)
    return f"{plain[: length - 1]}…" if longer else plain


def drawable(name: str, length: int = _MOST) -> str:
    r"""A name for a matplotlib figure, in which a dollar sign is a dollar sign and no formula.

    Args:
        name: Whatever it is called.
        length: Most characters, as for `cut`.

    Examples:
        >>> drawable("$5 or $6")
        '\\$5 or \\$6'
    """
    return cut(name, length).replace("$", r"\$")


def isolated(name: str, length: int = _MOST) -> str:
    r"""A name for running text, whose direction does not change that of its neighbours.

    Args:
        name: Whatever it is called.
        length: Most characters, as for `cut`.

    Examples:
        >>> isolated("cat")
        'cat'
        >>> isolated("\u05d0") == "\u2068\u05d0\u2069"  # Hebrew
        True
    """
    plain = cut(name, length)
    turns = any(unicodedata.bidirectional(letter) in ("R", "AL", "AN") for letter in plain)
    return f"{_ISOLATE}{plain}{_END}" if turns else plain


def told_apart(names: Sequence[str]) -> tuple[str, ...]:
    """Names of which each is another: those that are alike get the number of their place.

    Args:
        names: Whatever they are called, in order.

    Examples:
        >>> told_apart(["crane", "owl", "crane"])
        ('crane #0', 'owl', 'crane #2')
    """
    counts = Counter(names)
    return tuple(
        f"{name} #{place}" if counts[name] > 1 else name for place, name in enumerate(names)
    )


def _plain(letter: str) -> str:
    """A character, or what stands for it."""
    category = unicodedata.category(letter)
    if category in ("Zl", "Zp") or letter in "\t\n\r\v\f\x85":
        return " "
    return "\ufffd" if category in ("Cc", "Cs") else letter
