"""
One endpoint of the API: its method and path, what it takes and what it does.

A resource's file lists its own; `routes` joins the lists. Adding a resource is
adding a file.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .arguments import Arguments, Fields
from .store import Json
from .transaction import Transaction

__all__ = ["Operation", "Perform", "Run"]

Run = Callable[[Transaction, Arguments, Mapping[str, str]], Json]
"""Does the work; the last argument holds what the path's ``{names}`` stood for."""


Perform = Callable[[Transaction, str], None]
"""Does a task about the object whose id it is given, if that is still to be done."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One endpoint."""

    method: str
    path: str
    """With names in braces: ``/v1/customers/{id}``."""
    fields: Fields
    run: Run
