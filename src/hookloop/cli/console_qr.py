"""A URL as a QR code of half blocks."""

import segno

from .console_line import Line, line

__all__ = ["qr_lines"]

QUIET_MODULES = 2  # around it; on a background of its own that is enough for a camera

# Black and white of the 256, which no theme repaints: the code is dark on light everywhere.
_STYLE = "color(16) on color(231)"
_BLOCKS = {(0, 0): " ", (1, 0): "▀", (0, 1): "▄", (1, 1): "█"}


def qr_lines(url: str, *, has_colours: bool = True) -> list[Line]:
    """
    Return the code, two rows of modules a line.

    Without colours it is drawn for a dark terminal: light modules as blocks.
    """
    matrix = segno.make(url, error="l", micro=False).matrix_iter(border=QUIET_MODULES)
    rows = [[int(module) ^ (not has_colours) for module in row] for row in matrix]
    if len(rows) % 2:
        rows.append([int(not has_colours)] * len(rows[0]))
    style = _STYLE if has_colours else ""
    return [
        line(("".join(_BLOCKS[pair] for pair in zip(upper, lower, strict=True)), style))
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    ]
