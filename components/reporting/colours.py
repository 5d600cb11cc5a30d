"""Colours of labels, by their place among the labels.

Neighbours differ in lightness as well as in hue, so that they can be told apart without seeing
red and green as two colours.
"""

import colorsys

PALETTE = (
    "#d1495b", "#e9a820", "#8d99ae", "#3f7cac", "#7fc8a9", "#5b3a8c", "#f2c9b1", "#1f5c4d",
    "#c28ad6", "#7a4a1e",
)  # fmt: skip

DARK_INK, LIGHT_INK = "#11151a", "#ffffff"

_GOLDEN_TURN = 0.618034
_LIGHTNESS = (0.35, 0.7, 0.5)


def label_colours(count: int) -> list[str]:
    """A colour for each of so many labels: those of the palette, then others, all different.

    >>> label_colours(2)
    ['#d1495b', '#e9a820']
    """
    more = range(len(PALETTE), count)
    return [*PALETTE[:count], *(_generated(number) for number in more)]


def ink_on(colour: str) -> str:
    """The ink that is read best on a colour, by its luminance (WCAG 2.2).

    >>> ink_on("#e9a820"), ink_on("#3f7cac")
    ('#11151a', '#ffffff')
    """
    shares = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    luminance = sum(w * s for w, s in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return LIGHT_INK if luminance < 0.25 else DARK_INK


def _generated(number: int) -> str:
    hue, lightness = number * _GOLDEN_TURN % 1, _LIGHTNESS[number % len(_LIGHTNESS)]
    channels = colorsys.hls_to_rgb(hue, lightness, 0.55)
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in channels)
