"""What a policy does to a request and its answer."""

import base64
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookloop.errors import ConfigError
from hookloop.exchange import RequestHead, ResponseHead
from hookloop.tunnel.agent.address import parse_upstream
from hookloop.tunnel.agent.own_answer import own_answer
from hookloop.tunnel.agent.pipeline import Pipeline
from hookloop.tunnel.agent.policy import (
    Policy,
    parse_credential,
    parse_field,
    parse_field_name,
    parse_network,
)

PUBLIC = b"https://shop.tun.example"
REMOTE = "203.0.113.9:55000"


def request(*headers: tuple[bytes, bytes], host: bytes = b"shop.tun.example") -> RequestHead:
    forwarded = ((b"X-Forwarded-Proto", b"https"), (b"X-Forwarded-Host", host))
    return RequestHead(b"POST", b"/hooks", ((b"Host", host), *headers, *forwarded))


def pipeline(upstream: str = "3000", **policy) -> Pipeline:
    return Pipeline(Policy(**policy), parse_upstream(upstream), "shop")


def basic(userpass: bytes) -> tuple[bytes, bytes]:
    return b"Authorization", b"Basic " + base64.b64encode(userpass)


# --- the Host and the Origin ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("upstream", "policy", "host"),
    [
        ("3000", {}, b"localhost:3000"),
        ("127.0.0.1:3000", {}, b"127.0.0.1:3000"),
        ("0.0.0.0:3000", {}, b"localhost:3000"),
        ("[::1]:3000", {}, b"[::1]:3000"),
        ("https://app.test", {}, b"app.test"),
        ("http://app.test", {}, b"app.test"),
        ("unix:/run/app.sock", {}, b"localhost"),
        ("3000", {"host_header": "preserve"}, b"shop.tun.example"),
        ("3000", {"host_header": "shop.test:80"}, b"shop.test:80"),
    ],
)
def test_an_upstream_is_shown_the_host_it_expects(upstream, policy, host):
    """Vite, webpack and Django refuse a Host they do not know; the public one is beside it."""
    head = pipeline(upstream, **policy).request(request())

    assert head.get(b"host") == host
    assert head.get(b"x-forwarded-host") == b"shop.tun.example"


def test_all_else_of_a_request_is_as_it_came():
    """Order, case and duplicates: some signatures are over them."""
    before = request((b"x-A", b"1"), (b"X-a", b"2"))

    after = pipeline().request(before)

    assert after.headers == ((b"Host", b"localhost:3000"), *before.headers[1:])
    assert (after.method, after.target) == (before.method, before.target)


def test_a_policy_that_preserves_changes_nothing():
    """It is the very same head."""
    before = request((b"Origin", PUBLIC))

    assert pipeline(host_header="preserve").request(before) is before


@pytest.mark.parametrize(
    ("origin", "policy", "shown"),
    [
        (PUBLIC, {}, b"http://localhost:3000"),
        (b"https://SHOP.tun.example", {}, b"http://localhost:3000"),
        (b"https://evil.example", {}, b"https://evil.example"),
        (b"http://shop.tun.example", {}, b"http://shop.tun.example"),
        (b"null", {}, b"null"),
        (PUBLIC, {"origin": "preserve"}, PUBLIC),
        (PUBLIC, {"host_header": "preserve"}, PUBLIC),
        (PUBLIC, {"host_header": "preserve", "origin": "rewrite"}, b"http://localhost:3000"),
        (PUBLIC, {"host_header": "shop.test"}, b"http://shop.test"),
    ],
)
def test_the_tunnels_own_origin_goes_with_its_host(origin, policy, shown):
    """A page's own requests stay its own; those of another site are told apart as before."""
    assert pipeline(**policy).request(request((b"Origin", origin))).get(b"origin") == shown


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        (b"http://localhost:3000/login?next=/", PUBLIC + b"/login?next=/"),
        (b"https://localhost:3000/hooks/", PUBLIC + b"/hooks/"),
        (b"http://LOCALHOST:3000", PUBLIC),
        (b"http://localhost:30001/x", b"http://localhost:30001/x"),
        (b"http://localhost:3000.evil.example/", b"http://localhost:3000.evil.example/"),
        (b"/login", b"/login"),
        (b"https://checkout.stripe.com/c", b"https://checkout.stripe.com/c"),
    ],
)
def test_a_redirect_to_the_upstreams_own_address_leads_to_the_public_one(location, shown):
    """Else the browser would look for it on its own machine."""
    answer = ResponseHead(302, b"Found", ((b"Location", location),))

    assert pipeline().response(answer, request()).get(b"location") == shown
    assert pipeline(host_header="preserve").response(answer, request()) is answer


# --- fields ---------------------------------------------------------------------------------


def test_fields_are_removed_then_added():
    """Both together replace one."""
    rules = pipeline(
        host_header="preserve",
        request_remove=(b"x-team",),
        request_add=((b"X-Team", b"new"),),
        response_remove=(b"server", b"x-powered-by"),
        response_add=((b"X-Robots-Tag", b"noindex"),),
    )

    head = rules.request(request((b"X-TEAM", b"old"), (b"x-team", b"older")))
    answer = rules.response(
        ResponseHead(200, b"OK", ((b"Server", b"x"), (b"Set-Cookie", b"a"))), request()
    )

    assert [value for name, value in head.headers if name.lower() == b"x-team"] == [b"new"]
    assert answer.headers == ((b"Set-Cookie", b"a"), (b"X-Robots-Tag", b"noindex"))


def test_an_upstream_cannot_speak_for_the_agent():
    """What says that an answer is the agent's own is taken off all others."""
    answer = ResponseHead(403, b"Forbidden", ((b"hookloop-REFUSED", b"ip_refused"), (b"A", b"1")))

    assert pipeline().response(answer, request()).headers == ((b"A", b"1"),)


def test_an_answer_that_is_not_changed_is_the_same_object():
    """Most are."""
    answer = ResponseHead(200, b"OK", ((b"Server", b"x"),))

    assert pipeline().response(answer, request()) is answer


# --- who may pass ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("authorization", "passes"),
    [
        (basic(b"ada:correct-horse"), True),
        (basic(b"bob:battery-staple"), True),
        ((b"authorization", b"basic " + base64.b64encode(b"ada:correct-horse")), True),
        (basic(b"ada:battery-staple"), False),
        (basic(b"ada"), False),
        ((b"Authorization", b"Basic !!"), False),
        ((b"Authorization", b"Basic"), False),
        ((b"Authorization", b"Bearer " + base64.b64encode(b"ada:correct-horse")), False),
    ],
)
def test_a_password_lets_in(authorization, passes):
    """Any of several; and it stays here, since the app would not know it."""
    known = tuple(map(parse_credential, ("ada:correct-horse", "bob:battery-staple")))
    rules = pipeline(basic_auth=known)
    head = request(authorization)

    objection = rules.objection(head, REMOTE)

    assert (objection is None) == passes
    assert rules.request(head).get(b"authorization") is None


def test_who_has_no_password_is_asked_for_it():
    """In the words browsers understand."""
    rules = pipeline(basic_auth=(parse_credential("ada:correct-horse"),))
    objection = rules.objection(request(), REMOTE)

    head, body = own_answer(objection, request(), challenge=rules.challenge())

    assert head.status == 401
    assert head.get(b"www-authenticate") == b'Basic realm="shop", charset="UTF-8"'
    assert head.get(b"hookloop-refused") == b"unauthorized"
    assert b'"code": "unauthorized"' in body


def test_an_authorization_of_the_apps_own_is_not_touched():
    """Without --basic-auth it is none of ours."""
    head = request((b"Authorization", b"Bearer x"))

    assert pipeline().request(head).get(b"authorization") == b"Bearer x"


@pytest.mark.parametrize(
    ("remote", "passes"),
    [
        ("203.0.113.9:55000", True),
        ("203.0.113.66:55000", False),  # denied, though allowed
        ("198.51.100.1:55000", False),
        ("::ffff:203.0.113.9:55000", True),
        ("[2001:db8::7]:55000", True),
        ("2001:db8::7:55000", True),
        ("not an address", False),
    ],
)
def test_an_address_lets_in(remote, passes):
    """What is denied is so even where it is allowed; what cannot be read is not let in."""
    rules = pipeline(
        allow=(parse_network("203.0.113.0/24"), parse_network("2001:db8::/32")),
        deny=(parse_network("203.0.113.64/26"),),
    )

    objection = rules.objection(request(), remote)

    assert (objection is None) == passes
    if objection is not None:
        assert (objection.status, objection.code) == (403, "ip_refused")


def test_denying_alone_lets_all_others_in():
    """A list of one."""
    rules = pipeline(deny=(parse_network("203.0.113.9"),))

    assert rules.objection(request(), REMOTE) is not None
    assert rules.objection(request(), "198.51.100.1:1") is None


def test_a_browser_gets_a_page():
    """Without a word that could be a tag."""
    rules = pipeline(deny=(parse_network("0.0.0.0/0"),))
    objection = rules.objection(request(), REMOTE)

    head, body = own_answer(
        objection, request((b"Accept", b"text/html,*/*")), challenge=rules.challenge()
    )

    assert head.get(b"content-type") == b"text/html; charset=utf-8"
    assert b"<h1>403 Forbidden</h1>" in body


# --- laws -----------------------------------------------------------------------------------

NAMES = st.text("abcdefhostrigin-XHO", min_size=1, max_size=8).map(str.encode)
FIELDS = st.lists(st.tuples(NAMES, st.binary(max_size=8)), max_size=12).map(tuple)


@given(FIELDS)
def test_nothing_but_host_and_origin_is_touched(fields):
    """Whatever the fields are: their number, order, names and all other values stay."""
    before = RequestHead(b"GET", b"/", fields)

    after = pipeline().request(before)

    assert [name for name, _ in after.headers] == [name for name, _ in fields]
    changed = {
        name.lower()
        for (name, value), (_, old) in zip(after.headers, fields, strict=True)
        if value != old
    }
    assert changed <= {b"host", b"origin"}


@given(st.text(max_size=40))
def test_texts_of_people_are_read_or_refused(text):
    """With a sentence, never with another error."""
    for parse in (parse_field, parse_field_name, parse_network, parse_credential, parse_upstream):
        with suppress(ConfigError):
            parse(text)
