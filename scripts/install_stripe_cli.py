"""
Put Stripe's own command line where the tests look for it: `.venv/bin/stripe`.

It comes from npm, as Stripe publishes it, without npm: one file of one archive, checked by
its digest. The tests run it against the sandbox.
"""

import base64
import hashlib
import io
import platform
import sys
import tarfile
import urllib.request
from pathlib import Path

VERSION = "1.52.0"
PLATFORM = "linux-x64"
SHA512 = "q5x2AIP0ZSujN7iJNIdSPerRfQ/08OTWw9ukhCyxvlo2JAfu6xf8cIGhyDv6vZsQuoh4cn3c2tNJ0J+oY+Z37Q=="
URL = f"https://registry.npmjs.org/@stripe/cli-{PLATFORM}/-/cli-{PLATFORM}-{VERSION}.tgz"
SECONDS_MAX = 120

STRIPE = Path(sys.executable).parent / "stripe"


def main() -> None:
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise SystemExit("this script knows the archive for Linux on x86-64 alone: npm has others")
    if STRIPE.exists():
        return
    with urllib.request.urlopen(URL, timeout=SECONDS_MAX) as answer:
        archive = answer.read()
    if base64.b64encode(hashlib.sha512(archive).digest()).decode() != SHA512:
        raise SystemExit(f"{URL} is not what it was when this script was written")
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        packed = files.extractfile("package/bin/stripe")
        if packed is None:
            raise SystemExit(f"{URL} holds no bin/stripe")
        STRIPE.write_bytes(packed.read())
    STRIPE.chmod(0o755)
    print(f"{STRIPE} is Stripe's command line {VERSION}")


if __name__ == "__main__":
    main()
