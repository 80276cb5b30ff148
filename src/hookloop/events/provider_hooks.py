"""`ProviderHooks`: the same library for other senders."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeVar

from hookloop.clock import Clock
from hookloop.signing import TOLERANCE_SECONDS

from .keyring import SecretsLike
from .receive import BODY_BYTES_MAX
from .receiver import Receiver, SecretsLookup
from .recent import RECENT_MAX
from .router import HandlerFunction

if TYPE_CHECKING:
    from .intake import Database, Intake
    from .outcomes import Reply
    from .providers import Provider

__all__ = ["ProviderHooks"]

FunctionT = TypeVar("FunctionT", bound=HandlerFunction)


class ProviderHooks(Receiver):
    """
    Handlers of another sender's events: GitHub, Shopify, Slack, Standard Webhooks, or yours.

        from hookloop.events.providers import GitHub

        hooks = ProviderHooks(GitHub(), secrets="...")

        @hooks.on("pull_request.opened")
        def opened(event): ...

    The parameters are those of `Hooks`; event types are not checked against any list.
    """

    def __init__(
        self,
        provider: "Provider",
        secrets: SecretsLike | SecretsLookup,
        *,
        tolerance: float = TOLERANCE_SECONDS,
        body_bytes_max: int = BODY_BYTES_MAX,
        recent_max: int = RECENT_MAX,
        clock: Clock | None = None,
        inbox: "Intake | Database | str | None" = None,
    ) -> None:
        super().__init__(
            secrets,
            provider=provider,
            tolerance=tolerance,
            body_bytes_max=body_bytes_max,
            recent_max=recent_max,
            clock=clock,
            inbox=inbox,
        )

    def on(
        self,
        *types: str,
        deadline_seconds: float | None = None,
        default: "Reply | None" = None,
        order: Literal["object"] | None = None,
        fresh: bool = False,
    ) -> Callable[[FunctionT], FunctionT]:
        """Run the function below for events of these exact *types*."""
        return self._add(
            types,
            deadline_seconds=deadline_seconds,
            default=default,
            order=order,
            fresh=fresh,
        )
