"""Customers, payments, refunds and payouts in any order: no cent appears or is lost."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule
from sandbox_caller import Caller

CARDS = st.sampled_from(
    [
        "visa",
        "mastercard",
        "bypassPending",
        "chargeDeclined",
        "chargeCustomerFail",
        "createDispute",
        "createDisputeInquiry",
        "pendingRefund",
        "refundFail",
    ]
)
DECLINED = {"chargeDeclined", "chargeCustomerFail"}
AUTHORISED_SECONDS = 7 * 24 * 3600
AMOUNTS = st.integers(50, 5000)


class Money(RuleBasedStateMachine):
    """
    The sandbox beside a model of a few sums.

    What came in less what went out, as the model has it, is what the balance says, and what
    the balance transactions say one by one.
    """

    customers = Bundle("customers")
    intents = Bundle("intents")
    held = Bundle("held")
    payouts = Bundle("payouts")

    def __init__(self) -> None:
        super().__init__()
        self.call = Caller()
        self.received = self.returned = self.fees = self.disputed = self.paid_out = 0
        self.left: dict[str, int] = {}
        """Of each charge, what can still be refunded."""
        self.fails: set[str] = set()
        """Charges whose refunds fail later."""

    # What a shop does

    @rule(target=customers)
    def new_customer(self) -> str:
        return self.call("POST", "/v1/customers", "name=Ada").body["id"]

    @rule(target=intents, customer=customers, card=CARDS, amount=AMOUNTS)
    def pay(self, customer: str, card: str, amount: int) -> dict[str, Any]:
        answer = self._pay(customer, card, amount, "automatic")
        if card in DECLINED:
            assert answer.status == 402
            return answer.error["payment_intent"]
        assert answer.body["status"] == "succeeded"
        self._settle(answer.body["latest_charge"], card, amount)
        return answer.body

    @rule(target=held, customer=customers, amount=AMOUNTS)
    def authorise(self, customer: str, amount: int) -> dict[str, Any]:
        answer = self._pay(customer, "visa", amount, "manual")
        assert answer.body["status"] == "requires_capture"
        return answer.body

    @rule(target=intents, intent=consumes(held), share=st.integers(1, 100))
    def capture(self, intent: dict[str, Any], share: int) -> dict[str, Any]:
        amount = max(1, intent["amount"] * share // 100)
        path = f"/v1/payment_intents/{intent['id']}/capture"
        answer = self.call("POST", path, f"amount_to_capture={amount}")
        if self._has_run_out(intent):
            assert answer.error["code"] == "payment_intent_unexpected_state"
            return intent
        taken = answer.body
        assert (taken["status"], taken["amount_received"]) == ("succeeded", amount)
        self._settle(taken["latest_charge"], "visa", amount)
        return taken

    @rule(intent=consumes(held))
    def let_go(self, intent: dict[str, Any]) -> None:
        path = f"/v1/payment_intents/{intent['id']}/cancel"
        answer = self.call("POST", path)
        if self._has_run_out(intent):
            assert answer.error["payment_intent"]["status"] == "canceled"
        else:
            assert answer.body["status"] == "canceled"

    @rule(intent=intents, amount=AMOUNTS)
    def refund(self, intent: dict[str, Any], amount: int) -> None:
        charge = intent["latest_charge"]
        answer = self.call("POST", "/v1/refunds", f"charge={charge}&amount={amount}")
        if amount > self.left.get(charge, 0):
            assert answer.status == 400
            return
        assert answer.status == 200, answer.body
        if charge not in self.fails:
            self.left[charge] -= amount
            self.returned += amount
        else:
            self._wait(2)  # until it has failed, and the money is back

    @rule(target=payouts, amount=AMOUNTS)
    def pay_out(self, amount: int) -> dict[str, Any] | None:
        available = self._funds("available")
        answer = self.call("POST", "/v1/payouts", f"amount={amount}&currency=usd")
        if amount > available:
            assert answer.error["code"] == "balance_insufficient"
            return None
        self.paid_out += amount
        return answer.body

    @rule(payout=consumes(payouts))
    def take_back(self, payout: dict[str, Any] | None) -> None:
        if payout is None:
            return
        answer = self.call("POST", f"/v1/payouts/{payout['id']}/cancel")
        if answer.status == 200:
            self.paid_out -= payout["amount"]
        else:
            assert self.call("GET", f"/v1/payouts/{payout['id']}").body["status"] == "paid"

    @rule(seconds=st.sampled_from([1, 5, 3600, 4 * 24 * 3600]))
    def time_passes(self, seconds: int) -> None:
        self._wait(seconds)

    # What must hold

    @invariant()
    def money_is_conserved(self) -> None:
        self._wait(2)  # until every charge has reached the balance
        expected = self.received - self.fees - self.returned - self.disputed - self.paid_out
        assert self._funds("pending") + self._funds("available") == expected
        assert sum(one["net"] for one in self._transactions()) == expected

    @invariant()
    def what_is_pending_is_what_the_transactions_say(self) -> None:
        pending = [one["net"] for one in self._transactions() if one["status"] == "pending"]
        assert sum(pending) == self._funds("pending")

    @invariant()
    def no_charge_returns_more_than_it_took(self) -> None:
        for charge in self.call("GET", "/v1/charges", "limit=100").body["data"]:
            assert 0 <= charge["amount_refunded"] <= charge["amount"]
            assert charge["refunded"] == (charge["amount_refunded"] == charge["amount"])

    # How

    def _pay(self, customer: str, card: str, amount: int, capture: str) -> Any:
        return self.call(
            "POST",
            "/v1/payment_intents",
            f"amount={amount}&currency=usd&customer={customer}&confirm=true"
            f"&payment_method=pm_card_{card}&capture_method={capture}",
        )

    def _settle(self, charge: str, card: str, amount: int) -> None:
        self.received += amount
        self.fees += min(amount, round(amount * 0.029 + 1e-9) + 30)
        self.left[charge] = amount
        if card == "createDispute":
            self.disputed += amount + 1500
            self.left[charge] = 0
        if card == "createDisputeInquiry":
            self.left[charge] = 0
        if card == "refundFail":
            self.fails.add(charge)

    def _has_run_out(self, intent: dict[str, Any]) -> bool:
        """Say whether the bank has let go of what *intent* held."""
        return self.call.now >= intent["created"] + AUTHORISED_SECONDS

    def _wait(self, seconds: int) -> None:
        self.call.now += seconds
        self.call("GET", "/v1/balance")

    def _funds(self, where: str) -> int:
        balance = self.call("GET", "/v1/balance").body
        return next(one["amount"] for one in balance[where] if one["currency"] == "usd")

    def _transactions(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = self.call("GET", "/v1/balance_transactions", f"limit=100{cursor}").body
            found += page["data"]
            if not page["has_more"]:
                return found
            cursor = f"&starting_after={found[-1]['id']}"


TestMoneyIsConserved = Money.TestCase
TestMoneyIsConserved.settings = settings(max_examples=12, stateful_step_count=20, deadline=None)
