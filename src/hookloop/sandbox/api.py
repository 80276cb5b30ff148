"""
The whole API as one function of values: a request and the time in, an answer out.

Pure but for the store it is given. The shell reads the bytes, calls
`Api.answer`, sends the answer and hands what is owed to the worker.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from hookloop.ids import RandomSource, new_id

from .arguments import Arguments, read_arguments
from .authentication import AccountKey, authenticate
from .catalogue import Catalogue
from .delivery import Delivery, DeliveryState
from .errors import ApiError, not_simulated
from .expansion import expanded
from .idempotency import SavedAnswer, check_key, fingerprint, replay
from .operation import Operation
from .params import Params, ParamsError, decode_form
from .pretty import pretty
from .routes import OPERATIONS, RESERVED, Routes
from .store import Changes, Json, Store
from .transaction import Transaction

__all__ = ["Accounts", "Api", "ApiAnswer", "ApiRequest"]

FORM = "application/x-www-form-urlencoded"

CONNECT_HEADERS = ("stripe-account", "stripe-context")
"""They name another account to act on; to act on the caller's own instead would be wrong."""

# What Stripe sends with every answer. Preflights (OPTIONS) are refused like any request
# without a key: no web page a developer visits may drive the sandbox on their machine.
# Strict-Transport-Security is left out: RFC 6797 section 7.2 forbids it on plain HTTP.
HEADERS = (
    ("Content-Type", "application/json"),
    ("Cache-Control", "no-cache, no-store"),
    ("Access-Control-Allow-Credentials", "true"),
    ("Access-Control-Allow-Methods", "GET, HEAD, PUT, PATCH, POST, DELETE"),
    ("Access-Control-Allow-Origin", "*"),
    (
        "Access-Control-Expose-Headers",
        "Request-Id, Stripe-Manage-Version, Stripe-Should-Retry",
    ),
    ("Access-Control-Max-Age", "300"),
    ("Vary", "Origin"),
    ("X-Stripe-Routing-Context-Priority-Tier", "api-testmode"),
)


class Accounts(Protocol):
    """Where stores come from."""

    def store_of(self, account: AccountKey) -> Store:
        """Return the account's store, made if new. Raises `ApiError` when there are too many."""
        ...


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One request, read to its end."""

    method: str
    path: str
    """Percent-encoded, as sent, without the query."""
    query: bytes
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """What to send back, and what to deliver because of it."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    request_id: str
    store: Store | None = None
    """The account's, where the request had one."""
    owed: Sequence[Delivery] = ()
    """Due at once."""


@dataclass(frozen=True, slots=True)
class _Result:
    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    owed: Sequence[Delivery] = ()


class Api:
    """The simulated API. Calls of `answer` must come one after the other."""

    def __init__(self, accounts: Accounts, catalogue: Catalogue, random: RandomSource) -> None:
        self._accounts = accounts
        self._catalogue = catalogue
        self._random = random
        self._routes = Routes(OPERATIONS, RESERVED)

    def answer(self, request: ApiRequest, *, now: float) -> ApiAnswer:
        """Answer *request* at *now* (Unix seconds); whatever is wrong with it becomes an answer."""
        request_id = new_id("req_", self._random, length=14)
        store: Store | None = None
        version = self._catalogue.api_version
        try:
            account = authenticate(request.headers.get("authorization"))
            store = self._accounts.store_of(account)
            version = self._catalogue.requested_version(request.headers.get("stripe-version"))
            result = self._result(request, request_id, account, store, now)
        except ApiError as error:
            result = _failed(error, request_id)
        headers = [*HEADERS, ("Request-Id", request_id), ("Stripe-Version", version)]
        headers += result.headers
        return ApiAnswer(result.status, headers, result.body, request_id, store, result.owed)

    def refuse(self, error: ApiError) -> ApiAnswer:
        """Answer a request that was not even read with *error*."""
        request_id = new_id("req_", self._random, length=14)
        result = _failed(error, request_id)
        headers = [*HEADERS, ("Request-Id", request_id), *result.headers]
        return ApiAnswer(result.status, headers, result.body, request_id)

    def _result(
        self,
        request: ApiRequest,
        request_id: str,
        account: AccountKey,
        store: Store,
        now: float,
    ) -> _Result:
        operation, names = self._routes.match(request.method, request.path)
        for header in CONNECT_HEADERS:
            if header in request.headers:
                raise not_simulated(f"connected accounts (the {header} header)")
        params = _params(request)
        key = _idempotency_key(request)
        if key is not None and (saved := store.saved_answer(key)) is not None:
            return _replayed(replay(saved, path=request.path, params=params))
        arguments = read_arguments(operation.fields, params)
        transaction = Transaction(
            account, store, self._catalogue, now, self._random, request_id, key
        )
        result = _executed(operation, transaction, arguments, names)
        changes = transaction.changes
        if key is not None:
            result, changes.answer = _kept(result, request, request_id, key, params, now)
        store.commit(changes, now=now)
        return result


def _params(request: ApiRequest) -> Params:
    """Return what the query and, of a POST, the body say; the body has the last word."""
    try:
        params = decode_form(request.query)
        if request.method == "POST" and request.body:
            _check_content_type(request.headers.get("content-type"))
            params.update(decode_form(request.body))
    except ParamsError as error:
        raise ApiError(400, str(error), param=error.param) from None
    return params


def _check_content_type(content_type: str | None) -> None:
    if content_type and content_type.partition(";")[0].strip().lower() != FORM:
        raise ApiError(400, f"Invalid request (check that your POST content type is {FORM}).")


def _idempotency_key(request: ApiRequest) -> str | None:
    """Return the key of a POST; GET and DELETE are idempotent without one."""
    return check_key(request.headers.get("idempotency-key")) if request.method == "POST" else None


def _executed(
    operation: Operation, transaction: Transaction, arguments: Arguments, names: Mapping[str, str]
) -> _Result:
    """Run *operation*; where it fails the transaction's changes are gone, and the error stays."""
    try:
        answer = operation.run(transaction, arguments, names)
        if paths := arguments.get("expand"):
            answer = expanded(answer, paths, operation.expanders)
    except ApiError as error:
        transaction.changes = Changes()
        return _failed(error, transaction.request_id)
    deliveries = transaction.changes.deliveries
    owed = [delivery for delivery in deliveries if delivery.state is DeliveryState.PENDING]
    return _Result(200, _json(answer), owed=owed)


def _failed(error: ApiError, request_id: str) -> _Result:
    return _Result(error.status, _json(error.body(request_id)), headers=error.headers)


def _json(answer: Json) -> bytes:
    """Return *answer* printed, with the line feed at its end that a terminal is glad of."""
    return f"{pretty(answer)}\n".encode()


def _kept(
    result: _Result, request: ApiRequest, request_id: str, key: str, params: Params, now: float
) -> tuple[_Result, SavedAnswer]:
    """Return *result* with the headers of a keyed request, and what the key will replay."""
    saved = SavedAnswer(
        key, request.path, fingerprint(params), request_id, result.status, result.body, now
    )
    headers = (*result.headers, ("Idempotency-Key", key), ("Original-Request", request_id))
    return _Result(result.status, result.body, headers, result.owed), saved


def _replayed(saved: SavedAnswer) -> _Result:
    return _Result(
        saved.status,
        saved.body,
        (
            ("Idempotency-Key", saved.key),
            ("Original-Request", saved.request_id),
            ("Idempotent-Replayed", "true"),
        ),
    )
