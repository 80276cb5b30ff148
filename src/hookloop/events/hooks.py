"""`Hooks`: the door of the handler library."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from hookloop.clock import Clock
from hookloop.errors import ConfigError
from hookloop.signing import TOLERANCE_SECONDS

from .event import Event
from .handlers import Handlers
from .incoming import Incoming
from .keyring import SecretsLike
from .providers.stripe import Stripe
from .receive import BODY_BYTES_MAX, Rejected, wrong_method
from .receiver import Receiver, SecretsLookup
from .recent import RECENT_MAX
from .retrieve import judge_retrieved, read_id
from .router import is_async
from .running import Runner, Waiting

if TYPE_CHECKING:
    import stripe

    from .intake import Database, Intake

__all__ = ["Hooks"]


class Hooks(Handlers, Receiver):
    """
    Handlers of Stripe's events, and the secrets the events must be signed with.

        hooks = Hooks(secrets="whsec_...")

        @hooks.on("customer.updated")
        def renamed(event): ...

    *secrets*: one; several, the newest first, while one is being rolled or where several
    endpoints share the URL; a mapping of labels to secrets; or a callable, sync or async,
    that gets the `Incoming` request and returns any of these, for tenants.

    *tolerance*: seconds a signature may be old, or ahead of our clock. *livemode*: handle
    only live events (True) or only test events (False); others are answered 200 and ignored.
    *recent_max*: how many events are remembered, so that a duplicate runs nothing twice; 0
    for none. *client*: the `stripe.StripeClient` that `Event.fetch` uses.

    *verify* = ``"retrieve"`` takes no signature and believes nothing but the event's id: it
    asks the API for the event. *retrieve* is then the callable, sync or async, that gets an
    id and returns the event as a dict, or None where there is none; by default it asks
    through *client*.

    *inbox*: where events are kept before they are answered, such as ``sqlite:///hooks.db``, a
    `DjangoInbox`, a `SQLAlchemyInbox`, or an `Inbox` with settings (`hookloop.inbox`):
    their handlers run afterwards, until they succeed. Events whose sender
    waits for the answer run at once, as without.

    Raises `ConfigError` for what cannot work.
    """

    def __init__(
        self,
        secrets: SecretsLike | SecretsLookup = (),
        *,
        tolerance: float = TOLERANCE_SECONDS,
        livemode: bool | None = None,
        verify: Literal["signature", "retrieve"] = "signature",
        retrieve: Callable[[str], Any] | None = None,
        client: "stripe.StripeClient | None" = None,
        body_bytes_max: int = BODY_BYTES_MAX,
        recent_max: int = RECENT_MAX,
        clock: Clock | None = None,
        inbox: "Intake | Database | str | None" = None,
    ) -> None:
        if verify not in ("signature", "retrieve"):
            raise ConfigError(f"verify is {verify!r}: it is 'signature' or 'retrieve'")
        self._needs_secrets = verify == "signature"
        super().__init__(
            secrets,
            provider=Stripe(client),
            tolerance=tolerance,
            livemode=livemode,
            body_bytes_max=body_bytes_max,
            recent_max=recent_max,
            clock=clock,
            inbox=inbox,
        )
        self._client = client
        self._retrieve = retrieve or self._ask_api
        self._retrieve_is_async = retrieve is not None and is_async(retrieve)

    async def _ask_and_judge(self, request: Incoming, runner: Runner) -> Event[Any] | Rejected:
        if self._needs_secrets:
            return await super()._ask_and_judge(request, runner)
        if request.method != "POST":
            return wrong_method(request.method)
        id_ = read_id(request, body_bytes_max=self.body_bytes_max)
        if isinstance(id_, Rejected):
            return id_
        try:
            found = runner.call(self._retrieve, id_, self._retrieve_is_async)
            if isinstance(found, Waiting):
                found = await found
        except Exception as error:
            return Rejected(
                503,
                "unavailable",
                "api_down",
                f"{id_} could not be fetched: {type(error).__name__}",
            )
        return judge_retrieved(id_, found, client=self._client)

    def _ask_api(self, id_: str) -> Any:
        from .objects import retrieve_event

        return retrieve_event(id_, self._client)
