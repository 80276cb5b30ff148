"""
The whole API as one function of values: a request and the time in, an answer out.

Pure but for the store it is given. The shell reads the bytes, calls
`Api.answer`, sends the answer and hands what is owed to the worker.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from hookloop.ids import new_id
from hookloop.shapes.endpoint import Endpoint, endpoint_at
from hookloop.shapes.sample import SampleRandom

from .arguments import read_arguments
from .authentication import AccountKey, authenticate, is_publishable
from .catalogue import Catalogue
from .delivery import Delivery, DeliveryState
from .errors import ApiError, not_simulated
from .expansion import expanded
from .idempotency import SavedAnswer, check_key, fingerprint, replay
from .objects import EXPANDERS, OPERATIONS, TASKS
from .operation import Operation
from .params import Params
from .pretty import pretty
from .publishable import check_client_secret, check_publishable
from .rate_limit import RateLimit
from .request_params import read_params
from .routes import Routes, Target, path_names
from .store import Changes, Json, Store
from .stub import FILE, stub_operation
from .transaction import Transaction

__all__ = ["Accounts", "Api", "ApiAnswer", "ApiRequest"]

BY_SHAPE = (400, 404, 501)
"""Refusals of state that a stub answers by shape: it does not know what the caller asks of it."""

FIDELITY = "Hookloop-Fidelity"
"""The header that says whether an answer comes from state or was made up from its shape."""

PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
    b"2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
)
"""No pages, but a file every reader opens."""

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

    def __init__(
        self,
        accounts: Accounts,
        catalogue: Catalogue,
        random: SampleRandom,
        *,
        stub: bool = False,
        rate_limit: RateLimit | None = None,
    ) -> None:
        """*stub*: what state has no answer for is answered by its shape."""
        self._accounts = accounts
        self._catalogue = catalogue
        self._random = random
        self._routes = Routes(OPERATIONS, catalogue.endpoints)
        self._stub = stub
        self._rate_limit = rate_limit

    def answer(self, request: ApiRequest, *, now: float) -> ApiAnswer:
        """Answer *request* at *now* (Unix seconds); whatever is wrong with it becomes an answer."""
        try:
            account = authenticate(request.headers.get("authorization"))
            store = self._accounts.store_of(account)
            if self._rate_limit is not None:
                self._rate_limit.check(account.digest, now=now)
        except ApiError as error:
            return self.refuse(error)
        return self.answer_in(store, request, now=now)

    def answer_in(self, store: Store, request: ApiRequest, *, now: float) -> ApiAnswer:
        """Answer *request* for the account of *store*, whoever asks: for pages of its own."""
        request_id = new_id("req_", self._random, length=14)
        overdue: list[Delivery] = []
        version = self._catalogue.api_version
        try:
            # What was due before the request has happened before it.
            while (owed := self.perform_next(store, now=now)) is not None:
                overdue += owed
            version = self._catalogue.requested_version(request.headers.get("stripe-version"))
            result = self._result(request, request_id, store, now)
        except ApiError as error:
            result = _failed(error, request_id)
        headers = [*HEADERS, ("Request-Id", request_id), ("Stripe-Version", version)]
        headers += result.headers
        owed = (*overdue, *result.owed)
        return ApiAnswer(result.status, headers, result.body, request_id, store, owed)

    def perform_next(self, store: Store, *, now: float) -> Sequence[Delivery] | None:
        """
        Do the account's next task if it is due, and return what is owed for it.

        None: nothing is due yet.
        """
        task = store.next_task()
        if task is None or task.due > now:
            return None
        # It happened when it was due, however late it is looked at.
        transaction = Transaction(
            store.account, store, self._catalogue, task.due, self._random, None, None
        )
        TASKS[task.name](transaction, task.subject)
        transaction.changes.done = task
        store.commit(transaction.changes, now=now)
        return _pending(transaction.changes.deliveries)

    def refuse(self, error: ApiError) -> ApiAnswer:
        """Answer a request that was not even read with *error*."""
        request_id = new_id("req_", self._random, length=14)
        result = _failed(error, request_id)
        version = ("Stripe-Version", self._catalogue.api_version)
        headers = [*HEADERS, ("Request-Id", request_id), version, *result.headers]
        return ApiAnswer(result.status, headers, result.body, request_id)

    def _result(
        self,
        request: ApiRequest,
        request_id: str,
        store: Store,
        now: float,
    ) -> _Result:
        asked = f"{request.method} {request.path[:200]}"
        target, names = self._routes.match(request.method, request.path)
        for header in CONNECT_HEADERS:
            if header in request.headers:
                raise not_simulated(f"connected accounts (the {header} header)")
        body = request.body if request.method == "POST" else b""
        params = read_params(
            request.path, request.query, body, content_type=request.headers.get("content-type")
        )
        key = _idempotency_key(request)
        if key is not None and (saved := store.saved_answer(key)) is not None:
            return _replayed(replay(saved, path=request.path, params=params))
        transaction = Transaction(
            store.account,
            store,
            self._catalogue,
            now,
            self._random,
            request_id,
            key,
            api_version=request.headers.get("stripe-version"),
            base_url=f"http://{request.headers.get('host', 'localhost')}",
            is_publishable=is_publishable(request.headers.get("authorization")),
        )
        try:
            result = self._executed(target, transaction, params, names, asked)
        except ApiError as error:
            if not transaction.begun:
                raise
            if not error.keeps_changes:
                transaction.changes = Changes()
            result = _failed(error, request_id)
        changes = transaction.changes
        result = replace(result, owed=_pending(changes.deliveries))
        if key is not None:
            result, changes.answer = _kept(result, request, request_id, key, params, now)
        store.commit(changes, now=now)
        return result

    def _executed(
        self,
        target: Target,
        transaction: Transaction,
        params: Params,
        names: Mapping[str, str],
        asked: str,
    ) -> _Result:
        """Answer by state, or in a stub by shape. Raises `ApiError` where there is neither."""
        if isinstance(target, Operation):
            try:
                return _executed(target, transaction, params, names, "stateful")
            except ApiError as error:
                if not self._stub or error.status not in BY_SHAPE:
                    raise
                transaction.changes = Changes()
        shape = target if isinstance(target, Endpoint) else endpoint_at(target.method, target.path)
        if not self._stub or shape is None:
            raise not_simulated(asked)
        by_place = dict(zip(path_names(shape.path), names.values(), strict=True))
        return _executed(stub_operation(shape), transaction, params, by_place, "shape")


def _idempotency_key(request: ApiRequest) -> str | None:
    """Return the key of a POST; GET and DELETE are idempotent without one."""
    return check_key(request.headers.get("idempotency-key")) if request.method == "POST" else None


def _executed(
    operation: Operation,
    transaction: Transaction,
    params: Params,
    names: Mapping[str, str],
    fidelity: str,
) -> _Result:
    """Run *operation* and print its answer. Raises `ApiError`."""
    arguments = read_arguments(operation.fields, params)
    check = check_publishable if transaction.is_publishable else check_client_secret
    check(operation, transaction, arguments, names)
    transaction.begun = True
    answer = operation.run(transaction, arguments, names)
    if paths := arguments.get("expand"):
        answer = expanded(answer, paths, EXPANDERS, transaction)
    headers: tuple[tuple[str, str], ...] = ((FIDELITY, fidelity),)
    if answer is FILE:
        return _Result(200, PDF, (*headers, ("Content-Type", "application/pdf")))
    return _Result(200, _json(answer), headers)


def _pending(deliveries: Iterable[Delivery]) -> list[Delivery]:
    return [delivery for delivery in deliveries if delivery.state is DeliveryState.PENDING]


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
