"""A Django project in one file, with a fault at each path; prints its port and serves."""

import sys
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"],
    LOGIN_URL="/accounts/login/",
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    ROOT_URLCONF=__name__,
    SECRET_KEY="for tests",
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
)
django.setup()

from django.contrib.auth.decorators import login_required  # noqa: E402  # needs the settings
from django.http import HttpResponse  # noqa: E402  # needs the settings
from django.urls import path  # noqa: E402  # needs the settings
from django.views.decorators.csrf import csrf_exempt  # noqa: E402  # needs the settings

from hookloop import Hooks  # noqa: E402  # stands with the rest

hooks = Hooks(secrets=sys.argv[1])


def accept(request):
    return HttpResponse()


def fail(request):
    raise RuntimeError("told to nobody")


def read_first(request):
    """Reads the stream as a careless decorator does, then hands on to the handler."""
    request.read()
    return hooks.django_view()(request)


urlpatterns = [
    path("csrf/", accept),
    path("hooks/", hooks.django_view()),
    path("private/", csrf_exempt(login_required(accept))),
    path("read/", csrf_exempt(read_first)),
    path("raises/", csrf_exempt(fail)),
]


class Quiet(WSGIRequestHandler):
    def log_message(self, *args):
        pass


if __name__ == "__main__":
    from django.core.wsgi import get_wsgi_application

    with make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=Quiet) as server:
        print(server.server_port, flush=True)
        server.serve_forever()
