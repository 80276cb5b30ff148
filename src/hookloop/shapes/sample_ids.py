"""Ids that look like Stripe's: the prefix of each kind of object, and letters from a seed."""

from hookloop.ids import RandomSource, new_id

__all__ = ["name_by_id", "sample_id"]

_PREFIXES = {
    "account": "acct_",
    "apple_pay_domain": "apwc_",
    "application": "ca_",
    "application_fee": "fee_",
    "apps.install": "appinst_",
    "balance_transaction": "txn_",
    "bank_account": "ba_",
    "billing.alert": "alrt_",
    "billing.credit_balance_transaction": "cbtxn_",
    "billing.credit_grant": "credgr_",
    "billing.meter": "mtr_",
    "billing_portal.configuration": "bpc_",
    "billing_portal.session": "bps_",
    "card": "card_",
    "charge": "ch_",
    "checkout.session": "cs_test_",
    "climate.order": "climorder_",
    "climate.product": "climsku_",
    "climate.supplier": "climsup_",
    "credit_note": "cn_",
    "credit_note_line_item": "cnli_",
    "customer": "cus_",
    "customer_balance_transaction": "cbtxn_",
    "customer_cash_balance_transaction": "ccsbtxn_",
    "discount": "di_",
    "dispute": "du_",
    "entitlements.active_entitlement": "ent_",
    "entitlements.feature": "feat_",
    "event": "evt_",
    "fee_refund": "fr_",
    "file": "file_",
    "file_link": "link_",
    "financial_connections.account": "fca_",
    "financial_connections.account_ownership": "fcaowns_",
    "financial_connections.authorization": "fcauth_",
    "identity.verification_report": "vr_",
    "identity.verification_session": "vs_",
    "invoice": "in_",
    "invoice_line_item": "il_",
    "invoice_payment": "inpay_",
    "invoiceitem": "ii_",
    "issuing.authorization": "iauth_",
    "issuing.card": "ic_",
    "issuing.cardholder": "ich_",
    "issuing.dispute": "idp_",
    "issuing.personalization_design": "ispd_",
    "issuing.physical_bundle": "ispb_",
    "issuing.token": "intok_",
    "issuing.transaction": "ipi_",
    "item": "li_",
    "line_item": "il_",
    "mandate": "mandate_",
    "payment_intent": "pi_",
    "payment_link": "plink_",
    "payment_method": "pm_",
    "payment_record": "pr_",
    "payout": "po_",
    "person": "person_",
    "price": "price_",
    "product": "prod_",
    "promotion_code": "promo_",
    "quote": "qt_",
    "radar.early_fraud_warning": "issfr_",
    "refund": "re_",
    "reporting.report_run": "frr_",
    "request": "req_",
    "review": "prv_",
    "scheduled_query_run": "sqr_",
    "setup_attempt": "setatt_",
    "setup_intent": "seti_",
    "shipping_rate": "shr_",
    "source": "src_",
    "subscription": "sub_",
    "subscription_item": "si_",
    "subscription_schedule": "sub_sched_",
    "tax_id": "txi_",
    "tax_rate": "txr_",
    "terminal.location": "tml_",
    "terminal.reader": "tmr_",
    "test_helpers.test_clock": "clock_",
    "topup": "tu_",
    "transfer": "tr_",
    "transfer_reversal": "trr_",
    "treasury.credit_reversal": "credrev_",
    "treasury.debit_reversal": "debrev_",
    "treasury.financial_account": "fa_",
    "treasury.inbound_transfer": "ibt_",
    "treasury.outbound_payment": "obp_",
    "treasury.outbound_transfer": "obt_",
    "treasury.received_credit": "rc_",
    "treasury.received_debit": "rd_",
    "treasury.transaction": "trxn_",
    "webhook_endpoint": "we_",
}

_WHOLE = {
    # The account that owns the object chooses these, or Stripe has named them once for all.
    "capability": "card_payments",
    "plan": "gold",
    "reporting.report_type": "balance.summary.1",
    "tax_code": "txcd_10000000",
}

_COUPON_CHARS = 8  # as Stripe makes one up where the account gives none


def sample_id(name: str, random: RandomSource) -> str:
    """
    Return an id for an object that calls itself *name*, such as ``cus_...`` for ``customer``.

    What is not known, because Stripe has added it since, is prefixed with its own name.
    """
    if name in _WHOLE:
        return _WHOLE[name]
    if name == "coupon":
        return new_id("", random, length=_COUPON_CHARS)
    prefix = _PREFIXES.get(name)
    if prefix is None:
        prefix = name.rpartition(".")[2].lower() + "_"
    return new_id(prefix, random)


def name_by_id(id_: str) -> str | None:
    """Return what an object with an id like *id_* calls itself; None where no prefix tells."""
    prefix = id_[: id_.rfind("_") + 1]
    return _NAMES.get(prefix)


_NAMES = {prefix: name for name, prefix in reversed(_PREFIXES.items())}
