"""
The pages a customer of the sandbox's user sees: to pay on, and to prove who they are. Pure.

Plain HTML without a script; every form is answered by the call of the API that Stripe's
own pages make.
"""

from html import escape
from urllib.parse import urlencode

from .instruments import CARDS
from .store import Json

__all__ = [
    "HEADERS",
    "authentication_page",
    "card_form",
    "checkout_page",
    "message_page",
    "return_url",
]

HEADERS = (
    ("Content-Type", "text/html; charset=utf-8"),
    ("Cache-Control", "no-store"),
    ("Referrer-Policy", "no-referrer"),
    (
        "Content-Security-Policy",
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    ),
)

_SUGGESTED = (
    "visa",
    "mastercard",
    "chargeDeclined",
    "chargeDeclinedInsufficientFunds",
    "authenticationRequired",
    "createDispute",
)

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:0;background:#f6f7f9;color:#1a1f36}
main{max-width:26rem;margin:4rem auto;padding:2rem;background:#fff;border:1px solid #e3e8ee;
border-radius:.5rem}
h1{font-size:1.25rem;margin:0 0 1rem}label{display:block;margin:.75rem 0 .25rem}
input,select{width:100%;box-sizing:border-box;padding:.5rem;font:inherit;border:1px solid #c1c9d2;
border-radius:.25rem}
button{width:100%;margin-top:1rem;padding:.6rem;font:inherit;border:0;border-radius:.25rem;
background:#0a5;color:#fff;cursor:pointer}button.no{background:#667}
table{width:100%;border-collapse:collapse}td{padding:.25rem 0}td:last-child{text-align:right}
.total{font-weight:600;border-top:1px solid #e3e8ee}.error{color:#b00020}
.note{color:#667;font-size:.85rem}
"""


def checkout_page(session: Json, items: list[Json], *, error: str | None = None) -> str:
    """Return the page to pay *session* on, or to keep a card with."""
    rows = "".join(
        f"<tr><td>{escape(item['description'] or '')} &times; {item['quantity']}</td>"
        f"<td>{_money(item['amount_total'], item['currency'])}</td></tr>"
        for item in items
    )
    verb = "Save card"
    if session["mode"] == "payment":
        total = _money(session["amount_total"], session["currency"])
        rows += f'<tr class="total"><td>Total</td><td>{total}</td></tr>'
        verb = f"Pay {total}"
    email = (session["customer_details"] or {}).get("email") or ""
    cards = "".join(f'<option value="{CARDS[name].number}">{name}</option>' for name in _SUGGESTED)
    return _page(
        "Checkout",
        f"""<h1>Checkout</h1><table>{rows}</table>{_error(error)}
<form method="post">
<label for="email">Email</label>
<input id="email" name="email" type="email" value="{escape(email)}" required>
<label for="number">Card number</label>
<input id="number" name="number" list="cards" value="4242424242424242" required
inputmode="numeric" autocomplete="off"><datalist id="cards">{cards}</datalist>
<label for="name">Name on card</label>
<input id="name" name="name" value="Jenny Rosen" autocomplete="off">
<button>{verb}</button></form>
<p class="note">A page of hookloop's sandbox: no card is charged. Use test cards only.</p>""",
    )


def authentication_page(intent: Json) -> str:
    """Return the page on which a card's holder proves who they are, or fails to."""
    amount = ""
    if intent["object"] == "payment_intent":
        amount = f" a payment of {_money(intent['amount'], intent['currency'])}"
    return _page(
        "3-D Secure",
        f"""<h1>3-D Secure test page</h1><p>The bank asks whether you authorise{amount}.</p>
<form method="post"><button name="outcome" value="succeeded">Complete</button>
<button class="no" name="outcome" value="failed">Fail</button></form>""",
    )


def message_page(title: str, text: str) -> str:
    """Return a page that only says something."""
    return _page(title, f"<h1>{escape(title)}</h1><p>{escape(text)}</p>")


def card_form(form: dict[str, str], session: Json, *, year: int) -> str:
    """Return what the checkout page's *form* is to the API: a card, and who holds it."""
    data = "payment_method_data"
    params = {
        f"{data}[type]": "card",
        f"{data}[card][number]": form.get("number", ""),
        f"{data}[card][exp_month]": "12",
        f"{data}[card][exp_year]": str(year + 3),
        f"{data}[billing_details][email]": form.get("email", ""),
        f"{data}[billing_details][name]": form.get("name", ""),
    }
    if session["mode"] == "payment":
        params["expected_amount"] = str(session["amount_total"])
    return urlencode({name: value for name, value in params.items() if value})


def return_url(session: Json) -> str | None:
    """Return where the customer goes once *session* is paid."""
    url: str | None = session["success_url"] or session["return_url"]
    return url and url.replace("{CHECKOUT_SESSION_ID}", session["id"])


def _money(amount: int, currency: str) -> str:
    return f"{amount / 100:,.2f} {escape(currency.upper())}"


def _error(error: str | None) -> str:
    return f'<p class="error" role="alert">{escape(error)}</p>' if error else ""


def _page(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width">'
        f"<style>{_STYLE}</style><main>{body}</main></html>"
    )
