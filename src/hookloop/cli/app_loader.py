"""Imports a user's `Hooks` by name, and says where that fails."""

import importlib
import os
import re
import sys
from pathlib import Path
from traceback import extract_tb
from typing import Any

from hookloop.doctor import Certainty, Finding, Listens
from hookloop.errors import ConfigError, HookloopError

__all__ = ["loaded_hooks"]

DEFAULT_NAME = "hooks"

_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{1,60}")


def loaded_hooks(target: str) -> Listens | Finding:
    """
    Return the handlers that *target*, ``module:name``, names, or what hinders its import.

    Modules are looked for in the current folder first. Where DJANGO_SETTINGS_MODULE is
    set, Django is set up before. Raises `ConfigError` where *target* names nothing.
    """
    module_name, _, name = target.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        _set_up_django()
        found: Any = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and _is_part(error.name, module_name):
            raise ConfigError(
                f"there is no module {module_name}: name it as Python imports it from this "
                "folder, shop.webhooks:hooks"
            ) from None
        return _failed(module_name, error)
    wanted = name or DEFAULT_NAME
    for part in wanted.split("."):
        found = getattr(found, part, None)
    if not callable(getattr(found, "is_listening", None)):
        raise ConfigError(f"{module_name}:{wanted} is {_kind(found)}: name the Hooks, module:hooks")
    return found  # type: ignore[no-any-return] # it has the one method that is asked for


def _set_up_django() -> None:
    if os.environ.get("DJANGO_SETTINGS_MODULE"):
        django = importlib.import_module("django")
        django.setup()


def _is_part(missing: str | None, module_name: str) -> bool:
    return missing is not None and f"{module_name}.".startswith(f"{missing}.")


def _kind(found: object) -> str:
    return "not there" if found is None else f"a {type(found).__name__} that listens to nothing"


def _failed(module_name: str, error: BaseException) -> Finding:
    """Say what was raised and where; not its message, which may quote a secret."""
    frames = extract_tb(error.__traceback__)
    here = str(Path.cwd())
    own = [
        one
        for one in frames
        if one.filename.startswith(here) and "site-packages" not in one.filename
    ] or frames
    where = f"{Path(own[-1].filename).name}:{own[-1].lineno}"
    return Finding(
        "import_failed",
        Certainty.PROVED,
        f"importing {module_name} raised {type(error).__name__} at {where}{_detail(error)}",
        "import it with Python to see the whole traceback: a server that starts it fails too",
    )


def _detail(error: BaseException) -> str:
    if isinstance(error, HookloopError):
        return f": {error}"  # ours hold no secret
    if isinstance(error, ModuleNotFoundError):
        return f": no module {error.name}"
    if isinstance(error, KeyError) and error.args and _VARIABLE.fullmatch(str(error.args[0])):
        return f": {error.args[0]} is not set"
    return ""
