"""`hookloop worker`: run the handlers of what an inbox has accepted."""

from typing import Annotated, Any

import typer

from hookloop.errors import ConfigError

from .runner import reporting_errors, run

__all__ = ["worker"]


def worker(
    target: Annotated[
        str, typer.Argument(metavar="MODULE:HOOKS", help="Your Hooks, such as shop.webhooks:hooks.")
    ],
) -> None:
    """
    Run the handlers of what an inbox has accepted, until Ctrl+C or SIGTERM.

    Any number of workers may share an inbox. One that is told to stop lets what is running finish,
    and gives the rest back; one that is killed loses nothing: another takes over its entries.
    """
    with reporting_errors():
        inbox = _inbox_of(target)
    run(_work(inbox))


def _inbox_of(target: str) -> Any:
    from hookloop.doctor import Finding

    from .app_loader import loaded_hooks

    hooks = loaded_hooks(target)
    if isinstance(hooks, Finding):
        raise ConfigError(f"{hooks.what}: {hooks.next_step}")
    inbox = getattr(hooks, "inbox", None)
    if inbox is None:
        raise ConfigError(
            f'{target} has no inbox to work off: give it one, Hooks(..., inbox="sqlite:///hooks.db")'
        )
    return inbox


async def _work(inbox: Any) -> None:
    handlers = sorted(inbox.find_targets())
    typer.echo(f"Working off {inbox.backend.name}: {len(handlers)} handlers.")
    for name in handlers:
        typer.echo(f"  {name.removeprefix('handler:')}")
    typer.echo("Ctrl+C stops: what is running may finish.")
    try:
        await inbox.work()
    finally:
        results = inbox.statistics().results if inbox.statistics() else {}
        told = ", ".join(f"{count} {name}" for name, count in sorted(results.items()))
        typer.echo(f"Stopped. Attempts: {told or 'none'}.")
