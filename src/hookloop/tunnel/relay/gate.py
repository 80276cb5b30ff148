"""Who is let in: tokens given or in a file, what each may have, and the end of those revoked."""

import asyncio
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from hookloop.clock import Clock
from hookloop.errors import ConfigError
from hookloop.tunnel.log_values import Values

from .config import RelayConfig
from .refusal import Refusal
from .token_file import TokenFile
from .tokens import Token, Tokens, given_token

if TYPE_CHECKING:
    from .link import Link

__all__ = ["Gate"]

logger = logging.getLogger("hookloop.relay")

LOOK_SECONDS = 2.0  # between two looks at the token file: one `stat`


class Gate:
    """Knows the tokens and the sessions they opened. Call `close` in the end."""

    def __init__(self, config: RelayConfig, clock: Clock) -> None:
        """Raises `ConfigError` for tokens that protect nothing, or a file that cannot be read."""
        self._limits = config.limits
        self._clock = clock
        self._given = [given_token(secret) for secret in config.tokens]
        self._file = TokenFile(config.tokens_file) if config.tokens_file else None
        self.tokens = self._with_given(self._file.read() if self._file else ())
        """Those of the moment."""
        self.is_file_valid = True
        """False while the file holds what cannot be read, and what it held before is used."""
        self._links: dict[str, set[Link]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        """Look at the file, and for expired tokens, from now on."""
        self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look_and_go_on)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def check(self, secret: str | None) -> Token | Refusal:
        """Return the token an agent shows, if it may open one more session."""
        self.look()  # a token made a moment ago should work at once
        token = self.tokens.check(secret, now=self._clock.wall())
        if token is None:
            return Refusal(
                401,
                "bad_token",
                "the relay does not know this token, or not any more: ask its owner for one",
            )
        most = self._limits.sessions_per_token_max
        if token.sessions_max is not None:
            most = min(most, token.sessions_max)
        if len(self._links.get(token.id, ())) >= most:
            message = f"this token has {most} sessions, the limit: end another agent first"
            return Refusal(503, "too_many_sessions", message, retry_after=5)
        return token

    def entered(self, link: "Link") -> None:
        self._links.setdefault(link.token.id, set()).add(link)

    def left(self, link: "Link") -> None:
        links = self._links.get(link.token.id, set())
        links.discard(link)
        if not links:
            self._links.pop(link.token.id, None)

    def look(self) -> None:
        """Read the file if it has changed, and end the sessions of tokens that have ended."""
        if self._file is not None:
            try:
                changed = self._file.read_if_changed()
                if changed is not None:
                    self.tokens = self._with_given(changed)
                    self.is_file_valid = True
                    logger.info("tokens read %s", Values(tokens=len(self.tokens)))
            except ConfigError as error:
                # Whoever edits it makes mistakes: nobody is let in or thrown out by one.
                self.is_file_valid = False
                logger.error("tokens not read, the old ones stay %s", Values(reason=error))  # noqa: TRY400  # no bug of ours: a sentence, not a traceback
        self._end_revoked()

    def _with_given(self, filed: Iterable[Token]) -> Tokens:
        """
        Return those of the file, and the given ones that it never had.

        Whoever tries a relay beside an agent has HOOKLOOP_TOKEN set for both. The file's word
        counts: its names and its expiry, and a token that is revoked there stays out.
        """
        filed = tuple(filed)
        tokens = Tokens([*self._not_in(filed), *filed])
        self._given = self._not_in(filed)
        return tokens

    def _not_in(self, filed: tuple[Token, ...]) -> list[Token]:
        hashes = {token.sha256 for token in filed}
        return [token for token in self._given if token.sha256 not in hashes]

    def _end_revoked(self) -> None:
        now = self._clock.wall()
        for id_, links in list(self._links.items()):
            token = self.tokens.find(id_)
            for link in list(links):
                if token is None or token.sha256 != link.token.sha256 or token.is_expired(now):
                    link.revoke()

    def _look_and_go_on(self) -> None:
        self.look()
        self.watch()
