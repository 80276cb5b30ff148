"""Runs the owner's command that publishes and removes TXT records, for dns-01. Blocking."""

import os
import shlex
import subprocess
from collections.abc import Mapping

from hookloop.errors import ConfigError, RemoteError

__all__ = ["DnsHook"]

HOOK_SECONDS = 120.0  # a DNS provider's API, and the wait for its servers to agree
SHOWN_CHARS_MAX = 300  # of what a failing command said


class DnsHook:
    """The command of ``--acme-dns-hook``."""

    def __init__(self, command: str) -> None:
        """Raises `ConfigError` for a command that no shell could read."""
        try:
            self._command = shlex.split(command)
        except ValueError as error:
            raise ConfigError(f"cannot read --acme-dns-hook {command!r}: {error}") from error
        if not self._command:
            raise ConfigError("--acme-dns-hook is empty: give the command to run")

    def add(self, domain: str, value: str) -> None:
        """Publish *value* as a TXT record of *domain*, beside those that are there."""
        self._run("add", domain, value)

    def remove(self, domain: str, value: str) -> None:
        """Take that one record away again."""
        self._run("remove", domain, value)

    def _run(self, action: str, domain: str, value: str) -> None:
        variables: Mapping[str, str] = {
            **os.environ,
            "HOOKLOOP_ACME_ACTION": action,
            "HOOKLOOP_ACME_DOMAIN": domain,
            "HOOKLOOP_ACME_VALUE": value,
        }
        program = self._command[0]
        try:
            done = subprocess.run(  # noqa: S603  # the relay's owner chose the command; no shell
                self._command,
                env=variables,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=HOOK_SECONDS,
                check=False,
            )
        except OSError as error:
            raise RemoteError(f"cannot run the DNS hook {program}: {error.strerror}") from error
        except subprocess.TimeoutExpired as error:
            message = f"the DNS hook {program} {action} did not end within {HOOK_SECONDS:.0f} s"
            raise RemoteError(message) from error
        if done.returncode != 0:
            said = (done.stderr or done.stdout).decode(errors="replace").strip()
            raise RemoteError(
                f"the DNS hook {program} {action} ended with code {done.returncode}: "
                f"{said[-SHOWN_CHARS_MAX:]!r}"
            )
