"""Where the webhooks come in, and a page that shows what they did."""

from django.http import HttpRequest, JsonResponse
from django.urls import path
from shop.customers import customers

from .webhooks import hooks


def customer_name(_request: HttpRequest, customer_id: str) -> JsonResponse:
    return JsonResponse({"name": customers.get(customer_id)})


urlpatterns = [
    *hooks.django_urls("webhooks/stripe"),
    path("customers/<customer_id>", customer_name),
]
