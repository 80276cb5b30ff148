"""
A small certificate authority that speaks ACME, and is strict about it (RFC 8555).

It checks what a client must do: fresh nonces, signatures and the URL in them, keys or account URLs
where each belongs, agreement to the terms, proofs by really asking for them, and that a CSR is for
the names of its order. Its own code throughout, so that it is no mirror of the client's library.
"""

import base64
import hashlib
import http.client
import json
import secrets
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import NameOID
from fake_dns import FakeDns
from made_certificates import Authority
from patience import PATIENCE

VALID_DAYS = 90


class ProblemError(Exception):
    """An error as RFC 8555 section 6.7 has them."""

    def __init__(self, kind: str, detail: str, status: int = 400) -> None:
        super().__init__(detail)
        self.status = status
        self.body = {"type": f"urn:ietf:params:acme:error:{kind}", "detail": detail}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    if "=" in text:
        raise ProblemError("malformed", "base64url has no padding here")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class AcmeAuthority:
    """Its state; `running_authority` serves it."""

    def __init__(self, dns: FakeDns, http_port: int) -> None:
        self.base = ""
        self.accounts: dict[str, dict] = {}
        self.orders: list[dict] = []
        self.rejected_nonces = 0
        self._posts = 0
        self._dns = dns
        self._http_port = http_port
        self._nonces: set[str] = set()
        self._things: dict[str, dict] = {}
        self._urls: dict[int, str] = {}
        self._lock = threading.RLock()
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Strict Test CA")])
        self.root_pem = self._root().public_bytes(serialization.Encoding.PEM)

    def nonce(self) -> str:
        nonce = b64(secrets.token_bytes(16))
        self._nonces.add(nonce)
        return nonce

    def directory(self) -> dict:
        names = ("newNonce", "newAccount", "newOrder")
        return {name: f"{self.base}/{name}" for name in names} | {
            "meta": {"termsOfService": f"{self.base}/terms"}
        }

    def post(self, path: str, kind: str, body: bytes) -> tuple[int, dict, object]:
        """Return status, header fields and body."""
        if kind != "application/jose+json":
            raise ProblemError("malformed", "the type is application/jose+json", 415)
        with self._lock:
            account, jwk, payload = self._open(path, body)
            if path == "/newAccount":
                return self._new_account(jwk, payload)
            if account is None:
                raise ProblemError("malformed", "only newAccount takes a key")
            if path == "/newOrder":
                return self._new_order(account, payload)
            thing = self._things.get(path)
            if thing is None or thing["account"] != account:
                raise ProblemError("malformed", "no such resource of this account", 404)
            return getattr(self, "_" + thing["kind"])(thing, payload)

    # --- the envelope -------------------------------------------------------------------------

    def _open(self, path: str, body: bytes):
        jws = json.loads(body)
        if set(jws) != {"protected", "payload", "signature"}:
            raise ProblemError("malformed", "a request is a flattened JWS and nothing else")
        head = json.loads(unb64(jws["protected"]))
        if head.get("nonce") not in self._nonces:
            raise ProblemError("badNonce", "no nonce of ours, or one used before")
        self._nonces.discard(head["nonce"])
        self._posts += 1
        if self._posts % 5 == 4:  # a client must be able to take this at any time
            self.rejected_nonces += 1
            raise ProblemError("badNonce", "rejected to see what the client does")
        if head.get("url") != self.base + path:
            raise ProblemError("unauthorized", "the signature is for another URL", 403)
        if ("jwk" in head) == ("kid" in head):
            raise ProblemError("malformed", "there is one of jwk and kid")
        account = head.get("kid")
        if account is not None and account not in self.accounts:
            raise ProblemError("accountDoesNotExist", "there is no such account")
        jwk = head["jwk"] if account is None else self.accounts[account]["jwk"]
        if head.get("alg") != "ES256":
            raise ProblemError("badSignatureAlgorithm", "this authority takes ES256")
        signed = f"{jws['protected']}.{jws['payload']}".encode()
        _verify(jwk, unb64(jws["signature"]), signed)
        return account, jwk, json.loads(unb64(jws["payload"])) if jws["payload"] else None

    # --- resources ----------------------------------------------------------------------------

    def _new_account(self, jwk, payload):
        known = next((url for url, one in self.accounts.items() if one["jwk"] == jwk), None)
        if known is None and payload.get("onlyReturnExisting"):
            raise ProblemError("accountDoesNotExist", "there is no account of this key")
        status = 200 if known else 201
        if known is None:
            if payload.get("termsOfServiceAgreed") is not True:
                raise ProblemError("userActionRequired", "agree to the terms", 403)
            known = f"{self.base}/account/{len(self.accounts)}-{secrets.token_hex(4)}"
            self.accounts[known] = {"jwk": jwk, "contact": payload.get("contact")}
        return status, {"Location": known}, {"status": "valid"}

    def _new_order(self, account, payload):
        identifiers = payload["identifiers"]
        authorizations = [self._add_authorization(account, one["value"]) for one in identifiers]
        order = {"status": "pending", "identifiers": identifiers, "authorizations": authorizations}
        url = self._add("order", account, order)
        order["finalize"] = self._add("finalize", account, {"order": order})
        self.orders.append(order)
        return 201, {"Location": url}, order

    def _order(self, thing, payload):
        _is_post_as_get(payload)
        return 200, {}, thing["body"]

    def _add_authorization(self, account, name):
        is_wildcard = name.startswith("*.")
        body = {
            "status": "pending",
            "identifier": {"type": "dns", "value": name.removeprefix("*.")},
            "challenges": [],
        }
        if is_wildcard:
            body["wildcard"] = True
        for kind in ["dns-01"] if is_wildcard else ["http-01", "dns-01"]:
            challenge = {"type": kind, "status": "pending", "token": b64(secrets.token_bytes(24))}
            extra = {"challenge": challenge, "authorization": body}
            challenge["url"] = self._add("challenge", account, extra)
            body["challenges"].append(challenge)
        url = self._add("authorization", account, body)
        self._urls[id(body)] = url
        return url

    def _authorization(self, thing, payload):
        _is_post_as_get(payload)
        return 200, {}, thing["body"]

    def _challenge(self, thing, payload):
        if payload != {}:
            raise ProblemError("malformed", "a challenge is answered by an empty object")
        challenge = thing["body"]["challenge"]
        challenge["status"] = "processing"
        thumbprint = _thumbprint(self.accounts[thing["account"]]["jwk"])
        proof = threading.Thread(target=self._prove, args=(thing["body"], thumbprint), daemon=True)
        proof.start()
        up = self._urls[id(thing["body"]["authorization"])]
        return 200, {"Link": f'<{up}>;rel="up"'}, challenge

    def _prove(self, body, thumbprint):
        challenge, authorization = body["challenge"], body["authorization"]
        name = authorization["identifier"]["value"]
        expected = f"{challenge['token']}.{thumbprint}"
        if challenge["type"] == "http-01":
            seen = [self._fetch(name, challenge["token"])]
        else:
            expected = b64(hashlib.sha256(expected.encode()).digest())
            seen = self._dns.txt(f"_acme-challenge.{name}")
        with self._lock:
            verdict = "valid" if expected in seen else "invalid"
            challenge["status"] = authorization["status"] = verdict
            if verdict == "invalid":
                problem = ProblemError("unauthorized", f"saw {seen!r}")
                challenge["error"] = problem.body
            for order in self.orders:
                self._judge(order)

    def _judge(self, order):
        verdicts = [self._things[self._path(url)]["body"] for url in order["authorizations"]]
        states = {verdict["status"] for verdict in verdicts}
        if order["status"] == "pending" and states == {"valid"}:
            order["status"] = "ready"
        elif "invalid" in states:
            order["status"] = "invalid"

    def _fetch(self, name, token):
        connection = http.client.HTTPConnection("127.0.0.1", self._http_port, timeout=PATIENCE)
        try:
            target = f"/.well-known/acme-challenge/{token}"
            connection.request("GET", target, headers={"Host": name})
            response = connection.getresponse()
            return response.read().decode() if response.status == 200 else f"HTTP {response.status}"
        except OSError as error:
            return str(error)
        finally:
            connection.close()

    def _finalize(self, thing, payload):
        order = thing["body"]["order"]
        if order["status"] != "ready":
            raise ProblemError("orderNotReady", f"the order is {order['status']}", 403)
        csr = x509.load_der_x509_csr(unb64(payload["csr"]))
        alternative = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = alternative.value.get_values_for_type(x509.DNSName)
        if set(names) != {one["value"] for one in order["identifiers"]}:
            raise ProblemError("badCSR", "the CSR is for other names than the order")
        if not csr.is_signature_valid:
            raise ProblemError("badCSR", "the CSR is not signed by its key")
        leaf = self._issue(csr.public_key(), alternative.value)
        chain = leaf.public_bytes(serialization.Encoding.PEM) + self.root_pem
        order["certificate"] = self._add("certificate", thing["account"], {"pem": chain.decode()})
        order["status"] = "valid"
        return 200, {}, order

    def _certificate(self, thing, payload):
        _is_post_as_get(payload)
        return 200, {}, thing["body"]["pem"]

    def _add(self, kind, account, body):
        path = f"/{kind}/{secrets.token_hex(8)}"
        self._things[path] = {"kind": kind, "account": account, "body": body}
        return self.base + path

    def _path(self, url):
        return url.removeprefix(self.base)

    # --- certificates -------------------------------------------------------------------------

    def _builder(self, subject, public_key):
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .issuer_name(self._name)
            .subject_name(subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=VALID_DAYS))
        )

    def _root(self):
        builder = self._builder(self._name, self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        return builder.sign(self._key, hashes.SHA256())

    def _issue(self, public_key, names):
        builder = self._builder(x509.Name([]), public_key)
        builder = builder.add_extension(names, critical=True)
        return builder.sign(self._key, hashes.SHA256())


def _is_post_as_get(payload):
    if payload is not None:
        raise ProblemError("malformed", "this resource is read, by an empty payload")


def _verify(jwk, signature, signed):
    if jwk.get("kty") != "EC" or jwk.get("crv") != "P-256" or len(signature) != 64:
        raise ProblemError("badPublicKey", "an ES256 signature has a P-256 key")
    numbers = [int.from_bytes(unb64(jwk[axis])) for axis in ("x", "y")]
    key = ec.EllipticCurvePublicNumbers(*numbers, ec.SECP256R1()).public_key()
    halves = [int.from_bytes(signature[at : at + 32]) for at in (0, 32)]
    try:
        key.verify(utils.encode_dss_signature(*halves), signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise ProblemError("unauthorized", "the signature is not that of the key", 403) from None


def _thumbprint(jwk):
    parts = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    return b64(hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).digest())


@contextmanager
def running_authority(
    dns: FakeDns, http_port: int, folder: Path
) -> Iterator[tuple[str, Path, AcmeAuthority]]:
    """Yield the directory's URL, what to trust of its server, and its state."""
    authority = AcmeAuthority(dns, http_port)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            """Say nothing."""

        def do_HEAD(self):  # the name http.server wants
            self._answer(200 if self.path == "/newNonce" else 404, {}, b"")

        def do_GET(self):
            self._answer(200, {}, authority.directory())

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                kind = self.headers["Content-Type"]
                self._answer(*authority.post(self.path, kind, body))
            except ProblemError as problem:
                self._answer(problem.status, {}, problem.body, "application/problem+json")

        def _answer(self, status, fields, body, kind="application/json"):
            if isinstance(body, str):
                body, kind = body.encode(), "application/pem-certificate-chain"
            elif not isinstance(body, bytes):
                body = json.dumps(body).encode()
            self.send_response(status)
            for name, value in fields.items():
                self.send_header(name, value)
            self.send_header("Replay-Nonce", authority.nonce())
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    own = Authority(folder)
    files = own.issue("acme-server", "localhost")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.certificate, files.key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    authority.base = f"https://localhost:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"{authority.base}/directory", own.ca_file, authority
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
