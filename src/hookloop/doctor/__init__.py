"""
The doctor: why a webhook fails, proved by computing wherever that is possible.

Read `diagnosis` first: a `Case` in, findings out. `proof` searches for what was really
signed; `answer` reads what the app said; `endpoint` compares code with what is registered;
`probe` makes requests to try a URL with, and judges the answers. Pure: nothing here reads a
clock, a file or a socket, and no finding holds a secret or anything of a body.
"""

from .case import Answer, Case, Headers
from .diagnosis import diagnose
from .endpoint import Endpoint, Listening, Listens, check_endpoint, check_handlers, listening
from .finding import Certainty, Finding
from .known_secrets import parse_secrets
from .probe import Probe, check_answers, next_probes
from .raw_message import RawRequest, read_request, read_response

__all__ = [
    "Answer",
    "Case",
    "Certainty",
    "Endpoint",
    "Finding",
    "Headers",
    "Listening",
    "Listens",
    "Probe",
    "RawRequest",
    "check_answers",
    "check_endpoint",
    "check_handlers",
    "diagnose",
    "listening",
    "next_probes",
    "parse_secrets",
    "read_request",
    "read_response",
]
