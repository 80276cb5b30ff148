"""Start-up proof that what Postgres acknowledges lasts: refused, or the loss is named. Pure."""

from collections.abc import Mapping

from hookloop.errors import ConfigError

from .store import Durability

__all__ = ["POSTGRES_OLDEST", "SETTINGS", "proved"]

POSTGRES_OLDEST = 150000
"""As ``server_version_num`` says it: the oldest that these tests have seen."""

SETTINGS = (
    "server_version_num",
    "fsync",
    "full_page_writes",
    "synchronous_commit",
    "synchronous_standby_names",
    "transaction_read_only",
)
"""What `proved` wants to be told; with it ``standbys``, how many replicas are attached."""


def proved(said: Mapping[str, str], *, name: str, accept_loss: bool) -> Durability:
    """
    Return what a server that *said* so promises.

    Each of our transactions turns ``synchronous_commit`` on for itself, so its default does not
    matter. Raises `ConfigError` for a server that would lose what it acknowledged, unless
    *accept_loss*: then the loss is named.
    """
    if int(said["server_version_num"]) < POSTGRES_OLDEST:
        raise ConfigError(f"{name} is older than Postgres 15: upgrade it")
    if said["transaction_read_only"] == "on":
        raise ConfigError(
            f"{name} is read only, a standby perhaps: name the primary, as by adding "
            "target_session_attrs=read-write to the URL"
        )
    off = [setting for setting in ("fsync", "full_page_writes") if said[setting] != "on"]
    if off:
        window = (
            f"everything, when the machine of {name} loses power: it runs with "
            f"{' and '.join(f'{setting}=off' for setting in off)}"
        )
        if not accept_loss:
            raise ConfigError(
                f"what would be lost is {window}; turn that on, or accept the loss in the "
                "settings of the store"
            )
        return Durability(outlives_kill=True, outlives_power_loss=False, loss_window=window)
    window = ""
    if int(said["standbys"]) and not said["synchronous_standby_names"]:
        window = (
            f"when {name} fails over to a standby: what the standby had not received yet. "
            "synchronous_standby_names = 'ANY 1 (...)' closes that"
        )
    return Durability(outlives_kill=True, outlives_power_loss=True, loss_window=window)
