"""
A line of the status screen: pieces of text with their styles. Pure.

rich's own `Text` costs a hundred microseconds a line, and a screen of fifty is drawn ten times
a second while the process has better things to do.
"""

from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

__all__ = ["BLANK", "Line", "cells_of", "cut", "line"]


@dataclass(frozen=True, slots=True)
class Line:
    """Two lines are equal that look the same."""

    pieces: tuple[tuple[str, str], ...]
    """(text, style): the styles are rich's, as ``bold green``."""

    @property
    def plain(self) -> str:
        return "".join(text for text, _ in self.pieces)

    @property
    def cells(self) -> int:
        """How many columns of a terminal it takes."""
        return cells_of(self.plain)

    def cropped(self, cells: int) -> "Line":
        """Return as much of it as fits into *cells*, with an ellipsis where it was longer."""
        if self.cells <= cells:
            return self
        pieces, left = [], cells - 1
        for text, style in self.pieces:
            piece = set_cell_size(text, min(left, cells_of(text)))
            pieces.append((piece, style))
            left -= cells_of(piece)
        return Line((*pieces, ("…", "")))


BLANK = Line(())


def line(*pieces: str | tuple[str, str]) -> Line:
    """Return texts, and (text, style)s, as one line; empty ones are left out."""
    styled = ((piece, "") if isinstance(piece, str) else piece for piece in pieces)
    return Line(tuple(piece for piece in styled if piece[0]))


def cells_of(text: str) -> int:
    return len(text) if text.isascii() else cell_len(text)


def cut(text: str, cells: int) -> str:
    """Return *text* in exactly *cells* columns of a terminal; an ellipsis where it was cut."""
    if cells < 1:
        return ""
    if text.isascii():
        return text.ljust(cells) if len(text) <= cells else text[: cells - 1] + "…"
    if cell_len(text) > cells:
        return set_cell_size(text, cells - 1) + "…"
    return set_cell_size(text, cells)
