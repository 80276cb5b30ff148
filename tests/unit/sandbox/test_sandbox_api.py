"""The API as a function: authentication, routes, headers, idempotency, errors."""

import pytest

from hookloop.sandbox.api import ApiRequest
from hookloop.sandbox.errors import ApiError

CUSTOMERS = "/v1/customers"
FORM = "application/x-www-form-urlencoded"


def keyed(key: str) -> dict[str, str]:
    return {"idempotency-key": key}


# Who asks


def test_accounts_do_not_see_each_other(call):
    """A key made up by a test is a world of its own."""
    made = call("POST", CUSTOMERS, key="sk_test_one").body

    assert call("GET", f"{CUSTOMERS}/{made['id']}", key="sk_test_two").status == 404
    assert call("GET", CUSTOMERS, key="sk_test_two").body["data"] == []


def test_a_key_says_whose_it_is(call):
    """The account, whose letters are in the ids of its records."""
    account = call("GET", "/v1/account").body
    price = call("POST", "/v1/prices", "currency=usd&unit_amount=1&product_data[name]=x").body

    assert (account["object"], account["charges_enabled"]) == ("account", True)
    assert account["id"][-10:] in price["id"]


def test_a_request_without_a_key_is_refused(call):
    """401 with Stripe's text, before the URL is looked at."""
    answer = call("GET", "/v1/nonsense", headers={"authorization": ""})

    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="Stripe"'
    assert answer.error["type"] == "invalid_request_error"


def test_a_web_page_is_given_no_way_in(call):
    """A browser asks before it sends a key to another origin, and is refused."""
    answer = call("OPTIONS", CUSTOMERS, headers={"authorization": "", "origin": "http://evil.test"})

    assert answer.status == 401


def test_the_number_of_accounts_is_bounded(call, monkeypatch):
    """A loop that makes up keys ends in a rate limit, not in swap."""
    monkeypatch.setattr("hookloop.sandbox.memory.ACCOUNTS_MAX", 1)
    call("GET", CUSTOMERS, key="sk_test_one")

    answer = call("GET", CUSTOMERS, key="sk_test_two")

    assert (answer.status, answer.error["code"]) == (429, "rate_limit")
    assert call("GET", CUSTOMERS, key="sk_test_one").status == 200


# What is asked for


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/reviews"),
        ("POST", "/v1/climate/orders"),
        ("GET", "/v2/core/events"),
        ("GET", "/v1/terminal/readers"),
        ("GET", "/v1/issuing/cards/ic_1"),
    ],
)
def test_what_is_not_simulated_says_so(call, method, path):
    """501 naming the endpoint, and no client is asked to try again."""
    answer = call(method, path)

    assert answer.status == 501
    assert f"does not simulate {method} {path}" in answer.error["message"]
    assert answer.headers["Stripe-Should-Retry"] == "false"


@pytest.mark.parametrize("header", ["stripe-account", "stripe-context"])
def test_nobody_acts_on_the_wrong_account(call, header):
    """A header that names a connected account is refused, not passed over."""
    answer = call("POST", CUSTOMERS, headers={header: "acct_1"})

    assert answer.status == 501
    assert call("GET", CUSTOMERS).body["data"] == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/v1/customers"),
        ("GET", "/v1/customers/"),
        ("GET", "/v1//customers"),
        ("GET", "/"),
        ("GET", ""),
        ("GET", "/v3/customers"),
    ],
)
def test_what_cannot_be_stripes_is_not_found(call, method, path):
    """404 naming method and path."""
    answer = call(method, path)

    assert answer.status == 404
    assert answer.error["message"].startswith(f"Unrecognized request URL ({method}: {path})")


def test_an_encoded_slash_is_part_of_an_id(call):
    """It is no way to another endpoint."""
    answer = call("GET", "/v1/customers/cus_1%2Fsources")

    assert answer.error["message"] == "No such customer: 'cus_1/sources'"


# What comes back


def test_every_answer_has_stripes_headers(call):
    """The request's id and the version it was answered in, errors included."""
    for answer in (call("GET", CUSTOMERS), call("GET", "/v1/customers/x"), call("GET", "/v1/x")):
        assert answer.headers["Request-Id"].startswith("req_")
        assert answer.headers["Stripe-Version"] == "2026-10-28.endive"
        assert answer.headers["Cache-Control"] == "no-cache, no-store"


def test_the_version_asked_for_is_echoed(call):
    """Any that is well formed, since the client may be newer than we are."""
    answer = call("GET", CUSTOMERS, headers={"stripe-version": "2031-01-01.zinnia"})

    assert answer.headers["Stripe-Version"] == "2031-01-01.zinnia"


@pytest.mark.parametrize("version", ["latest", "2026-10-28.", "2026-10-28.Endive", "1999-01-01"])
def test_a_version_of_another_form_is_refused(call, version):
    """It is a mistake, and Stripe would say so."""
    answer = call("GET", CUSTOMERS, headers={"stripe-version": version})

    assert answer.error["message"] == f"Invalid Stripe API version: {version}"


def test_an_error_points_to_its_explanation(call):
    """Type, code, message, parameter, and where to read more."""
    answer = call("POST", CUSTOMERS, "emial=x")

    assert answer.error == {
        "code": "parameter_unknown",
        "doc_url": "https://stripe.com/docs/error-codes/parameter-unknown",
        "message": "Received unknown parameter: emial",
        "param": "emial",
        "request_log_url": f"https://dashboard.stripe.com/test/logs/{answer.headers['Request-Id']}",
        "type": "invalid_request_error",
    }


def test_a_body_that_is_no_form_is_refused(call):
    """By its content type, or by what is in it."""
    by_type = call("POST", CUSTOMERS, "{}", headers={"content-type": "application/json"})
    by_content = call("POST", CUSTOMERS, "a[=1", headers={"content-type": FORM + "; charset=utf-8"})

    assert "check that your POST content type" in by_type.error["message"]
    assert by_content.error["message"] == "Invalid parameter name: a["


def test_query_and_body_of_a_post_are_joined(call):
    """The body has the last word."""
    headers = {"authorization": "Bearer sk_test_one"}
    request = ApiRequest("POST", CUSTOMERS, b"name=A&phone=1", headers, b"name=B")

    call.api.answer(request, now=call.now)

    made = call("GET", CUSTOMERS).body["data"][0]
    assert (made["name"], made["phone"]) == ("B", "1")


def test_a_refusal_needs_no_request(call):
    """The shell may refuse what it did not read."""
    answer = call.api.refuse(ApiError(413, "too large"))

    assert answer.status == 413
    assert b"too large" in answer.body


# Idempotency


def test_a_repeated_key_is_done_once(call):
    """The second answer is the first one, and says so."""
    first = call("POST", CUSTOMERS, "name=Ada", headers=keyed("k"))
    second = call("POST", CUSTOMERS, "name=Ada", headers=keyed("k"))

    assert second.body == first.body
    assert len(call("GET", CUSTOMERS).body["data"]) == 1
    assert second.owed == ()
    assert first.headers["Original-Request"] == first.headers["Request-Id"]
    assert second.headers["Original-Request"] == first.headers["Request-Id"]
    assert second.headers["Request-Id"] != first.headers["Request-Id"]
    assert second.headers["Idempotency-Key"] == "k"
    assert second.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers


def test_the_order_of_parameters_does_not_matter(call):
    """A client may encode a hash in any order."""
    first = call("POST", CUSTOMERS, "name=Ada&phone=1", headers=keyed("k"))

    assert call("POST", CUSTOMERS, "phone=1&name=Ada", headers=keyed("k")).body == first.body


@pytest.mark.parametrize(
    ("path", "form", "words"),
    [
        (CUSTOMERS, "name=Bob", "can only be used with the same parameters"),
        ("/v1/webhook_endpoints", "name=Ada", "can only be used for the same endpoint"),
    ],
)
def test_a_key_used_for_something_else_is_refused(call, path, form, words):
    """It is a mistake of the caller's, told as Stripe tells it."""
    call("POST", CUSTOMERS, "name=Ada", headers=keyed("k"))

    answer = call("POST", path, form, headers=keyed("k"))

    assert (answer.status, answer.error["type"]) == (400, "idempotency_error")
    assert words in answer.error["message"]
    assert "Try using a key other than 'k'" in answer.error["message"]


def test_what_did_not_begin_is_not_kept(call):
    """A key spent on parameters that do not parse may be used again."""
    assert call("POST", CUSTOMERS, "nmae=Ada", headers=keyed("k")).status == 400

    assert call("POST", CUSTOMERS, "name=Ada", headers=keyed("k")).status == 200


def test_a_failure_is_kept(call):
    """What began and failed is answered the same for good."""
    first = call("POST", f"{CUSTOMERS}/cus_later", "name=Ada", headers=keyed("k"))
    call("POST", CUSTOMERS, "id=cus_later")

    second = call("POST", f"{CUSTOMERS}/cus_later", "name=Ada", headers=keyed("k"))

    assert first.status == second.status == 404
    assert second.headers["Idempotent-Replayed"] == "true"


def test_a_key_is_free_again_after_a_day(call):
    """Stripe keeps them for at least that."""
    call("POST", CUSTOMERS, "name=Ada", headers=keyed("k"))
    call.now += 24 * 3600 + 1
    call("POST", CUSTOMERS)

    assert call("POST", CUSTOMERS, "name=Bob", headers=keyed("k")).body["name"] == "Bob"


def test_a_key_that_is_too_long_is_refused(call):
    """255 characters are Stripe's bound."""
    assert call("POST", CUSTOMERS, headers=keyed("k" * 255)).status == 200

    assert call("POST", CUSTOMERS, headers=keyed("k" * 256)).error["type"] == "idempotency_error"


def test_only_a_post_has_a_key(call):
    """The others are idempotent as they are."""
    answer = call("GET", CUSTOMERS, headers=keyed("k"))

    assert "Idempotency-Key" not in answer.headers


def test_a_failure_leaves_nothing_behind(call):
    """An expansion that is refused takes the customer it would have shown with it."""
    answer = call("POST", CUSTOMERS, "name=Ada&expand[]=nonsense")

    assert answer.status == 400
    assert call("GET", CUSTOMERS).body["data"] == []
    assert call.events() == []
