"""Each way a signature comes not to fit, made as the real fault makes it."""

import base64
import gzip
import hashlib
import hmac
import json
from urllib.parse import quote

import pytest
from faults import BODY, EVENT, NOW, OTHER, SECRET, case, signature

from hookloop.doctor import Answer, Case, Certainty, Finding, diagnose


def first(broken: Case) -> Finding:
    """Return the finding that comes first, which must be proved."""
    found = diagnose(broken)

    assert found, "a fault was not found"
    assert found[0].certainty is Certainty.PROVED, found[0]
    return found[0]


def as_stored_by_postgres(event: object) -> str:
    """jsonb forgets the order of keys: shorter ones first, then by their bytes."""
    if isinstance(event, dict):
        keys = sorted(event, key=lambda key: (len(key), key))
        return "{" + ", ".join(f'"{k}": {as_stored_by_postgres(event[k])}' for k in keys) + "}"
    return json.dumps(event)


def test_a_good_request_has_no_findings():
    """What Stripe sends, verified with its secret, in time."""
    assert diagnose(case()) == ()


@pytest.mark.parametrize(
    "rewritten",
    [
        json.dumps(EVENT),
        json.dumps(EVENT, separators=(",", ":")),
        json.dumps(EVENT, separators=(",", ":"), ensure_ascii=False),
        json.dumps(EVENT, indent=2),
        json.dumps(EVENT, indent=4, ensure_ascii=False),
        json.dumps(EVENT, sort_keys=True),
        json.dumps(EVENT).replace("/", "\\/"),
        json.dumps(EVENT).replace("<", "\\u003c").replace("&", "\\u0026"),
        as_stored_by_postgres(EVENT),
    ],
    ids=["python", "js", "utf8", "ascii", "four", "sorted", "php", "go", "jsonb"],
)
def test_a_body_parsed_and_written_anew_is_named(rewritten: str):
    """json.dumps(json.loads(body)) and its kin, whatever language did it."""
    assert first(case(rewritten.encode())).code == "body_reserialised"


def test_what_was_signed_is_described():
    """The finding says how the signed text was laid out, so that the culprit can be told."""
    finding = first(case(json.dumps(EVENT).encode()))

    assert "two-space indents, UTF-8 as it is" in finding.what


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (BODY + b"\n", "body_newline"),
        (BODY + b"\r\n", "body_newline"),
        (BODY.replace(b"\n", b"\r\n"), "body_crlf"),
        (base64.b64encode(BODY), "body_base64"),
        (base64.encodebytes(BODY), "body_base64"),
        (base64.urlsafe_b64encode(BODY), "body_base64"),
        (b"\xef\xbb\xbf" + BODY, "body_recoded"),
        (BODY.decode("latin-1").encode(), "body_recoded"),
        (BODY.decode().encode("latin-1"), "body_recoded"),
        (BODY.decode("cp1252").encode(), "body_recoded"),
        (BODY.decode().encode("utf-16"), "body_recoded"),
        (gzip.compress(BODY), "body_gzip"),
        (json.dumps(BODY.decode()).encode(), "body_quoted"),
        (str(BODY).encode(), "body_quoted"),
        (quote(BODY).encode(), "body_form"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_body_changed_on_the_way_is_named(body: bytes, code: str):
    """The body is made as the faulty hop makes it; only undoing that fits the HMAC."""
    assert first(case(body)).code == code


def test_a_lost_newline_is_named():
    """A sender whose body ends with one, and a hop that strips."""
    sent = BODY + b"\n"

    assert first(case(sent.strip(), signature(sent))).code == "body_newline"


def test_line_ends_turned_into_lf_are_named():
    """Text mode on Windows, the other way round."""
    sent = BODY.replace(b"\n", b"\r\n")

    assert first(case(BODY, signature(sent))).code == "body_crlf"


def test_bytes_after_the_announced_body_are_named():
    """Something appended to the body behind the sender's back."""
    length = ("Content-Length", str(len(BODY)))

    assert first(case(BODY + b"--more", headers=(length,))).code == "body_surplus"


def test_an_empty_body_that_was_announced_was_consumed():
    """A middleware that reads the stream leaves nothing, and the header tells."""
    length = ("content-length", str(len(BODY)))

    assert first(case(b"", headers=(length,))).code == "body_consumed"


def test_a_body_shorter_than_announced_was_cut():
    """A proxy's limit cuts without a word."""
    length = ("content-length", str(len(BODY)))

    assert first(case(BODY[:100], headers=(length,))).code == "body_truncated"


def test_a_body_cut_in_the_middle_is_likely_even_where_nothing_announced_it():
    """A chunked request has no length; its JSON still ends too early."""
    finding = diagnose(case(BODY[:100]))[0]

    assert (finding.code, finding.certainty) == ("body_truncated", Certainty.LIKELY)


def test_the_secret_that_signed_is_named_by_its_label():
    """The classic: the app has the dashboard's secret, `stripe listen` signs with its own."""
    finding = first(
        case(
            BODY,
            signature(BODY, OTHER),
            secrets={"dashboard": SECRET, "listen": OTHER},
            used=frozenset({"dashboard"}),
        )
    )

    assert finding.code == "other_secret"
    assert "'listen'" in finding.what
    assert "'dashboard'" in finding.what


@pytest.mark.parametrize(
    ("configured", "code"),
    [
        (SECRET + "\n", "secret_whitespace"),
        (" " + SECRET, "secret_whitespace"),
        (SECRET + "\\n", "secret_whitespace"),
        (SECRET + "\u200b", "secret_whitespace"),
        (f'"{SECRET}"', "secret_quotes"),
        (f"'{SECRET}'\n", "secret_quotes"),
        (SECRET.removeprefix("whsec_"), "secret_prefix"),
        (f"whsec_{SECRET}", "secret_prefix"),
        (base64.b64encode(SECRET.encode()).decode(), "secret_base64"),
        (base64.b64encode(SECRET.encode() + b"\n").decode(), "secret_base64"),
    ],
)
def test_a_mistyped_secret_is_named(configured: str, code: str):
    """The right secret, as .env files, shells and Kubernetes leave it."""
    assert first(case(secrets={"live": configured})).code == code


def test_a_sender_that_decodes_the_secret_is_named():
    """Standard Webhooks decodes what follows whsec_; Stripe does not."""
    secret = "whsec_" + base64.b64encode(b"a key of twenty-four byt").decode()
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{NOW}.".encode() + BODY, hashlib.sha256).hexdigest()

    finding = first(case(BODY, f"t={NOW},v1={digest}", secrets={"live": secret}))

    assert finding.code == "secret_base64"


@pytest.mark.parametrize("kind", ["sk_test_", "rk_live_", "pk_test_", "we_", "acct_"])
def test_what_is_no_signing_secret_is_named(kind: str):
    """API keys and ids stand beside the secret in the dashboard."""
    assert first(case(secrets={"live": kind + "1Q2w3E4r5T"})).code == "secret_wrong_kind"


def test_a_mistyped_secret_and_a_changed_body_are_both_named():
    """Two faults at once hide each other from everyone who looks for one."""
    found = diagnose(case(json.dumps(EVENT).encode(), secrets={"live": SECRET + "\n"}))

    assert [finding.code for finding in found[:2]] == ["body_reserialised", "secret_whitespace"]
    assert all(finding.certainty is Certainty.PROVED for finding in found[:2])


@pytest.mark.parametrize(("seconds", "code"), [(3600, "too_old"), (-3600, "too_new")])
def test_the_age_is_told_in_seconds(seconds: int, code: str):
    """A clock that is wrong, or a replay: the number tells which."""
    finding = first(case(now=float(NOW + seconds)))

    assert finding.code == code
    assert "3600 s" in finding.what


def test_the_age_of_a_saved_request_is_only_likely_at_fault():
    """Who looks at a file an hour later has not found a wrong clock."""
    finding = diagnose(case(now=NOW + 3600.0, is_now_known=False))[0]

    assert (finding.code, finding.certainty) == ("too_old", Certainty.LIKELY)


@pytest.mark.parametrize(
    "mangle",
    [
        lambda text: text.replace(",", ", "),
        lambda text: text.upper(),
        lambda text: f'"{text}"',
        lambda text: text.replace(",", ";"),
        lambda text: text.replace(",", "%2C").replace("=", "%3D"),
        lambda text: text.replace("=", " = "),
        lambda text: f"{text},t={NOW - 60},v1={'0' * 64}",
        lambda text: text[:-10],
    ],
    ids=["spaces", "upper", "quotes", "semicolons", "percent", "around", "joined", "cut"],
)
def test_a_header_changed_by_a_proxy_is_named(mangle):
    """Stripe's own libraries refuse each of these."""
    assert first(case(BODY, mangle(signature()))).code == "header_mangled"


def test_a_header_that_came_twice_is_named():
    """Some proxies repeat what they forward, and keep the old one."""
    old = ("stripe-signature", signature(BODY, SECRET, signed_at=NOW - 60))

    assert first(case(headers=(old,))).code == "header_mangled"


@pytest.mark.parametrize("name", ["HTTP_STRIPE_SIGNATURE", "X-Original-Stripe-Signature"])
def test_a_header_of_another_name_is_named(name: str):
    """The value is right and nobody looks there."""
    renamed = Case(body=BODY, headers=((name, signature()),), secrets={"live": SECRET}, now=NOW)

    assert first(renamed).code == "header_renamed"


def test_a_missing_header_is_named():
    """A request that is not Stripe's, or a proxy that drops what it does not know."""
    bare = Case(body=BODY, headers=(), secrets={"live": SECRET}, now=NOW)

    assert first(bare).code == "signature_missing"


def test_a_header_without_v1_is_of_another_scheme():
    """v0 counts for nobody."""
    digest = signature().partition("v1=")[2]

    assert first(case(BODY, f"t={NOW},v0={digest}")).code == "wrong_scheme"


def test_a_webhook_of_another_sender_is_named_and_proved():
    """Standard Webhooks: other headers, another base string, a decoded key."""
    secret = "whsec_" + base64.b64encode(b"k" * 24).decode()
    signed = f"msg_1.{NOW}.".encode() + BODY
    digest = base64.b64encode(hmac.digest(b"k" * 24, signed, hashlib.sha256)).decode()
    headers = (
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", str(NOW)),
        ("webhook-signature", f"v1,{digest}"),
    )

    finding = first(Case(body=BODY, headers=headers, secrets={"svix": secret}, now=NOW))

    assert finding.code == "other_provider"
    assert "Standard Webhooks" in finding.what


@pytest.mark.parametrize("sender", ["GitHub", "Shopify", "Slack"])
def test_other_senders_are_told_by_their_headers(sender: str):
    """Each signs in its own way, and each is recomputed."""
    key = SECRET.encode()
    plain = hmac.digest(key, BODY, hashlib.sha256)
    slack = hmac.digest(key, f"v0:{NOW}:".encode() + BODY, hashlib.sha256)
    headers = {
        "GitHub": (("X-Hub-Signature-256", f"sha256={plain.hex()}"),),
        "Shopify": (("X-Shopify-Hmac-SHA256", base64.b64encode(plain).decode()),),
        "Slack": (
            ("X-Slack-Request-Timestamp", str(NOW)),
            ("X-Slack-Signature", f"v0={slack.hex()}"),
        ),
    }[sender]

    finding = first(Case(body=BODY, headers=headers, secrets={"theirs": SECRET}, now=NOW))

    assert finding.code == "other_provider"
    assert sender in finding.what


def test_no_known_secret_is_said_last_and_as_likely():
    """Where nothing fits nothing is claimed."""
    finding = diagnose(case(BODY, signature(BODY, OTHER)))[0]

    assert (finding.code, finding.certainty) == ("unknown_secret", Certainty.LIKELY)


def test_no_secret_at_all_is_named():
    """An environment variable that is not set in that process."""
    assert first(case(secrets={})).code == "no_secret"


def test_a_method_other_than_post_is_named():
    """A client that followed a 301 turns POST into GET."""
    assert first(case(method="GET")).code == "method"


def test_a_good_request_that_is_refused_points_behind_the_capture():
    """Saved before the app, it is right: the app changes the body or has another secret."""
    finding = diagnose(case(answer=Answer(400, (), '{"error": "Invalid signature"}')))[0]

    assert (finding.code, finding.certainty) == ("refused_though_good", Certainty.LIKELY)


@pytest.mark.parametrize("header", ["t=1,v1=abc", "v1=0", f"t=now,v1={'0' * 64}", "v1" * 5000])
def test_a_header_that_cannot_be_read_is_named(header: str):
    """No secret is blamed for it."""
    assert [one.code for one in diagnose(case(BODY, header))] == ["header_mangled"]


def test_a_very_large_body_is_read_as_it_is():
    """Undoing changes has its limit; verifying has not."""
    large = json.dumps({**EVENT, "padding": "x" * 2_000_000}, indent=2).encode()

    assert diagnose(case(large, signature(large))) == ()
    assert diagnose(case(large + b"\n", signature(large)))[-1].code == "unknown_secret"


def test_a_large_body_is_not_written_anew():
    """Up to here single changes are undone; JSON of this size costs too much to rewrite."""
    large = json.dumps({**EVENT, "padding": "x" * 600_000}, indent=2).encode()

    assert first(case(large + b"\n", signature(large))).code == "body_newline"


def test_a_body_of_lost_characters_is_likely_decoded_too_early():
    """decode(errors='replace') cannot be undone, and leaves its mark."""
    found = diagnose(case(BODY.decode("ascii", "replace").encode()))

    assert (found[0].code, found[0].certainty) == ("body_recoded", Certainty.LIKELY)


def test_json_that_stripe_would_not_write_is_likely_rewritten():
    """Where numbers were changed too, no HMAC can fit any more."""
    changed = json.dumps({**EVENT, "created": 1.0}).encode()

    found = diagnose(case(changed))

    assert (found[0].code, found[0].certainty) == ("body_reserialised", Certainty.LIKELY)
