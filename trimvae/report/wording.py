"""Numbers and lists in running text."""

from collections.abc import Sequence

from trimvae.explanation.evidence import Evidence

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def asked_model(explanation: Evidence) -> str:
    """What is explained, as a reader calls it."""
    return "the model" if explanation.task == "regression" else "the classifier"


def percent(share: float) -> str:
    """A share as whole percent, such as "94 %"."""
    return f"{100 * share:.0f} %"


def in_letters(count: int) -> str:
    """A whole number, up to ten as a word."""
    return _NUMBERS[count] if count < len(_NUMBERS) else f"{count:,}"


def plural(word: str, count: int) -> str:
    """A word, with an s unless there is one."""
    return word if count == 1 else f"{word}s"


def listed(parts: Sequence[str]) -> str:
    """Such as "x, y and z"."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))
