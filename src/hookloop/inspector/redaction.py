"""What is taken out of an exchange before it is kept: secrets that are of no use later. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from hookloop.errors import ConfigError
from hookloop.exchange import Headers

__all__ = ["REDACTED", "Redaction", "parse_redactions"]

REDACTED = b"[redacted]"

# The signatures of webhooks are not among them: they tell nothing of the secret, and a replay
# or the doctor needs them.
SECRET_HEADERS = frozenset(
    {
        b"authorization",
        b"proxy-authorization",
        b"cookie",
        b"set-cookie",
        b"api-key",
        b"apikey",
        b"x-api-key",
        b"x-auth-token",
        b"x-access-token",
        b"x-csrf-token",
        b"x-xsrf-token",
        b"x-amz-security-token",
        b"x-goog-iap-jwt-assertion",
        b"cf-access-jwt-assertion",
        b"x-gitlab-token",
        b"x-telegram-bot-api-secret-token",
        b"x-vault-token",
    }
)
SECRET_PARAMS = frozenset(
    {b"access_token", b"api_key", b"apikey", b"client_secret", b"password", b"secret", b"token"}
)


@dataclass(frozen=True, slots=True)
class Redaction:
    """The rules. Frozen, so that one may be shared between threads."""

    headers: frozenset[bytes] = SECRET_HEADERS
    """Names, lower case, whose values are not kept."""
    params: frozenset[bytes] = SECRET_PARAMS
    """Names, lower case, of values in the query of a URL."""
    bodies: tuple["re.Pattern[bytes]", ...] = ()
    """What is covered with asterisks in bodies: such an exchange no longer verifies."""

    def of_headers(self, headers: Headers) -> tuple[Headers, list[str]]:
        """Return *headers* without secrets, and what was taken out."""
        taken = [name.lower() for name, _ in headers if name.lower() in self.headers]
        if not taken:
            return headers, []
        kept = tuple(
            (name, REDACTED if name.lower() in self.headers else value) for name, value in headers
        )
        return kept, [f"header:{name.decode('latin-1')}" for name in dict.fromkeys(taken)]

    def of_target(self, target: bytes) -> tuple[bytes, list[str]]:
        path, mark, query = target.partition(b"?")
        if not mark:
            return target, []
        pairs, taken = [], []
        for pair in query.split(b"&"):
            name, equals, _ = pair.partition(b"=")
            if equals and name.lower() in self.params:
                taken.append(f"query:{name.lower().decode('latin-1')}")
                pairs.append(name + b"=" + REDACTED)
            else:
                pairs.append(pair)
        return (path + mark + b"&".join(pairs), taken) if taken else (target, [])

    def of_body(self, body: bytes) -> tuple[bytes, list[str]]:
        """Return *body*, as long as before, and what was covered."""
        taken = []
        for pattern in self.bodies:
            covered = pattern.sub(lambda match: b"*" * len(match.group()), body)
            if covered != body:
                body = covered
                taken.append(f"body:{pattern.pattern.decode('utf-8', 'replace')}")
        return body, taken


def parse_redactions(rules: Iterable[str]) -> Redaction:
    """
    Return the usual rules and *rules*: ``header:NAME``, ``query:NAME`` or ``body:REGEX``.

    ``none`` among them leaves the usual ones out. Raises `ConfigError`.
    """
    given = list(rules)
    is_bare = "none" in given
    headers = set() if is_bare else set(SECRET_HEADERS)
    params = set() if is_bare else set(SECRET_PARAMS)
    bodies: list[re.Pattern[bytes]] = []
    for rule in given:
        kind, colon, what = rule.partition(":")
        if rule == "none":
            continue
        if not colon or not what.strip() or kind not in {"header", "query", "body"}:
            raise ConfigError(
                f"{rule!r} says not what to redact: use header:NAME, query:NAME, body:REGEX or none"
            )
        if kind == "body":
            bodies.append(_pattern(what))
        else:
            (headers if kind == "header" else params).add(what.strip().lower().encode())
    return Redaction(frozenset(headers), frozenset(params), tuple(bodies))


def _pattern(text: str) -> "re.Pattern[bytes]":
    try:
        return re.compile(text.encode())
    except re.error as error:
        raise ConfigError(f"{text!r} to redact is no regular expression: {error}") from None
