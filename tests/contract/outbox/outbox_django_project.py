"""A Django project in one process of its own: appends that are rolled back, committed, refused."""

import contextlib
import sys

import django
import pytest
from django.conf import settings

URL, ENGINE, NAME, HOST, USER = sys.argv[1:]
settings.configure(
    DATABASES={
        "default": {
            "ENGINE": f"django.db.backends.{ENGINE}",
            "NAME": NAME,
            "HOST": HOST,
            "USER": USER,
            "PASSWORD": "",
        }
    },
    DEBUG=True,  # records each statement with its values, as `runserver` does
)
django.setup()

from django.db import connection, connections, transaction  # noqa: E402  # after the setup

from hookloop.errors import ConfigError  # noqa: E402
from hookloop.outbox import Outbox, OutboxMessage  # noqa: E402

outbox = Outbox(URL)


def transact(id_, conn):
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO effect VALUES ('mine')")
        outbox.append_sync(OutboxMessage("a.b", {"n": 1}, id=id_), conn=conn)
        if id_ == "msg_never":
            raise ZeroDivisionError


with contextlib.suppress(ZeroDivisionError):
    transact("msg_never", connection)
transact("msg_once", connections["default"])
with pytest.raises(ConfigError, match="no transaction is open"):
    outbox.append_sync(OutboxMessage("a.b", id="msg_bare"), conn=connection)

transaction.set_autocommit(False)
outbox.append_sync(OutboxMessage("a.b", id="msg_never"), conn=connection)
transaction.rollback()
print("ok")
