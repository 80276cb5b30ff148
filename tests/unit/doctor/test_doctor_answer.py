"""What an app's answer gives away."""

import pytest
from faults import case

from hookloop.doctor import Answer, Certainty, diagnose

URL = "https://shop.example/webhooks/stripe"


def first(answer: Answer, url: str = URL) -> tuple[str, str]:
    """Return code and certainty of the first finding about a good request so answered."""
    finding = diagnose(case(url=url, answer=answer))[0]
    return finding.code, finding.certainty.name


def redirect(location: str, status: int = 301) -> Answer:
    return Answer(status, (("Location", location),))


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("location", [f"{URL}/", "/webhooks/stripe/", "/webhooks/stripe/?a=b"])
def test_a_redirect_to_the_other_slash_form_is_proved(status: int, location: str):
    """Whatever the status, and whether the address is whole or not."""
    assert first(redirect(location, status)) == ("slash_redirect", "PROVED")


def test_a_slash_too_many_is_told_by_the_fix():
    """The path to register is in the sentence."""
    finding = diagnose(case(url=f"{URL}/", answer=redirect(URL)))[0]

    assert finding.code == "slash_redirect"
    assert finding.next_step.startswith("register /webhooks/stripe at Stripe")


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/login?next=/webhooks/stripe", ("login_redirect", "PROVED")),
        ("/hello?next=%2Fwebhooks%2Fstripe", ("login_redirect", "PROVED")),
        ("https://sso.example/oauth2/start?rd=x", ("login_redirect", "LIKELY")),
        ("https://www.shop.example/webhooks/stripe", ("host_redirect", "PROVED")),
        ("/", ("redirect", "PROVED")),
        ("", ("redirect", "PROVED")),
        ("http://[broken", ("redirect", "PROVED")),
    ],
)
def test_where_a_redirect_leads_tells_what_is_wrong(location: str, expected: tuple[str, str]):
    """A login, another host, or anywhere."""
    assert first(redirect(location)) == expected


def test_a_redirect_to_https_is_told_from_one_to_another_host():
    """Only the scheme differs."""
    assert first(redirect(URL), URL.replace("https", "http")) == ("https_redirect", "PROVED")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ((("Host", "shop.example"),), "https_redirect"),
        ((("Host", "shop.example"), ("X-Forwarded-Proto", "gopher")), "https_redirect"),
        ((("Host", "old.example"),), "host_redirect"),
        ((), "redirect"),
    ],
)
def test_a_saved_request_is_placed_by_its_host(headers, code: str):
    """The request line has only a path; the Host header says where it was sent."""
    found = diagnose(case(url="/webhooks/stripe", headers=headers, answer=redirect(URL)))

    assert found[0].code == code


def test_a_slash_redirect_to_another_origin_names_all_of_it():
    """Registering the path alone would meet the next redirect."""
    answer = redirect("https://www.shop.example/webhooks/stripe/")

    finding = diagnose(case(url=URL, answer=answer))[0]

    assert finding.code == "slash_redirect"
    assert finding.next_step.startswith("register https://www.shop.example/webhooks/stripe/ at")


@pytest.mark.parametrize("query", ["&".join(["a=b"] * 60), "next=http://[x"])
def test_a_query_that_cannot_be_read_tells_nothing(query: str):
    """It is somebody else's to write."""
    assert first(redirect(f"/hello?{query}")) == ("redirect", "PROVED")


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (403, "<h1>Forbidden</h1><p>CSRF verification failed. Request aborted.</p>", "csrf"),
        (400, "<h1>Bad Request</h1><p>The CSRF token is missing.</p>", "csrf"),
        (419, "<title>Page Expired</title>", "csrf"),
        (422, "ActionController::InvalidAuthenticityToken", "csrf"),
        (400, "Invalid HTTP_HOST header: 'x.ngrok.app'", "host_not_allowed"),
        (403, "Blocked request. Blocked host: x", "host_not_allowed"),
        (503, "<title>Just a moment...</title>", "bot_protection"),
        (500, "<title>RawPostDataException at /webhooks</title>", "body_consumed"),
        (500, '{"outcome": "raw_body_unavailable"}', "body_consumed"),
        (500, '{"outcome": "no_secret"}', "app_has_no_secret"),
        (500, '{"outcome": "failed"}', "app_error"),
        (500, "<title>KeyError at /webhooks/stripe</title>", "app_error"),
        (500, "Internal Server Error", "app_error"),
        (404, '{"detail":"Not Found"}', "wrong_path"),
        (410, "", "wrong_path"),
        (405, "Method Not Allowed", "method_not_allowed"),
        (413, "", "body_too_large"),
        (415, "", "media_type"),
        (502, "<h1>Bad Gateway</h1>", "gateway"),
    ],
)
def test_a_failure_is_told_by_status_and_page(status: int, body: str, code: str):
    """The words of frameworks and proxies, as they send them."""
    assert first(Answer(status, (), body)) == (code, "PROVED")


@pytest.mark.parametrize(
    ("status", "code"), [(401, "auth_required"), (403, "forbidden"), (422, "validation")]
)
def test_a_bare_refusal_is_only_likely_what_it_seems(status: int, code: str):
    """An app of one's own may mean anything by them."""
    assert first(Answer(status)) == (code, "LIKELY")


def test_a_good_answer_has_no_findings():
    """200 to a rightly signed request."""
    assert diagnose(case(answer=Answer(200, (("content-type", "application/json"),), "{}"))) == ()


def test_no_answer_is_a_finding():
    """A timeout counts as a failure."""
    assert first(Answer(None, error="nothing within 10 s")) == ("unreachable", "PROVED")


def test_the_name_of_an_exception_is_told_and_its_message_is_not():
    """A debug page quotes values; only the type leaves it."""
    page = "<title>KeyError at /webhooks</title><pre>whsec_4fZq0d1HkcS9vJx7</pre>"

    finding = diagnose(case(answer=Answer(500, (), page)))[0]

    assert "KeyError" in finding.what
    assert "whsec_" not in finding.what


def test_a_broken_body_comes_before_what_the_app_made_of_it():
    """The cause stands first where it is proved; a 400 is its consequence."""
    found = diagnose(case(case().body + b"\n", answer=Answer(400)))

    assert [finding.code for finding in found] == ["body_newline"]
    assert found[0].certainty is Certainty.PROVED
