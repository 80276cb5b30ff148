"""Secrets: several, labelled, per tenant; which one was needed; and that none is ever shown."""

import pytest

from hookloop import ConfigError, Hooks
from hookloop.testing import ManualClock, make, send, sign

NOW = 1_750_000_000


def received(hooks: Hooks, secret, path: str = "/") -> int:
    return send(hooks, sign(make("charge.failed"), secret, signed_at=NOW), path=path).status


@pytest.mark.parametrize("secrets", ["", "  ", None, [], [None, ""], {}, {"live": ""}])
def test_no_secret_refuses_to_start(secrets):
    """Better at import than a 400 for every event."""
    with pytest.raises(ConfigError, match="needs a signing secret"):
        Hooks(secrets)  # None: os.environ.get() of what is not set


def test_an_api_key_is_told_from_a_secret():
    """The most common mix-up, without showing the key."""
    with pytest.raises(ConfigError, match="API key") as raised:
        Hooks("sk_live_abc")

    assert "sk_live" not in str(raised.value)


def test_a_secret_without_its_prefix_is_warned_of():
    """Cut off when it was copied, say; without showing it, and at the user's own line."""
    with pytest.warns(UserWarning, match="begin with whsec_") as warned:
        Hooks("c2VjcmV0")

    assert warned[0].filename == __file__
    assert "c2VjcmV0" not in str(warned[0].message)


def test_more_secrets_than_any_roll_needs_are_refused():
    """Each costs an HMAC on every forged request."""
    with pytest.raises(ConfigError, match="at most 16"):
        Hooks([f"whsec_{n}" for n in range(17)])


def test_the_whitespace_of_a_secret_s_file_is_dropped():
    """A trailing newline is invisible and fatal."""
    hooks = Hooks("  whsec_a\n", clock=ManualClock(NOW))

    assert received(hooks, "whsec_a") == 200


def test_any_of_several_secrets_will_do():
    """A variable that is not set may be among them."""
    hooks = Hooks(["whsec_a", None, "whsec_b"], clock=ManualClock(NOW))

    assert [received(hooks, s) for s in ("whsec_a", "whsec_b", "whsec_c")] == [200, 200, 400]


def test_the_label_of_the_secret_that_fits_is_known():
    """Which endpoint, which mode, which side of a roll."""
    hooks = Hooks({"new": "whsec_n", "old": "whsec_o"}, clock=ManualClock(NOW))
    labels = []
    hooks.on_any(lambda event: labels.append(event.secret_label))

    for secret in ("whsec_n", "whsec_o", ["whsec_o", "whsec_n"]):
        received(hooks, secret)

    assert labels == ["new", "old", "new"]


def test_an_old_secret_is_needed_only_where_the_new_one_does_not_fit():
    """So that one knows when it can go."""
    clock = ManualClock(NOW)
    hooks = Hooks({"new": "whsec_n", "old": "whsec_o"}, clock=clock)
    assert hooks.secrets_needed_at() == {"new": None, "old": None}

    received(hooks, "whsec_o")
    clock.advance(60)
    received(hooks, ["whsec_o", "whsec_n"])

    assert hooks.secrets_needed_at() == {"new": NOW + 60, "old": NOW}


def test_a_lookup_finds_the_secrets_of_a_tenant():
    """By the path of the request, which is an outsider's word until the signature fits."""
    tenants = {"/t/a": "whsec_a", "/t/b": ["whsec_b", "whsec_b2"]}
    hooks = Hooks(lambda request: tenants.get(request.path), clock=ManualClock(NOW))

    assert received(hooks, "whsec_a", "/t/a") == 200
    assert received(hooks, "whsec_b2", "/t/b") == 200
    assert received(hooks, "whsec_a", "/t/b") == 400
    assert received(hooks, "whsec_a", "/t/c") == 500


def test_a_lookup_that_raises_is_500():
    """The database is down: the event comes again."""
    hooks = Hooks(lambda request: 1 / 0)

    assert received(hooks, "whsec_a") == 500


def test_no_repr_shows_a_secret():
    """Of whatever holds one."""
    hooks = Hooks({"live": "whsec_hidden"})

    for thing in (hooks, hooks.keyring, hooks.asgi, hooks.wsgi):
        assert "hidden" not in repr(thing)
    assert "live" in repr(hooks.keyring)


@pytest.mark.parametrize("how", [{"tolerance": 0}, {"tolerance": -1}, {"body_bytes_max": 0}])
def test_settings_that_cannot_work_are_refused(how):
    """Said at import."""
    with pytest.raises(ConfigError):
        Hooks("whsec_a", **how)


def test_verify_is_one_of_two_words():
    """A typo must not turn verification off."""
    with pytest.raises(ConfigError, match="retrieve"):
        Hooks("whsec_a", verify="none")  # type: ignore[arg-type]  # the point
