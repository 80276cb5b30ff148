"""
Products: what is sold. See https://docs.stripe.com/api/products.
"""

from collections.abc import Mapping

from hookloop.sandbox.arguments import Arguments
from hookloop.sandbox.errors import ApiError
from hookloop.sandbox.resource import Resource, applied
from hookloop.sandbox.search import searches
from hookloop.sandbox.store import Json
from hookloop.sandbox.transaction import Transaction

from . import price

__all__ = ["OPERATIONS", "PRODUCT", "create", "update"]

PRODUCT = Resource("product", "prod", "/v1/products", id_length=14)


def create(transaction: Transaction, arguments: Arguments, _path: Mapping[str, str]) -> Json:
    """Make a product, and its default price where one is described."""
    if transaction.find("product", arguments.get("id", "")):
        raise ApiError(400, "Product already exists.", code="resource_already_exists", param="id")
    product = PRODUCT.new(
        transaction,
        arguments,
        id=arguments.get("id"),
        active=arguments.get("active", True),
        type=arguments.get("type", "service"),
        updated=transaction.created,
    )
    described = arguments.get("default_price_data")
    if described is None:
        return PRODUCT.save_new(transaction, product)
    # The price needs the product to be there, and the product names the price.
    transaction.put("product", product)
    made = price.create(transaction, {**described, "product": product["id"]}, {})
    return PRODUCT.save_new(transaction, {**product, "default_price": made["id"]})


def update(transaction: Transaction, arguments: Arguments, path: Mapping[str, str]) -> Json:
    """Change what is named; the default price must be one of the product's."""
    old = PRODUCT.find(transaction, path["id"])
    if wanted := arguments.get("default_price"):
        found = price.PRICE.referenced(transaction, wanted, "default_price")
        if found["product"] != old["id"]:
            raise ApiError(
                400,
                f"The price specified as `default_price` is not of this product: {wanted}",
                param="default_price",
            )
    new = applied(old, arguments)
    if new != old:
        new["updated"] = transaction.created
    return PRODUCT.save(transaction, old, new)


def _check_priceless(transaction: Transaction, product: Json) -> None:
    prices = transaction.store.everything("price")
    if any(one["product"] == product["id"] for one in prices):
        raise ApiError(
            400,
            "This product cannot be deleted because it has one or more user-created prices.",
        )


_CHANGEABLE = (
    "active",
    "description",
    "images",
    "marketing_features",
    "metadata",
    "name",
    "package_dimensions",
    "shippable",
    "statement_descriptor",
    "tax_code",
    "unit_label",
    "url",
)

OPERATIONS = (
    PRODUCT.creates(create, "default_price_data", "id", "type", *_CHANGEABLE),
    PRODUCT.retrieves(),
    PRODUCT.updates(update, "default_price", *_CHANGEABLE),
    PRODUCT.deletes(_check_priceless),
    PRODUCT.lists("active", "ids", "shippable", "type", "url"),
    searches(PRODUCT, "active", "description", "name", "shippable", "url"),
)
