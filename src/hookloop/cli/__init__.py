"""The `hookloop` command: one file per command, joined in `app`."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; the entry point of the installed `hookloop` script."""
    try:
        from .app import app
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("hookloop"):
            raise
        sys.exit(
            f"hookloop's commands need the package {error.name!r}, which is not installed here.\n"
            "Install them all with: pip install 'hookloop[standard]'"
        )
    app()
