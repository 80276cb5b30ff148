"""The landlord of one worker among several: it asks the supervisor, and knows where names are."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from hookloop.tunnel.log_values import Values
from hookloop.tunnel.wire.messages import Bind

from .config import RelayConfig
from .control import Message
from .counts import Counts
from .directory import Directory, Entry
from .names import Namespace
from .registry import Found
from .tokens import Tokens

if TYPE_CHECKING:
    from .link import Link

__all__ = ["PeerLinks", "RemoteLandlord"]

logger = logging.getLogger("hookloop.relay")


class PeerLinks(Protocol):
    """The links to the other workers."""

    def to(self, worker: int) -> "Link | None":
        """Return the link to *worker*, or None while there is none."""
        ...


class RemoteLandlord:
    """Answers for the links of this worker. Feed it what the supervisor says by `received`."""

    def __init__(
        self,
        config: RelayConfig,
        index: int,
        peers: PeerLinks,
        send: Callable[[Message], None],
        tokens: Callable[[], Tokens],
        tunnel_url: Callable[[str, str], str],
        *,
        counts: Counts,
    ) -> None:
        """*index* is ours; *tunnel_url* makes a URL of host and protocol."""
        self.namespace = Namespace(*config.domains, reserved=config.reserved_names)
        self._index = index
        self._peers = peers
        self._send = send
        self._tokens = tokens
        self._tunnel_url = tunnel_url
        self._counts = counts
        self._directory = Directory()
        self._unsettled: set[str] = set()
        """Hosts whose agent another worker has, and has not told yet: it would not know them."""
        self._local: dict[str, Link] = {}
        """The links of this worker, by the host they are bound by."""
        self._numbers: dict[Link, int] = {}
        self._links: dict[int, Link] = {}
        self._asked: dict[int, tuple[Link, Bind]] = {}
        self._next_number = 0

    def __len__(self) -> int:
        return len(self._local)

    def find(self, host: str) -> "Found[Link] | None":
        """Return where *host* leads: to a link of ours, or to another worker."""
        entry = self._directory.find(host)
        if entry is None:
            return None
        if entry.worker == self._index:
            return Found(entry.name, self._local.get(entry.host), entry.protocol)
        link = None
        if entry.worker is not None and entry.host not in self._unsettled:
            link = self._peers.to(entry.worker)
        return Found(entry.name, link, entry.protocol)

    def find_local(self, name: str) -> "Link | None":
        """Return the link of ours that has *name*: a request came from another worker."""
        place = self.namespace.place(name)
        return self._local.get(place.host) if place is not None else None

    def is_reserved(self, host: str) -> bool:
        """Say whether a token has *host* for its own, so that an agent may come for it."""
        place = self.namespace.place(host)
        return place is not None and self._tokens().is_reserved(place)

    # --- Landlord -----------------------------------------------------------------------------

    def bind(self, link: "Link", bind: Bind) -> None:
        if bind.protocol not in {"http", "tls"}:
            link.refuse(bind, "bad_protocol", "this relay carries http, tls and tcp tunnels")
            return
        number = self._number_of(link)
        self._next_number += 1
        self._asked[self._next_number] = (link, bind)
        self._send(
            {
                "op": "bind",
                "number": self._next_number,
                "link": number,
                "token": link.token.id,
                "agent": link.agent_id,
                "name": bind.name,
                "protocol": bind.protocol,
            }
        )

    def unbind(self, link: "Link", name: str) -> None:
        place = self.namespace.place(name)
        if place is not None and self._local.get(place.host) is link:
            del self._local[place.host]
            self._directory.remove(place.host)
            self._send({"op": "unbind", "link": self._number_of(link), "name": name})
            logger.info("tunnel given back %s", Values(tunnel=name, token=link.token.id))

    def lost(self, link: "Link", *, is_held: bool) -> None:
        number = self._numbers.pop(link, None)
        if number is None:
            return
        del self._links[number]
        self._asked = {key: asked for key, asked in self._asked.items() if asked[0] is not link}
        self._local = {host: known for host, known in self._local.items() if known is not link}
        self._send({"op": "lost", "link": number, "is_held": is_held})

    # --- what the supervisor says -------------------------------------------------------------

    def received(self, message: Message) -> None:
        """Take a message about names."""
        match message["op"]:
            case "answer":
                self._answered(message)
            case "bound":
                entry = Entry(
                    message["host"], message["name"], message["worker"], message["protocol"]
                )
                self._directory.set(entry)
                if entry.worker != self._index:
                    self._local.pop(entry.host, None)
                    if "number" in message:
                        self._unsettled.add(entry.host)
            case "settled":
                self._unsettled.discard(message["host"])
            case "held":
                self._directory.hold(message["host"])
                self._gone(message["host"])
            case "free":
                self._directory.remove(message["host"])
                self._gone(message["host"])
            case "replaced":
                link = self._links.get(message["link"])
                if link is not None:
                    link.go_away("replaced", "the same agent came back on a new session")

    # --- inside -------------------------------------------------------------------------------

    def _answered(self, message: Message) -> None:
        asked = self._asked.pop(message["number"], None)
        if asked is None:
            return  # its link was lost meanwhile, which the supervisor has been told
        link, bind = asked
        if "code" in message:
            self._counts.names_refused[message["code"]] += 1
            link.refuse(bind, message["code"], message["message"])
            return
        host, name = message["host"], message["name"]
        self._local[host] = link
        self._directory.set(Entry(host, name, self._index, bind.protocol))
        self._send({"op": "settled", "host": host})
        link.grant(bind, name, self._tunnel_url(host, bind.protocol))

    def _gone(self, host: str) -> None:
        self._local.pop(host, None)
        self._unsettled.discard(host)

    def _number_of(self, link: "Link") -> int:
        number = self._numbers.get(link)
        if number is None:
            self._next_number += 1
            number = self._numbers[link] = self._next_number
            self._links[number] = link
        return number
