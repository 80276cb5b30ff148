"""Every limit of the relay in one place: what it is, and why it is that."""

from dataclasses import dataclass, fields

from hookloop.errors import ConfigError

__all__ = ["HEAD_BYTES_LIMIT", "RelayLimits"]

HEAD_BYTES_LIMIT = 64_000  # the wire carries 65,536 bytes of fields, and X-Forwarded-* come on top
HEAD_FIELDS_LIMIT = 120  # the wire carries 128


@dataclass(frozen=True, slots=True)
class RelayLimits:
    """
    What callers and agents may take of the relay. Raises `ConfigError` for what cannot work.

    A ``_max`` of 0 switches that limit off where its text says so.
    """

    # --- a request's head --------------------------------------------------------------------

    head_bytes_max: int = HEAD_BYTES_LIMIT
    """Of a request head, or of trailers, in all: `431`. nginx allows 32 KiB, node 16 KiB."""
    head_fields_max: int = 100
    """Fields of a head: `431`. As nginx and Go."""
    field_bytes_max: int = 16 * 1024
    """Of one field, name and value: `431`. A large cookie has 4 KiB."""
    target_bytes_max: int = 8 * 1024
    """Of the URL in the request line: `414`. As Apache and nginx."""
    head_seconds: float = 10.0
    """For a head to come whole: `408`. nginx allows 60, slow-loris attacks live on it."""

    # --- bodies and connections ----------------------------------------------------------------

    idle_seconds: float = 75.0
    """A connection may wait so long for its next request. As nginx."""
    upgraded_idle_seconds: float = 3600.0
    """
    The longest silence, both ways, of a connection that left HTTP, as WebSocket does; 0: any.
    Clients that are idle for longer than a minute mostly ping, since other proxies cut them.
    """
    body_idle_seconds: float = 60.0
    """Between two pieces of a request's body: `408`. As nginx."""
    body_rate_min: int = 240
    """
    Bytes a second of a request's body: `408`. Of the whole body until now, without the time that
    the relay itself waits. As Kestrel; 0: any rate.
    """
    rate_grace_seconds: float = 10.0
    """How much later than that a body may be: a phone that changes networks takes some seconds."""
    stall_seconds: float = 60.0
    """
    For a caller to take some of an answer that waits for it, or its connection is cut: what it
    holds up is shared. As nginx.
    """
    answer_rate_min: int = 240
    """Bytes a second that it must take in that time. As Kestrel; 0: any byte at all."""
    unwanted_bytes_max: int = 64 * 1024
    """Of a body that comes after its answer: so much is read and dropped before the end."""
    linger_seconds: float = 1.0
    """How long such a body may come, so that a caller that still sends reads its answer."""
    answer_buffer_bytes: int = 64 * 1024
    """Of an answer that waits for its caller; above it the agent gets no more credit."""
    hops_max: int = 8
    """How often a request may pass a hookloop relay: `508`. A tunnel that leads to itself loops."""

    # --- how many ------------------------------------------------------------------------------

    connections_max: int = 20_000
    """Of callers and agents together; more are answered `503`. Each takes a file descriptor."""
    connections_per_address_max: int = 1_000
    """
    Of one caller's address (IPv6: its /64): `429`. A browser opens 6, a sender of webhooks
    dozens; trusted proxies may have any number. 0: any number.
    """
    requests_per_second_per_name: float = 0.0
    """
    Of one tunnel: `429` with Retry-After. 0, for any number, since what is usual depends on what
    your relay is for, and `streams_per_agent_max` already keeps one tunnel from taking all.
    """
    requests_burst_per_name: int = 1_000
    """How many may come at once before that rate counts: a sender's retries come in bursts."""
    lanes_per_agent_max: int = 32
    """
    Data connections of one agent, for bulk; what finds none stays on the session. Event streams and
    upgraded connections leave a quarter of them to bulk. 0: none.
    """
    streams_per_agent_max: int = 1_024
    """
    Exchanges at once in one agent's session: `503` with Retry-After. The agent names its own
    limit too; a development server serves a few.
    """
    sessions_max: int = 10_000
    """Agents' sessions in all: the agent is told `503` and tries again. Each takes tens of KB."""
    sessions_per_token_max: int = 5_000
    """
    Of one token: half of all, so that no token can shut the others out. A token may have a lower
    limit of its own.
    """
    tunnels_per_token_max: int = 5_000
    """
    Names one token has bound or held at once: `too_many_tunnels`. A token may have a lower limit
    of its own.
    """
    tunnels_per_agent_max: int = 32
    """Names in one agent's session: one for each service of a large project."""

    # --- buffers -------------------------------------------------------------------------------

    stream_credit_bytes: int = 256 * 1024
    """Of one answer on its way from an agent: with 50 ms to the agent it allows 5 MB/s."""
    session_credit_bytes: int = 16 * 1024 * 1024
    """The same over all answers of one session: 64 callers that stop reading fill it."""

    def __post_init__(self) -> None:
        for known in fields(self):
            _check_least(known.name, getattr(self, known.name))
        _check_most("head_bytes_max", self.head_bytes_max, HEAD_BYTES_LIMIT)
        _check_most("head_fields_max", self.head_fields_max, HEAD_FIELDS_LIMIT)
        _check_most("stream_credit_bytes", self.stream_credit_bytes, 2**31 - 1)
        _check_most("session_credit_bytes", self.session_credit_bytes, 2**31 - 1)


_MAY_BE_ZERO = frozenset(
    {
        "body_rate_min",
        "answer_rate_min",
        "connections_per_address_max",
        "lanes_per_agent_max",
        "upgraded_idle_seconds",
        "requests_per_second_per_name",
    }
)
_LEAST = {
    "head_bytes_max": 1024,
    "stream_credit_bytes": 16 * 1024,  # SPEC.md section 2.1
    "session_credit_bytes": 16 * 1024,
    "answer_buffer_bytes": 1024,
}


def _check_least(name: str, value: float) -> None:
    # TOML tells 1 from 1.0 and true; a limit of True would be a limit of 1.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"the limit {name} is {value!r}, which is no number")
    least = 0 if name in _MAY_BE_ZERO else _LEAST.get(name, 1)
    if name.endswith("_seconds") and least and not 0 < value < float("inf"):
        raise ConfigError(f"the limit {name} is {value}: give seconds, more than 0")
    if not (name.endswith("_seconds") and least) and not least <= value < float("inf"):
        raise ConfigError(f"the limit {name} is {value}, and {least} is the least that works")
    if not isinstance(value, int) and not _is_float(name):
        raise ConfigError(f"the limit {name} is {value}: give a whole number")


def _is_float(name: str) -> bool:
    return name.endswith("_seconds") or name.startswith("requests_per_second")


def _check_most(name: str, value: int, most: int) -> None:
    if value > most:
        raise ConfigError(f"the limit {name} is {value}, and {most} is the most the wire carries")
