"""A sandbox's API without a socket, for the tests of what it does."""

import pytest
from sandbox_caller import CATALOGUE, Caller

from hookloop.sandbox.catalogue import Catalogue


@pytest.fixture
def call() -> Caller:
    return Caller()


@pytest.fixture
def catalogue() -> Catalogue:
    return CATALOGUE
