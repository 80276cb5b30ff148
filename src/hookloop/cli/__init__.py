"""The `hookloop` command: one file per command, joined in `app`."""

import sys

__all__ = ["main", "ngrok_main"]


def main() -> None:
    """Run the command line; the entry point of the installed `hookloop` script."""
    _run()


def ngrok_main() -> None:
    """Run `hookloop ngrok`, as a script of its own: `hookloop-ngrok`."""
    sys.argv.insert(1, "ngrok")
    _run()


def _run() -> None:
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
