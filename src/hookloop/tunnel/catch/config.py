"""Catch mode of one tunnel, as it is asked for."""

from dataclasses import dataclass, field
from pathlib import Path

from .rules import CatchRules

__all__ = ["CatchConfig"]


@dataclass(frozen=True, slots=True)
class CatchConfig:
    """What is caught, and where it is kept."""

    rules: CatchRules = field(default_factory=CatchRules)
    folder: Path | None = None
    """Where caught requests are kept; None for `file.default_folder`."""
