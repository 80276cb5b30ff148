"""The numbered scripts that make and change a ledger's tables: forward only. No driver here."""

from importlib.resources import files

__all__ = ["numbered_steps"]


def numbered_steps(schema: str) -> list[tuple[int, str]]:
    """Return the migrations of the folder *schema*, in order."""
    folder = files("hookloop.ledger") / schema
    scripts = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    return [(int(script.name.partition("_")[0]), script.read_text()) for script in scripts]
