"""
The sandbox's clock over HTTP, for the command line and for tests in any language.

``GET /_hookloop/clock`` tells the time there; ``POST`` with ``advance`` (seconds) puts it forward.
A key is asked for, so that no web page a developer visits can move it.
"""

from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from hookloop.errors import ConfigError

from .authentication import authenticate
from .errors import ApiError
from .time_machine import TimeMachine, TimeOfSandbox

__all__ = ["CLOCK_PATH", "ClockRoutes"]

CLOCK_PATH = "/_hookloop/clock"

FORM_BYTES_MAX = 1000  # One number.


class ClockRoutes:
    """Where the clock is read and moved."""

    def __init__(self, time_machine: TimeMachine) -> None:
        self._time_machine = time_machine

    def routes(self) -> list[Route]:
        return [Route(CLOCK_PATH, self._answer, methods=["GET", "POST"])]

    async def _answer(self, request: Request) -> JSONResponse:
        try:
            authenticate(request.headers.get("authorization"))
            if request.method != "POST":
                return _shown(self._time_machine.time())
            body = await request.body()
            form = dict(parse_qsl(body[:FORM_BYTES_MAX].decode("ascii", "replace")))
            return _shown(self._time_machine.begin(_seconds(form.get("advance", ""))))
        except ConfigError as error:
            return _refused(ApiError(400, f"{str(error)[0].upper()}{str(error)[1:]}."))
        except ApiError as error:
            return _refused(error)


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(
            f"advance is {text[:40]!r}: give a number of seconds, such as advance=3600"
        ) from None


def _shown(time: TimeOfSandbox) -> JSONResponse:
    status = "ready" if time.target is None else "advancing"
    return JSONResponse(
        {"object": "hookloop.clock", "now": time.now, "target": time.target, "status": status}
    )


def _refused(error: ApiError) -> JSONResponse:
    return JSONResponse(error.body("req_clock"), error.status, headers=dict(error.headers))
