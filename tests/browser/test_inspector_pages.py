"""The inspector's pages in a real Chromium, as a person uses them."""

import re
from urllib.request import Request, urlopen

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from shown_captures import XSS, event, picture, shown

from hookloop.signing import stripe_signature_header


def add(served, *captured) -> None:
    served.store.add(captured, now=captured[-1].started_at)


def test_a_request_arrives_on_an_open_page_by_itself(page, inspector):
    """The empty page teaches; then it shows what comes, without a reload."""
    page.goto(inspector.url)
    expect(page.get_by_role("heading", name="Nothing has come through yet")).to_be_visible()
    expect(page.locator("#empty")).to_contain_text("https://shop.tun.test")
    expect(page.locator("#live")).to_have_text("live")

    add(inspector, shown(1, body=event(1)), shown(2, body=event(2), status=500))

    expect(page.locator("#rows tr")).to_have_count(2)
    expect(page.locator("#rows tr").first).to_contain_text("500")
    expect(page.locator("#rows tr").first).to_contain_text("invoice.paid")
    expect(page.locator("#rows tr").first).to_contain_text("evt_2")
    expect(page.locator("#empty")).to_have_count(0)


def test_search_finds_and_teaches_and_stays_live(page, inspector):
    """The box takes the query language; what does not match does not arrive."""
    add(inspector, shown(1, body=event(1)), shown(2, target=b"/health", body=b"{}", status=500))
    page.goto(inspector.url)
    page.keyboard.press("/")
    page.keyboard.type("type:invoice. status:2xx")
    page.keyboard.press("Enter")
    expect(page.locator("#rows tr")).to_have_count(1)
    expect(page.locator("#live")).to_have_text("live")

    add(inspector, shown(3, status=500, body=event(3)), shown(4, body=event(4)))
    expect(page.locator("#rows tr")).to_have_count(2)
    expect(page.locator("#rows")).not_to_contain_text("evt_3")

    page.locator("#q").fill("stauts:500")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("did you mean status:")


KINDS = {
    "json": (shown(1, body=b'{"a":{"b":[1]}}'), '"b": ['),
    "form": (
        shown(1, kind=b"application/x-www-form-urlencoded", body=b"name=J%C3%B6rg&x="),
        "Jörg",
    ),
    "multipart": (
        shown(
            1,
            kind=b"multipart/form-data; boundary=zz",
            body=b'--zz\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n'
            b"Content-Type: text/plain\r\n\r\nhello\r\n--zz--\r\n",
        ),
        "file (a.txt, text/plain)",
    ),
    "text": (shown(1, kind=b"text/plain", body="Grüße\nzwei".encode()), "Grüße"),
    "hex": (shown(1, kind=b"application/octet-stream", body=bytes(range(40))), "00000010  10 11"),
    "empty": (shown(1, method=b"GET"), "No body"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_body_is_shown_as_what_it_is(page, inspector, kind):
    """And its raw bytes and its hash with it."""
    captured, text = KINDS[kind]
    add(inspector, captured)

    page.goto(f"{inspector.url}/requests/{captured.id}")

    expect(page.locator("#request")).to_contain_text(f"{kind} ·")
    expect(page.locator("#request")).to_contain_text(text)
    if captured.request_body.data:
        expect(page.locator("#request")).to_contain_text(captured.request_body.digest.hex())
        with urlopen(f"{inspector.url}/requests/{captured.id}/request/body") as answer:
            assert answer.read() == captured.request_body.data
            assert answer.headers["Content-Disposition"].startswith("attachment")


def test_a_picture_is_drawn(page, inspector):
    """From its own bytes, by its own address."""
    captured = shown(1, method=b"GET", answer=picture(), answer_kind=b"image/png")
    add(inspector, captured)

    page.goto(f"{inspector.url}/requests/{captured.id}")

    drawn = page.locator("#answer img")
    expect(drawn).to_be_visible()
    assert drawn.evaluate("image => image.decode().then(() => image.naturalWidth)") == 24


def test_the_keyboard_opens_chooses_and_compares(page, inspector):
    """j and k move, x chooses, d compares, Enter opens."""
    add(inspector, shown(1, body=event(1)), shown(2, body=event(1, amount_due=9), status=500))
    page.goto(inspector.url)
    expect(page.locator("#live")).to_have_text("live")

    for key in "jxjxd":
        page.keyboard.press(key)

    expect(page.get_by_role("heading", name="Compare")).to_be_visible()
    row = page.get_by_role("row").filter(has_text="data.object.amount_due")
    expect(row).to_contain_text("4200")
    expect(row).to_contain_text("9")
    expect(page.get_by_role("row").filter(has_text="status")).to_contain_text("500")

    page.go_back()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("/webhooks/stripe")
    expect(page.get_by_role("heading", name="All attempts of evt_1")).to_be_visible()


def test_beside_a_refused_webhook_stands_why(page, inspector):
    """The doctor tries the secret that is known, and no page holds it."""
    body = event(1)
    first = shown(1)
    late = int(first.started_at) - 4000
    secret = inspector_secret()
    header = stripe_signature_header(body, [secret], signed_at=late).encode()
    captured = shown(2, body=body, status=400, headers=((b"Stripe-Signature", header),))
    add(inspector, captured)

    page.goto(f"{inspector.url}/requests/{captured.id}")

    expect(page.locator("#reading")).to_contain_text("proved")
    expect(page.locator("#reading")).to_contain_text(re.compile("old|ago|tolerance|clock"))
    assert secret not in page.content()


def inspector_secret() -> str:
    """Return the secret that the fixture's inspector knows."""
    return "whsec_browser-tests"


def test_what_strangers_send_is_nothing_but_text(page, inspector):
    """In every place of every page; `page` fails the test for any dialog or script error."""
    captured = []
    for number, text in enumerate(XSS, 1):
        raw = text.encode()
        body = event(number, text, note=text)
        captured += [
            shown(number * 10, target=b"/?" + raw, body=body, answer=raw, answer_kind=b"text/html"),
            shown(
                number * 10 + 1,
                method=raw,
                kind=raw.replace(b"\n", b""),
                headers=((raw, raw),),
                body=raw,
                status=None,
                failure=text,
                note=text,
                tunnel=text,
                remote=text,
            ),
            shown(number * 10 + 2, kind=b"image/svg+xml", body=raw, answer_kind=b"text/html"),
        ]
    page.goto(inspector.url)
    expect(page.locator("#live")).to_have_text("live")
    add(inspector, *captured)
    expect(page.locator("#rows tr")).to_have_count(len(captured))

    scripts = "document.querySelectorAll('script:not([src]), iframe, [onerror], [onload]').length"
    for address in (
        "/?q=" + "%22%3E%3Cscript%3Ealert(9)%3C/script%3E",
        *(f"/requests/{one.id}" for one in captured),
        f"/diff?a={captured[0].id}&b={captured[-1].id}",
    ):
        page.goto(inspector.url + address)
        assert page.evaluate(scripts) == 0
    page.goto(f"{inspector.url}/requests/{captured[0].id}")
    expect(page.locator("#answer pre").first).to_contain_text(XSS[0])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_kept_out(page, inspector, scheme):
    """axe finds nothing serious on any page, in either theme."""
    page.emulate_media(color_scheme=scheme)
    body = event(1)
    add(
        inspector,
        *(shown(n, body=body, status=status) for n, status in enumerate((200, 302, 404, 500), 1)),
        shown(9, body=body, status=None, failure="cannot reach localhost:3000"),
    )
    first, *_, last = (one.id for one in inspector.store.find().items)
    grave = {}

    for address in ("/", f"/requests/{first}", f"/diff?a={first}&b={last}", "/status", "/?q=x:y"):
        page.goto(inspector.url + address)
        found = Axe().run(page).response["violations"]
        grave |= {
            (address, one["id"]): [node["html"] for node in one["nodes"]][:3]
            for one in found
            if one["impact"] in {"serious", "critical"}
        }

    assert grave == {}


def test_a_phone_shows_it_without_scrolling_sideways(page, inspector):
    """Nothing is wider than the screen."""
    add(inspector, shown(1, body=event(1), target=b"/" + b"long" * 60))
    captured = inspector.store.find().items[0].id
    page.set_viewport_size({"width": 360, "height": 740})

    for address in ("/", f"/requests/{captured}", "/status"):
        page.goto(inspector.url + address)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, address


def test_forgetting_is_done_by_a_button_of_the_page_and_nobody_elses(page, inspector):
    """Another site's page that sends the same write is refused."""
    add(inspector, shown(1, body=event(1)))
    with pytest.raises(OSError, match="403"):
        urlopen(Request(f"{inspector.url}/requests", b"", {"Origin": "http://evil.test"}))
    page.goto(inspector.url)

    page.get_by_role("button", name="Forget all requests").click()

    expect(page.locator("#empty")).to_be_visible()
    assert inspector.store.count() == 0


def test_status_shows_tunnels_and_charts(page, inspector):
    """Numbers of the last minutes, and what was dropped."""
    add(inspector, shown(1, body=event(1)), shown(2, body=event(2), status=500))

    page.goto(f"{inspector.url}/status")

    expect(page.get_by_role("link", name="https://shop.tun.test")).to_be_visible()
    expect(page.get_by_role("img").first).to_have_accessible_name(re.compile("2 requests.*1 of"))
