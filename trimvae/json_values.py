"""Values as JSON knows them, which has no NaN and no infinity."""

import math
from collections.abc import Mapping
from typing import Any


def without_nan(content: Any) -> Any:
    """Return the same with None for every NaN and infinity, and lists for tuples.

    Args:
        content: Mappings, lists, tuples, numbers and texts, one in the other.

    Examples:
        >>> without_nan({"a": (1.5, float("nan")), "b": [float("inf"), "c", None]})
        {'a': [1.5, None], 'b': [None, 'c', None]}
    """
    if isinstance(content, Mapping):
        return {name: without_nan(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [without_nan(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
