"""The ledger's own first step; of its tables, Django is told of those it shows."""

import re
from functools import partial
from typing import Any, ClassVar

import django.db.models.deletion
from django.db import migrations, models

from hookloop.ledger.numbered_steps import numbered_steps

__all__ = ["Migration"]

ID = partial(
    models.BigAutoField, auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
)
NEWEST = 2
"""The last of the ledger's own steps in this one."""

OURS = re.compile(r"\b(TABLE|INDEX|ON|REFERENCES) (message|dedupe|delivery|attempt)")


def make_tables(_apps: Any, schema_editor: Any) -> None:
    """Run the script of the database's kind, with names that begin with ``hookloop_``."""
    is_sqlite = schema_editor.connection.vendor == "sqlite"
    steps = numbered_steps("schema" if is_sqlite else "schema_postgres")
    script = "".join(text for number, text in steps if number <= NEWEST)
    script = re.sub("--.*", "", script)
    if is_sqlite:
        script = OURS.sub(r"\1 hookloop_\2", script)
    for statement in filter(None, map(str.strip, script.split(";"))):
        schema_editor.execute(statement, None)


def drop_tables(_apps: Any, schema_editor: Any) -> None:
    """Take them away again."""
    for table in ("attempt", "delivery", "dedupe", "message"):
        schema_editor.execute(f"DROP TABLE hookloop_{table}", None)


class Migration(migrations.Migration):
    """Of two databases, the one it is run on gets the tables."""

    initial = True
    operations: ClassVar[list[Any]] = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(make_tables, drop_tables)],
            state_operations=[
                migrations.CreateModel(
                    name="Message",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True,
                                primary_key=True,
                                serialize=False,
                                verbose_name="ID",
                            ),
                        ),
                        ("source", models.TextField()),
                        ("type", models.TextField()),
                        ("key", models.TextField(null=True)),
                        ("received_at", models.FloatField()),
                        ("head", models.BinaryField()),
                        ("body", models.BinaryField()),
                    ],
                    options={
                        "db_table": "hookloop_message",
                        "verbose_name": "entry",
                        "verbose_name_plural": "entries",
                    },
                ),
                migrations.CreateModel(
                    name="Delivery",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True,
                                primary_key=True,
                                serialize=False,
                                verbose_name="ID",
                            ),
                        ),
                        (
                            "message",
                            models.ForeignKey(
                                db_column="message",
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                to="hookloop.message",
                            ),
                        ),
                        ("target", models.TextField()),
                        ("order_key", models.TextField(null=True)),
                        ("state", models.TextField()),
                        ("due_at", models.FloatField()),
                        ("attempts", models.BigIntegerField()),
                        ("failures", models.BigIntegerField()),
                        ("crashes", models.BigIntegerField()),
                        ("claimed_at", models.FloatField(null=True)),
                        ("settled_at", models.FloatField(null=True)),
                        ("detail", models.TextField()),
                        ("rank", models.FloatField(default=0)),
                    ],
                    options={
                        "db_table": "hookloop_delivery",
                        "verbose_name_plural": "deliveries",
                        "ordering": ["-id"],
                    },
                ),
            ],
        )
    ]
