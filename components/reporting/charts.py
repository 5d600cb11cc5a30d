"""Charts by matplotlib, as SVG that stands in a page and takes the page's colours."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

from components.reporting.page import percent

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes

# Colours that stand for the page's own, so that a chart follows its light and dark schemes.
INK, SOFT, LINE, ACCENT, SECOND = "#010101", "#010102", "#010103", "#010104", "#010105"
_PAGE_COLOURS = {
    INK: "currentColor",
    SOFT: "var(--soft)",
    LINE: "var(--line)",
    ACCENT: "rgb(var(--accent))",
    SECOND: "var(--second)",
}
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "moodline",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": SOFT,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "grid.color": LINE,
}
_METADATA = {"Creator": None, "Date": None, "Format": None, "Type": None}
_TITLE = "title:"


@dataclass(frozen=True, slots=True)
class Curve:
    """Values over epochs.

    Attributes:
        values: from epoch 1 on.
        title: what a pointer shows.
        dashed: drawn dashed, in the page's second colour.
        best: the epoch that is marked, from 1 on; None for none.
    """

    values: Sequence[float]
    title: str
    dashed: bool = False
    best: int | None = None


def draw(width: float, height: float, label: str, plot: Callable[["Axes"], None]) -> "Markup":
    """Draw a chart as an `<svg>` element, `plot` drawing on its axes.

    Here and below `label` says what it shows, for those who do not see it; sizes are in inches.
    """
    from markupsafe import Markup, escape
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        figure = Figure((width, height), layout="constrained")
        plot(figure.add_subplot())
        text = StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata=_METADATA)
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = re.sub(rf'<g id="{_TITLE}([^"]*)">', r"<g><title>\1</title>", svg)
    svg = re.sub(r' id="\w+_\d+"', "", svg)
    for stand_in, colour in _PAGE_COLOURS.items():
        svg = svg.replace(stand_in, colour)
    opening = f'<svg role="img" aria-label="{escape(label)}" style="max-width: 100%"'
    return Markup(svg.replace("<svg", opening, 1))


def explain(artist: Any, title: str) -> None:
    """Show a text where a pointer rests on a part of a chart."""
    artist.set_gid(_TITLE + title)


def curves_chart(label: str, curves: Sequence[Curve], highest: float) -> "Markup":
    """Curves over epochs, from 0 to `highest`; a dot marks the best epoch."""
    from matplotlib.ticker import MaxNLocator

    def plot(axes: "Axes") -> None:
        for curve in curves:
            colour, style = (SECOND, "--") if curve.dashed else (ACCENT, "-")
            epochs = range(1, len(curve.values) + 1)
            (line,) = axes.plot(epochs, curve.values, style, color=colour, linewidth=1.2)
            explain(line, curve.title)
            if curve.best is not None:
                best = curve.values[curve.best - 1]
                (dot,) = axes.plot([curve.best], [best], "o", color=colour, markersize=5)
                explain(dot, curve.title)
        axes.set_ylim(0, highest)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y")

    return draw(3.8, 2.1, label, plot)


def intervals_chart(label: str, rows: Sequence[Mapping[str, Any]]) -> "Markup":
    """Differences with their intervals, around 0; grey where the interval covers 0.

    Args:
        rows: from the top down: `title`, `difference`, `interval` (`low`, `high`), `noise`.
    """

    def plot(axes: "Axes") -> None:
        axes.axvline(0, color=SOFT, linestyle="--", linewidth=0.8)
        for position, row in enumerate(reversed(rows)):
            colour = SOFT if row["noise"] else ACCENT
            ends = [100 * row["interval"][end] for end in ("low", "high")]
            axes.plot(ends, [position] * 2, color=colour, linewidth=3)
            axes.plot([100 * row["difference"]], [position], "o", color=colour)
        axes.set_yticks(range(len(rows)), [row["title"] for row in reversed(rows)])
        axes.set_xlabel("points")

    return draw(8, 0.6 + 0.28 * len(rows), label, plot)


def reliability_chart(
    label: str,
    bins: Sequence[Mapping[str, float]],
    before: Sequence[Mapping[str, float]] = (),
) -> "Markup":
    """Share of right answers by confidence; the larger a dot, the more answers.

    Args:
        bins: `count`, `correct`, and `confidence` (the sum over its answers) of each.
        before: those of the same answers before they were calibrated, as a dashed line.
    """

    def points(bins: Sequence[Mapping[str, float]]) -> list[tuple[float, float]]:
        return [(b["confidence"] / b["count"], b["correct"] / b["count"]) for b in bins]

    total = sum(one["count"] for one in bins)

    def plot(axes: "Axes") -> None:
        axes.plot([0, 100], [0, 100], "--", color=SOFT, linewidth=0.8)
        for kind, style, colour in ((before, ":", SECOND), (bins, "-", ACCENT)):
            line = [(100 * x, 100 * y) for x, y in points(kind)]
            axes.plot([x for x, _ in line], [y for _, y in line], style, color=colour, linewidth=1)
        for one, (confidence, right) in zip(bins, points(bins), strict=True):
            size = 5 + 14 * (one["count"] / total) ** 0.5
            (dot,) = axes.plot(100 * confidence, 100 * right, "o", color=ACCENT, markersize=size)
            dot.set_alpha(0.65)
            answers = f"{one['correct']} of {one['count']} right"
            explain(dot, f"{answers} at a mean confidence of {percent(confidence)}")
        axes.set(xlim=(0, 102), ylim=(0, 102), xlabel="confidence, %", ylabel="right, %")
        axes.grid()

    return draw(4.6, 3.2, label, plot)


def shares_chart(
    label: str,
    names: Sequence[str],
    parts: Mapping[str, tuple[str, Sequence[float]]],
    width: float = 7.2,
) -> "Markup":
    """Horizontal bars in percent, each of one part or of several on end.

    Args:
        names: of the bars, from the top down.
        parts: for each part its colour and its shares, one a bar.
    """

    def plot(axes: "Axes") -> None:
        positions = range(len(names))[::-1]
        starts = [0.0] * len(names)
        for part, (colour, shares) in parts.items():
            widths = [100 * share for share in shares]
            bars = axes.barh(positions, widths, left=starts, color=colour, height=0.7)
            for name, rectangle, share in zip(names, bars, shares, strict=True):
                explain(rectangle, f"{name}, {part}: {percent(share, 2)}")
            starts = [start + width for start, width in zip(starts, widths, strict=True)]
        for position, end in zip(positions, starts, strict=True):
            axes.text(end, position, f" {end:.1f} %", va="center")
        axes.set_yticks(positions, names)
        axes.set_xlim(0, 1.15 * max([*starts, 1.0]))
        axes.set_xticks([])

    return draw(width, 0.3 + 0.27 * len(names), label, plot)


def matrix_chart(
    label: str,
    rows: Sequence[str],
    columns: Sequence[str],
    cells: Mapping[tuple[str, str], tuple[float, str]],
) -> "Markup":
    """Shares as a matrix, the darker the higher.

    Args:
        rows, columns: their names.
        cells: by row and column a share, and what a pointer shows.
    """
    from matplotlib.patches import Rectangle

    def plot(axes: "Axes") -> None:
        for (row, column), (share, title) in cells.items():
            place = columns.index(column), rows.index(row)
            square = Rectangle((place[0] - 0.5, place[1] - 0.5), 1, 1, color=ACCENT)
            square.set_alpha(min(max(share, 0.0), 1.0))
            axes.add_patch(square)
            explain(square, title)
            text = axes.text(*place, f"{100 * share:.0f}", ha="center", va="center")
            text.set_fontweight("bold")
        axes.set_xticks(range(len(columns)), columns)
        axes.set_yticks(range(len(rows)), rows)
        axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(rows) - 0.5, -0.5))
        axes.set(xlabel="tested on", ylabel="trained on")
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)

    size = 1.6 + 1.1 * len(columns), 0.9 + 0.55 * len(rows)
    return draw(*size, label, plot)


def histograms_chart(
    label: str, names: Sequence[str], sides: Mapping[str, tuple[str, Sequence[float]]]
) -> "Markup":
    """Two or more histograms over the same bins, side by side.

    Args:
        names: of the bins; the first and the last stand below the axis.
        sides: for each side its colour and its shares, one a bin.
    """

    def plot(axes: "Axes") -> None:
        width = 0.9 / len(sides)
        for number, (side, (colour, shares)) in enumerate(sides.items()):
            positions = [index + width * number for index in range(len(names))]
            bars = axes.bar(positions, [100 * share for share in shares], width, color=colour)
            for name, rectangle, share in zip(names, bars, shares, strict=True):
                explain(rectangle, f"{name}, {side}: {percent(share)}")
        ends = names if len(names) <= 6 else ["" for _ in names]
        axes.set_xticks(range(len(names)), ends)
        if len(names) > 6:
            axes.set_xlabel(f"{names[0]} … {names[-1]}")
            axes.tick_params(axis="x", length=0)
        axes.set_ylabel("%")

    return draw(3.4, 1.7, label, plot)
