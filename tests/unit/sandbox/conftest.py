"""A sandbox's API without a socket, for the tests of what it does."""

import pytest

pytest.register_assert_rewrite("sandbox_caller")

from sandbox_caller import CATALOGUE, Caller  # noqa: E402 - its asserts are rewritten first

from hookloop.sandbox.catalogue import Catalogue  # noqa: E402


@pytest.fixture
def call() -> Caller:
    return Caller()


@pytest.fixture
def catalogue() -> Catalogue:
    return CATALOGUE
