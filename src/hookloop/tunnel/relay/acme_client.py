"""
Fetches certificates from an ACME authority (RFC 8555). Blocking: run it in a thread.

It stands on the `acme` library of the certbot project, which the extra
``hookloop[acme]`` installs.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import josepy.errors
import requests
from acme import challenges, client, crypto_util, errors, messages
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from josepy.jwa import ES256
from josepy.jwk import JWKEC
from josepy.util import ComparableECKey

from hookloop.clock import Clock
from hookloop.errors import RemoteError
from hookloop.tunnel.log_values import Values
from hookloop.version import __version__

from .acme_dns_hook import DnsHook
from .acme_settings import AcmeSettings
from .acme_store import AcmeStore

__all__ = ["AcmeClient", "AcmeError"]

logger = logging.getLogger("hookloop.relay")

REQUEST_SECONDS = 30  # of one request to the authority
PROOF_SECONDS = 120.0  # for the authority to look at all proofs, from several places
ISSUE_SECONDS = 120.0  # for the certificate, once the proofs were good
POLL_SECONDS = 1.0
NONCE_TRIES = 5


class AcmeError(RemoteError):
    """The authority, the proof or the DNS hook failed."""

    def __init__(self, message: str, *, is_rate_limited: bool = False) -> None:
        super().__init__(message)
        self.is_rate_limited = is_rate_limited


@dataclass(frozen=True, slots=True)
class _Proof:
    """One challenge, and how its answer is made visible."""

    challenge: messages.ChallengeBody
    response: challenges.KeyAuthorizationChallengeResponse
    token: str
    """Of http-01."""
    domain: str
    """Where the TXT record of dns-01 belongs."""
    value: str


class AcmeClient:
    """One authority and our account there."""

    def __init__(
        self,
        settings: AcmeSettings,
        store: AcmeStore,
        *,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._hook = DnsHook(settings.dns_hook) if settings.dns_hook is not None else None
        self._stopped = threading.Event()
        self._client: client.ClientV2 | None = None

    def stop(self) -> None:
        """Make `obtain` end soon, by an error, with its proofs taken away again."""
        self._stopped.set()

    def obtain(self, names: tuple[str, ...]) -> None:
        """Prove *names*, fetch their certificate and store it. Raises `AcmeError`."""
        with _translated(self._settings.directory_url):
            try:
                self._obtain(names)
            except messages.Error as error:
                if error.code != "accountDoesNotExist":
                    raise
                self._store.forget_account()
                self._client = None
                self._obtain(names)

    def _obtain(self, names: tuple[str, ...]) -> None:
        acme = self._client = self._client or self._connect()
        key_pem = _private_pem(ec.generate_private_key(ec.SECP256R1()))
        order = acme.new_order(crypto_util.make_csr(key_pem, list(names)))
        self._prove(acme, order)
        order = acme.finalize_order(order, self._deadline(ISSUE_SECONDS))
        self._store.save_certificate(names, key_pem=key_pem, chain_pem=order.fullchain_pem.encode())

    # --- the account --------------------------------------------------------------------------

    def _connect(self) -> client.ClientV2:
        key = self._account_key()
        network = _Network(
            key, alg=ES256, user_agent=f"hookloop/{__version__}", timeout=REQUEST_SECONDS
        )
        if self._settings.ca_file is not None:
            network.verify_ssl = str(self._settings.ca_file)  # type: ignore[assignment]  # requests takes a path too
        directory = client.ClientV2.get_directory(self._settings.directory_url, network)
        acme = client.ClientV2(directory, network)
        url = self._store.account_url()
        if url is None:
            self._register(acme)
        else:
            body = messages.Registration()
            network.account = messages.RegistrationResource(uri=url, body=body)
        return acme

    def _register(self, acme: client.ClientV2) -> None:
        wanted = messages.NewRegistration.from_data(
            email=self._settings.email, terms_of_service_agreed=True
        )
        try:
            url = acme.new_account(wanted).uri
        except errors.ConflictError as error:  # our key is known there, and this is its account
            url = error.location
            body = messages.Registration()
            acme.net.account = messages.RegistrationResource(uri=url, body=body)
        self._store.save_account_url(url)
        logger.info("acme account registered %s", Values(url=url))

    def _account_key(self) -> JWKEC:
        pem = self._store.account_key()
        if pem is None:
            pem = _private_pem(ec.generate_private_key(ec.SECP256R1()))
            self._store.save_account_key(pem)
        key = serialization.load_pem_private_key(pem, password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise AcmeError("the account's key is none of ours: it is of another kind")
        return JWKEC(key=ComparableECKey(key))

    # --- proofs -------------------------------------------------------------------------------

    def _prove(self, acme: client.ClientV2, order: messages.OrderResource) -> None:
        pending = [
            authorization
            for authorization in order.authorizations
            if authorization.body.status == messages.STATUS_PENDING
        ]
        proofs = [self._proof(acme, authorization) for authorization in pending]
        visible: list[_Proof] = []
        try:
            for proof in proofs:
                visible.append(proof)  # before: a hook that fails may have done half of it
                self._show(proof)
            if self._hook is not None and visible:
                self._wait(self._settings.dns_seconds)
            for proof in proofs:
                acme.answer_challenge(proof.challenge, proof.response)
            self._wait_for_verdicts(acme, pending)
        finally:
            for proof in visible:
                self._hide(proof)

    def _proof(
        self, acme: client.ClientV2, authorization: messages.AuthorizationResource
    ) -> _Proof:
        kind: type[challenges.KeyAuthorizationChallenge]
        kind = challenges.HTTP01 if self._hook is None else challenges.DNS01
        name = authorization.body.identifier.value
        for body in authorization.body.challenges:
            challenge = body.chall
            if isinstance(challenge, kind):
                response, value = challenge.response_and_validation(acme.net.key)
                token = challenge.encode("token")
                return _Proof(body, response, token, f"_acme-challenge.{name}", value)
        raise AcmeError(f"the authority does not offer {kind.typ} for {name}")

    def _show(self, proof: _Proof) -> None:
        if self._hook is not None:
            self._hook.add(proof.domain, proof.value)
        else:
            self._store.show_challenge(proof.token, proof.value)

    def _hide(self, proof: _Proof) -> None:
        if self._hook is None:
            self._store.hide_challenge(proof.token)
            return
        try:
            self._hook.remove(proof.domain, proof.value)
        except RemoteError as error:
            # The certificate is what matters; a record that stays does no harm.
            logger.warning("acme record left behind %s", Values(reason=error))

    def _wait_for_verdicts(
        self, acme: client.ClientV2, pending: list[messages.AuthorizationResource]
    ) -> None:
        until = self._clock.monotonic() + PROOF_SECONDS
        failed = []
        for authorization in pending:
            verdict, _ = acme.poll(authorization)
            while verdict.body.status in {messages.STATUS_PENDING, messages.STATUS_PROCESSING}:
                if self._clock.monotonic() > until:
                    name = authorization.body.identifier.value
                    raise AcmeError(f"no verdict on {name} within {PROOF_SECONDS:.0f} s")
                self._wait(POLL_SECONDS)
                verdict, _ = acme.poll(authorization)
            if verdict.body.status != messages.STATUS_VALID:
                failed.append(verdict)
        if failed:
            raise errors.ValidationError(failed)

    def _wait(self, seconds: float) -> None:
        if self._stopped.wait(seconds):
            raise AcmeError("the relay is shutting down")

    def _deadline(self, seconds: float) -> datetime:
        # Local and naive, since the library compares it with such a time of its own.
        now = datetime.fromtimestamp(self._clock.wall())  # noqa: DTZ006  # see above
        return now + timedelta(seconds=seconds)


class _Network(client.ClientNetwork):
    """
    One that bears more stale nonces: the library's own tries again but once.

    Behind a load balancer of the authority's, or after a pause, several in a row are stale.
    """

    def post(self, *args: Any, **kwargs: Any) -> requests.Response:
        for _ in range(NONCE_TRIES - 1):
            try:
                return super().post(*args, **kwargs)
            except messages.Error as error:
                if error.code != "badNonce":
                    raise
        return super().post(*args, **kwargs)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@contextmanager
def _translated(directory_url: str) -> Iterator[None]:
    """Make one error of the many that the libraries below raise."""
    try:
        yield
    except AcmeError:
        raise
    except messages.Error as error:
        is_rate_limited = error.code == "rateLimited"
        raise AcmeError(f"{error.code}: {error.detail}", is_rate_limited=is_rate_limited) from error
    except errors.ValidationError as error:
        raise AcmeError(_why_invalid(error)) from error
    except errors.TimeoutError as error:
        raise AcmeError("the authority did not issue the certificate in time") from error
    except requests.RequestException as error:
        raise AcmeError(f"cannot reach {directory_url}: {error}") from error
    except (errors.Error, josepy.errors.Error, RemoteError, OSError, ValueError, KeyError) as error:
        raise AcmeError(f"{type(error).__name__}: {error}") from error


def _why_invalid(error: errors.ValidationError) -> str:
    reasons: list[Any] = [
        f"{failed.body.identifier.value}: {challenge.error.detail}"
        for failed in error.failed_authzrs
        for challenge in failed.body.challenges
        if challenge.error is not None
    ]
    return "a name could not be proven: " + "; ".join(reasons)
