"""Contrast of colours by WCAG 2, worked out from its definition."""


def luminance(colour: str) -> float:
    """Relative luminance of "#rrggbb"."""
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (
        channel / 12.92 if channel <= 0.03928 else ((channel + 0.055) / 1.055) ** 2.4
        for channel in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(ink: str, ground: str) -> float:
    """From 1, the same, to 21, black on white; text needs 4.5."""
    dark, light = sorted(map(luminance, (full(ink), full(ground))))
    return (light + 0.05) / (dark + 0.05)


def full(colour: str) -> str:
    """Six digits, also of "#fff"."""
    digits = colour.removeprefix("#")
    return "#" + (digits if len(digits) == 6 else "".join(2 * digit for digit in digits))
