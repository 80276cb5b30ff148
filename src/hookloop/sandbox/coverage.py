"""
The ledger of what the sandbox simulates: for every endpoint of Stripe's, how faithfully.

`Fidelity.STATEFUL` endpoints keep what they are told, and tell of it in events. The
others answer 501, or with ``--stub`` something made up from the shape of their answer.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from hookloop.shapes.endpoint import Endpoint, endpoint_at, endpoints
from hookloop.shapes.package import stripe_package

from .arguments import Fields, Hash, Unsimulated
from .objects import OPERATIONS
from .operation import Operation
from .routes import Routes

__all__ = ["Coverage", "Fidelity", "as_page", "beyond_the_package", "by_resource", "coverage"]


class Fidelity(Enum):
    """What an endpoint's answer is worth."""

    STATEFUL = "stateful"
    """It is what was done, and what was done is kept."""
    SHAPE = "shape"
    """It has the right fields, and their values are made up."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """One endpoint in the ledger."""

    endpoint: Endpoint
    fidelity: Fidelity
    refused: tuple[str, ...] = ()
    """Parameters Stripe has and the sandbox refuses by name."""


def coverage() -> list[Coverage]:
    """Return the whole ledger, one entry for each endpoint of the installed package."""
    routes = Routes(OPERATIONS, endpoints())
    ledger = []
    for endpoint in sorted(endpoints(), key=lambda one: (one.path, one.method)):
        target, _ = routes.match(endpoint.method, endpoint.path)
        if isinstance(target, Operation):
            ledger.append(Coverage(endpoint, Fidelity.STATEFUL, tuple(_refused(target.fields))))
        else:
            ledger.append(Coverage(endpoint, Fidelity.SHAPE))
    return ledger


def beyond_the_package() -> list[Operation]:
    """Return what is simulated and no service of the installed package calls."""
    return [one for one in OPERATIONS if endpoint_at(one.method, one.path) is None]


def by_resource(ledger: Iterable[Coverage]) -> Mapping[str, Sequence[Coverage]]:
    """Return the ledger's entries by the beginning of their paths, such as ``/v1/customers``."""
    found: dict[str, list[Coverage]] = defaultdict(list)
    for entry in ledger:
        parts = entry.endpoint.path.split("/")[1:]
        plain = [part for part in parts if not part.startswith("{")]
        found["/" + "/".join(plain[: 3 if parts[0] == "v2" else 2])].append(entry)
    return found


def as_page(ledger: Sequence[Coverage]) -> str:
    """Return the ledger as the page of the documentation."""
    stateful = [entry for entry in ledger if entry.fidelity is Fidelity.STATEFUL]
    version = stripe_package().VERSION
    lines = [
        "# What the sandbox simulates",
        "",
        f"{len(stateful)} of the {len(ledger)} endpoints of the `stripe` package {version} are",
        "stateful. This page is made by `hookloop sandbox coverage --markdown`.",
        "",
        "*Stateful*: what is done is kept, checked, and told by events. Parameters in the last",
        "column are refused by name, because to ignore them would be a lie.",
        "",
        "| stateful endpoint | refused parameters |",
        "|---|---|",
    ]
    lines += [
        f"| `{entry.endpoint.method} {entry.endpoint.path}` | "
        f"{', '.join(f'`{name}`' for name in entry.refused)} |"
        for entry in stateful
    ]
    lines += [
        "",
        "Beside them, what the package's services do not call: "
        + ", ".join(f"`{one.method} {one.path}`" for one in beyond_the_package()),
        "",
        "*Shape only*: these answer 501 and name themselves. With `hookloop sandbox --stub` they",
        "check their parameters and answer with an object of the right fields, whose values are",
        "made up; the header `Hookloop-Fidelity` of every answer says `stateful` or `shape`.",
        "",
        "| shape only | endpoints |",
        "|---|---|",
    ]
    shapes = by_resource(entry for entry in ledger if entry.fidelity is Fidelity.SHAPE)
    lines += [f"| `{resource}` | {len(entries)} |" for resource, entries in shapes.items()]
    return "\n".join(lines) + "\n"


def _refused(fields: Fields, within: str = "") -> list[str]:
    """Return the full names of the parameters that are refused, also inside hashes of our own."""
    found = []
    for name, field in sorted(fields.items()):
        full = f"{within}[{name}]" if within else name
        if isinstance(field, Unsimulated):
            found.append(full)
        elif isinstance(field, Hash) and isinstance(field.fields, dict):
            found += _refused(field.fields, full)
    return found
