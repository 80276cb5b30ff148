"""The pages on a socket: a form in, a call of the API, a page or a redirect out."""

import json
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from hookloop.clock import Clock

from .api import Api, ApiAnswer, ApiRequest
from .memory import MemoryAccounts
from .pages import (
    HEADERS,
    authentication_page,
    card_form,
    checkout_page,
    message_page,
    return_url,
)
from .store import Json, Store
from .timekeeper import Timekeeper
from .worker import DeliveryWorker

__all__ = ["PageServer"]

FORM = {"content-type": "application/x-www-form-urlencoded"}
FORM_BYTES_MAX = 16 * 1024  # three short fields


class PageServer:
    """Serves checkout and authentication pages; `routes` go into the application."""

    def __init__(
        self,
        api: Api,
        accounts: MemoryAccounts,
        worker: DeliveryWorker,
        timekeeper: Timekeeper,
        clock: Clock,
    ) -> None:
        self._api = api
        self._accounts = accounts
        self._worker = worker
        self._timekeeper = timekeeper
        self._clock = clock

    def routes(self) -> list[Route]:
        return [
            Route("/c/pay/{account}/{session}", self._checkout, methods=["GET", "POST"]),
            Route("/authenticate/{account}/{intent}", self._authenticate, methods=["GET", "POST"]),
        ]

    # Checkout

    async def _checkout(self, request: Request) -> Response:
        store = self._accounts.by_id(request.path_params["account"])
        session_id = quote(request.path_params["session"], safe="")
        path = f"/v1/checkout/sessions/{session_id}"
        status, session = self._call(store, request, "GET", path)
        if store is None or status != 200:
            return _said(404, "Not found", "There is no such checkout session.")
        if session["status"] != "open":
            return _said(410, "Checkout", f"This session is {session['status']}.")
        error = None
        if request.method == "POST":
            error, elsewhere = await self._pay(store, request, session)
            if elsewhere is not None:
                return RedirectResponse(elsewhere, status_code=303)
            if error is None:
                return _said(200, "Thank you", "The session is complete.")
        _, page = self._call(store, request, "GET", f"{path}/line_items", {"limit": "100"})
        return _html(checkout_page(session, page["data"], error=error), 402 if error else 200)

    async def _pay(
        self, store: Store, request: Request, session: Json
    ) -> tuple[str | None, str | None]:
        """Pay, and return what went wrong, or where the customer goes."""
        form = await _form(request)
        year = 1970 + int(self._clock.wall() / 31_556_952)
        body = card_form(form, session, year=year)
        path = f"/v1/payment_pages/{session['id']}/confirm"
        status, answer = self._call(store, request, "POST", path, body=body)
        if status != 200:
            return answer["error"]["message"], None
        if (action := answer["next_action"]) is not None:
            return None, action["redirect_to_url"]["url"]
        return None, return_url(session)

    # Authentication

    async def _authenticate(self, request: Request) -> Response:
        store = self._accounts.by_id(request.path_params["account"])
        intent_id = quote(request.path_params["intent"], safe="")
        kind = "payment_intents" if intent_id.startswith("pi_") else "setup_intents"
        status, intent = self._call(store, request, "GET", f"/v1/{kind}/{intent_id}")
        if store is None or status != 200 or not _knows_secret(request, intent):
            return _said(404, "Not found", "There is no such authentication.")
        if intent["status"] != "requires_action":
            return _said(410, "3-D Secure", f"Nothing to do: it is {intent['status']}.")
        if request.method == "GET":
            return _html(authentication_page(intent))
        outcome = (await _form(request)).get("outcome", "failed")
        path = f"/v1/test_helpers/{kind}/{intent_id}/authenticate"
        status, done = self._call(store, request, "POST", path, {"outcome": outcome})
        if status != 200:
            return _said(status, "3-D Secure", done["error"]["message"])
        back = (intent["next_action"].get("redirect_to_url") or {}).get("return_url")
        if not back:
            return _said(200, "3-D Secure", f"Done: it is {done['status']}. Close this window.")
        query = urlencode(
            {
                kind.removesuffix("s"): intent["id"],
                f"{kind.removesuffix('s')}_client_secret": intent["client_secret"],
                "redirect_status": "succeeded" if outcome == "succeeded" else "failed",
            }
        )
        return RedirectResponse(f"{back}{'&' if '?' in back else '?'}{query}", status_code=303)

    # The API

    def _call(
        self,
        store: Store | None,
        request: Request,
        method: str,
        path: str,
        params: dict[str, str] | None = None,
        *,
        body: str | None = None,
    ) -> tuple[int, Any]:
        """Return the status and the JSON of what the API answers on behalf of the account."""
        if store is None:
            return 404, None
        form = body if body is not None else urlencode(params or {})
        headers = {**FORM, "host": request.headers.get("host", "localhost")}
        asked = ApiRequest(
            method,
            path,
            b"" if method == "POST" else form.encode(),
            headers,
            form.encode() if method == "POST" else b"",
        )
        answer = self._api.answer_in(store, asked, now=self._clock.wall())
        self._hand_over(store, answer)
        return answer.status, json.loads(answer.body)

    def _hand_over(self, store: Store, answer: ApiAnswer) -> None:
        if answer.owed:
            self._worker.owe(store, answer.owed)
        self._timekeeper.look_at(store)


async def _form(request: Request) -> dict[str, str]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_BYTES_MAX:
            return {}
    return dict(parse_qsl(body.decode("utf-8", "replace")))


def _knows_secret(request: Request, intent: Json) -> bool:
    return bool(request.query_params.get("client_secret") == intent["client_secret"])


def _html(page: str, status: int = 200) -> Response:
    return Response(page, status_code=status, headers=dict(HEADERS))


def _said(status: int, title: str, text: str) -> Response:
    return _html(message_page(title, text), status)
