"""A Django project in one file, as `manage.py runserver` starts it: run with a port."""

import sys

from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.urls import path

settings.configure(
    DEBUG=True,  # with ALLOWED_HOSTS empty this answers to localhost alone
    ROOT_URLCONF=__name__,
    SECRET_KEY="only for these tests",
    MIDDLEWARE=[
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
    ],
    USE_X_FORWARDED_HOST=False,
)


def form(request):
    """Show a form, or take it: the CSRF check compares Origin with Host."""
    if request.method == "POST":
        return HttpResponse("taken")
    token = get_token(request)
    host, scheme = request.get_host(), request.META.get("HTTP_X_FORWARDED_PROTO")
    return JsonResponse({"token": token, "host": host, "forwarded_proto": scheme})


urlpatterns = [path("form/", form)]

if __name__ == "__main__":
    execute_from_command_line(["manage.py", "runserver", "--noreload", f"localhost:{sys.argv[1]}"])
