"""The files of the pages: read once, packed once, named together by one digest."""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from components.reporting.colours import label_colours

FOLDER = Path(__file__).with_name("page")

PLACES = 24
"""So many labels have a colour of their own on the page, the reports' one; more begin again."""

KINDS = {".js": "text/javascript", ".css": "text/css"}


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file as it is sent.

    Attributes:
        kind: its media type.
        packed: the content by gzip.
    """

    kind: str
    content: bytes
    packed: bytes


PAGES = ("index", "operations")


def template(page: str) -> str:
    """One of the pages themselves, with the head that all pages have; `{{…}}` is filled in for each
    request."""
    html, head = ((FOLDER / f"{name}.html").read_text(encoding="utf-8") for name in (page, "head"))
    return html.replace("{{head}}\n", head)


def file_named(name: str) -> PageFile | None:
    """A script or a style by its path below the page's folder, if there is one."""
    return _files().get(name)


@cache
def page_digest() -> str:
    """Of all files together: it changes where one of them does."""
    digest = hashlib.sha256("\0".join(map(template, PAGES)).encode())
    for name, file in sorted(_files().items()):
        digest.update(f"{name}\0{len(file.content)}\0".encode() + file.content)
    return digest.hexdigest()[:16]


@cache
def _files() -> dict[str, PageFile]:
    """Only what is listed here is served: no request's path becomes a path of the disk."""
    found = {
        path.relative_to(FOLDER).as_posix(): path.read_bytes()
        for path in sorted(FOLDER.rglob("*"))
        if path.suffix in KINDS
    }
    found["colours.css"] = _colours().encode()
    return {
        name: PageFile(KINDS[Path(name).suffix], content, gzip.compress(content, mtime=0))
        for name, content in found.items()
    }


def _colours() -> str:
    """The labels' colours by their place, as in the reports, lighter in the dark."""
    lines = (
        f"--label-{place}: light-dark({colour}, color-mix(in srgb, {colour} 70%, white));"
        for place, colour in enumerate(label_colours(PLACES))
    )
    return ":root {\n  " + "\n  ".join(lines) + "\n}\n"
