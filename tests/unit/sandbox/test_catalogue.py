"""What the installed stripe package tells of itself."""

import stripe

from hookloop.sandbox.catalogue import installed_catalogue


def test_event_types_are_the_installed_packages():
    """All of them, and no star, which is no type."""
    types = installed_catalogue().event_types

    assert {"customer.updated", "invoice.paid", "charge.failed"} <= types
    assert "*" not in types
    assert len(types) > 200


def test_versions_are_the_installed_packages():
    """Back to the first, and on to the one it speaks."""
    catalogue = installed_catalogue()

    assert catalogue.api_version == stripe.api_version
    assert {"2011-01-01", "2020-08-27", stripe.api_version} <= catalogue.api_versions
