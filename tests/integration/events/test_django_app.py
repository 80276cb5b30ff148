"""What the Django app adds: checks, signals, exemptions; and both servers."""

import gc

import pytest
from django.core.checks import run_checks
from django.test import RequestFactory, override_settings
from faces import PATH, HashableNamespace

from hookloop import Hooks
from hookloop.events.django import signals
from hookloop.events.django.checks import check_handlers
from hookloop.testing import make, sign

SECRET = "whsec_x"


@pytest.fixture
def hooks() -> Hooks:
    gc.collect()  # the views of other tests are known until they are gone
    return Hooks(SECRET)


def post(view, event, secret: str = SECRET):
    request = sign(event, secret)
    headers = {f"HTTP_{n.upper().replace('-', '_')}": v for n, v in request.headers}
    return view(
        RequestFactory().post(PATH, request.body, content_type="application/json", **headers)
    )


def warned() -> list[str]:
    return [message.id for message in check_handlers()]


def test_hooks_without_a_handler_are_warned_of(hooks: Hooks):
    """Every event would be ignored, with a 200."""
    view = hooks.django_view()
    assert "hookloop.W001" in warned()

    hooks.on_any(lambda event: None)

    assert "hookloop.W001" not in warned()
    assert view is not None


def test_the_warning_names_the_module_to_write(hooks: Hooks):
    """And says that it must import the same Hooks."""
    view = hooks.django_view()

    (message,) = [m for m in run_checks(tags=["hookloop"]) if m.id == "hookloop.W001"]

    assert view is not None
    assert "stripe_events.py" in message.hint


def test_the_urlconf_is_read_before_hooks_are_counted(hooks: Hooks):
    """Views are made there."""
    urlconf = HashableNamespace(urlpatterns=hooks.django_urls(PATH))

    with override_settings(ROOT_URLCONF=urlconf):
        assert "hookloop.W001" in warned()


@pytest.mark.parametrize(("limit", "is_warned"), [(1000, True), (None, False), (2_621_440, False)])
def test_a_small_upload_limit_is_warned_of(hooks: Hooks, limit, is_warned):
    """Django would answer 400 by itself."""
    with override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=limit):
        assert ("hookloop.W002" in warned()) is is_warned


def test_a_body_over_django_s_own_limit_is_413(hooks: Hooks):
    """And not its 400."""
    with override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=10):
        assert post(hooks.django_view(), make("invoice.paid")).status_code == 413


def test_the_view_is_exempt_from_what_no_sender_can_pass(hooks: Hooks):
    """CSRF, login, and one transaction around all handlers."""
    view = hooks.django_view()

    assert view.csrf_exempt
    assert view.login_required is False
    assert "any database" in view._non_atomic_requests


def test_one_route_answers_with_and_without_its_slash(hooks: Hooks):
    """However it was written."""
    for route in ("webhooks/stripe", "webhooks/stripe/", "/webhooks/stripe"):
        patterns = [str(pattern.pattern) for pattern in hooks.django_urls(route)]
        assert patterns == ["webhooks/stripe", "webhooks/stripe/"]


class Heard:
    def __init__(self) -> None:
        self.signals: list[tuple] = []

    def listener(self, name: str):
        def receive(sender, event, result, **more) -> None:
            self.signals.append(
                (name, event and event.type, result and result.outcome, more.get("reason"))
            )

        return receive


@pytest.fixture
def heard(hooks: Hooks):
    heard, kept = Heard(), []
    names = ("event_received", "event_handled", "event_failed", "event_refused")
    for name in names:
        kept.append(heard.listener(name))
        getattr(signals, name).connect(kept[-1], sender=hooks)
    yield heard
    for name, receive in zip(names, kept, strict=True):
        getattr(signals, name).disconnect(receive, sender=hooks)


def test_signals_tell_of_what_arrives(hooks: Hooks, heard: Heard):
    """For those who know them from dj-stripe."""
    hooks.on("invoice.paid")(lambda event: None)
    hooks.on("charge.failed")(lambda event: 1 / 0)
    view = hooks.django_view()

    post(view, make("invoice.paid"))
    post(view, make("charge.failed"))
    post(view, make("charge.failed"), secret="whsec_other")

    assert heard.signals == [
        ("event_received", "invoice.paid", None, None),
        ("event_handled", "invoice.paid", "handled", None),
        ("event_received", "charge.failed", None, None),
        ("event_failed", "charge.failed", "handler_failed", None),
        ("event_refused", None, "invalid_signature", "mismatch"),
    ]


def test_a_second_view_of_the_same_hooks_tells_nothing_twice(hooks: Hooks, heard: Heard):
    """As two routes to one Hooks have."""
    hooks.on_any(lambda event: None)
    hooks.django_view()

    post(hooks.django_view(), make("invoice.paid"))

    assert len(heard.signals) == 2


def test_a_signal_s_receiver_that_raises_costs_no_event(hooks: Hooks):
    """It is somebody else's code."""

    def receive(**_):
        raise RuntimeError

    hooks.on_any(lambda event: None)
    signals.event_received.connect(receive, sender=hooks)
    try:
        assert post(hooks.django_view(), make("invoice.paid")).status_code == 200
    finally:
        signals.event_received.disconnect(receive, sender=hooks)
