"""Numbers as `make bench-real` prints them: each with its chance and its target."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Number:
    """A measured number.

    Attributes:
        value: None where it could not be measured.
        interval: 95 %, `low` and `high`.
        chance: what guessing reaches.
        target: what is to be reached; `better` says in which direction.
        aim: what would be better still.
        note: how it was measured.
    """

    section: str
    name: str
    value: float | None
    interval: Mapping[str, float] | None = None
    chance: float | None = None
    target: float | None = None
    aim: float | None = None
    better: Literal["high", "low"] = "high"
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None where there is none."""
        if self.value is None or self.target is None:
            return None
        return self.value >= self.target if self.better == "high" else self.value <= self.target

    def line(self) -> str:
        """In one line."""
        shown = "–" if self.value is None else f"{self.value:.3f}"
        parts = [f"{self.name:<58} {shown}"]
        if self.interval:
            parts.append(f"[{self.interval['low']:.3f} to {self.interval['high']:.3f}]")
        if self.chance is not None:
            parts.append(f"chance {self.chance:.2f}")
        if self.target is not None:
            bound = "" if self.better == "high" else "at most "
            reached = {True: "met", False: "not met", None: "not measured"}[self.met]
            parts.append(f"target {bound}{self.target:.3g}: {reached}")
        if self.aim is not None:
            parts.append(f"aim {self.aim:.3g}")
        return "  ".join(parts) + (f"  ({self.note})" if self.note else "")


@dataclass
class Report:
    """All numbers of a run, by section, in the order in which they came.

    Attributes:
        started: when the run began, by `time.monotonic`.
    """

    started: float
    numbers: list[Number] = field(default_factory=list)

    def add(self, number: Number) -> None:
        """Take a number, and print it at once: a run takes long."""
        self.numbers.append(number)
        print(f"\n{number.section}: {number.line()}", flush=True)

    def lines(self) -> Iterator[str]:
        """The whole report."""
        if not self.numbers:
            return
        for section in dict.fromkeys(number.section for number in self.numbers):
            yield ""
            yield section
            yield from (f"  {n.line()}" for n in self.numbers if n.section == section)
        yield ""
        yield f"{(time.monotonic() - self.started) / 60:.1f} minutes in all"
