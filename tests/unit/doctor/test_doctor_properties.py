"""Laws: whatever comes in, findings come out; and never a secret or a piece of a body."""

import contextlib
import json

import pytest
from faults import BODY, EVENT, NOW, signature
from hypothesis import given
from hypothesis import strategies as st

from hookloop.doctor import Answer, Case, Finding, diagnose, read_request, read_response
from hookloop.doctor.proof import HMACS_MAX
from hookloop.errors import ConfigError

texts = st.text(max_size=60)
header_names = st.one_of(
    texts,
    st.sampled_from(
        [
            "stripe-signature",
            "HTTP_STRIPE_SIGNATURE",
            "Content-Length",
            "webhook-signature",
            "webhook-id",
            "x-hub-signature-256",
        ]
    ),
)
header_values = st.one_of(
    texts,
    st.from_regex(r"\A[tv01=,; %\"]{0,20}\Z"),
    st.builds(lambda t, v: f"t={t},v1={v}", texts, st.text("0123456789abcdefABCDEF", max_size=70)),
    st.just(signature()),
)
headers = st.lists(st.tuples(header_names, header_values), max_size=6).map(tuple)
bodies = st.one_of(
    st.binary(max_size=200),
    st.sampled_from([b"b'\\x", b"\x1f\x8b\x08", b'"\\ud800"', b"%zz%", b"\xff\xfe", b"1e999"]),
    st.recursive(
        st.none() | st.floats() | st.integers() | texts,
        lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
        max_leaves=10,
    ).map(lambda value: json.dumps(value).encode()),
    st.integers(0, 3000).map(lambda depth: b"[" * depth),
    st.integers(0, 3000).map(lambda depth: b'{"a":' * depth + b"1" + b"}" * depth),
)
urls = st.one_of(texts, st.just("http://[x"), st.just("https://a.example/hook"))
answers = st.none() | st.builds(
    Answer,
    st.none() | st.integers(0, 999),
    headers | st.lists(st.tuples(st.just("Location"), urls), max_size=1).map(tuple),
    texts,
)


@given(
    body=bodies,
    headers=headers,
    secrets=st.dictionaries(texts, texts, max_size=4),
    now=st.floats(allow_nan=False, allow_infinity=False),
    method=texts,
    url=urls,
    answer=answers,
)
def test_any_request_gives_findings_and_never_an_exception(**fields):
    """Hostile bytes, headers, secrets and answers."""
    for finding in diagnose(Case(**fields)):
        assert isinstance(finding, Finding)
        assert finding.code
        assert finding.what.isprintable()


@given(
    secret=st.text("abcdefghijklmnopqrstuvwxyzABCDEFGH0123456789", min_size=24).map(
        lambda text: f"whsec_{text}"
    ),
    surroundings=st.sampled_from(["{}", "{}\n", '"{}"', " {}", "sk_{}"]),
    body=bodies | st.just(BODY) | st.just(json.dumps(EVENT).encode()),
    place=st.sampled_from(["path", "location", "page", "method", "header", "nowhere"]),
    seconds=st.sampled_from([0, 9999, -9999]),
    status=st.sampled_from([200, 301, 403, 404, 500]),
)
def test_no_secret_is_ever_in_a_finding(secret, surroundings, body, place, seconds, status):
    """Wherever it stands: a configured secret may also be in the URL or on a debug page."""
    at = {place: secret}
    diagnosed = diagnose(
        Case(
            body=body,
            headers=(
                ("Stripe-Signature", signature(BODY, secret)),
                ("X-Key", at.get("header", "")),
            ),
            secrets={"live": surroundings.format(secret)},
            now=float(NOW + seconds),
            method=at.get("method", "POST"),
            url=f"/hooks/{at.get('path', '')}",
            answer=Answer(
                status,
                (("Location", f"/hooks/{at.get('location', '')}/"),),
                f"<title>KeyError</title>{at.get('page', '')}",
            ),
        )
    )

    for finding in diagnosed:
        assert secret not in f"{finding}"


@given(st.text("abcdefgh", min_size=12))
def test_nothing_of_a_body_is_ever_in_a_finding(word: str):
    """Payloads hold people's data."""
    body = json.dumps({**EVENT, "id": word, word: word}).encode()

    for finding in diagnose(Case(body, (("Stripe-Signature", signature()),), {"a": "whsec_b"}, 0)):
        assert word not in f"{finding}"


def test_a_case_never_shows_what_it_holds():
    """Its repr ends up in logs."""
    shown = repr(Case(BODY, (("Stripe-Signature", signature()),), {"live": "whsec_hidden"}, NOW))

    assert "whsec_" not in shown
    assert "evt_" not in shown


@given(st.binary(max_size=300))
def test_any_file_is_a_message_or_refused(message: bytes):
    """A ConfigError says what the file should be; nothing else is raised."""
    for read in (read_request, read_response):
        with contextlib.suppress(ConfigError):
            read(message)


def test_the_search_is_bounded(monkeypatch: pytest.MonkeyPatch):
    """Many secrets, many times and a body that can be read in many ways: still a limit."""
    from hookloop.doctor import proof

    hashed = []
    digest = proof.hmac.digest

    def counted(*arguments):
        hashed.append(1)
        return digest(*arguments)

    monkeypatch.setattr(proof.hmac, "digest", counted)
    times = ",".join(f"t={n},v1={'0' * 64}" for n in range(50))
    secrets = {f"l{n}": f'"whsec_{n:030}" ' for n in range(50)}
    body = json.dumps({"a<&>/": "%41"}).encode()

    diagnose(Case(body, (("Stripe-Signature", times),), secrets, NOW))

    assert 1000 < len(hashed) <= HMACS_MAX
