"""What an owner's DNS hook does, with a file in place of a provider's API."""

import json
import os
import sys
from pathlib import Path


def main() -> None:
    path = Path(sys.argv[1])
    records = json.loads(path.read_text()) if path.exists() else {}
    values = records.setdefault(os.environ["HOOKLOOP_ACME_DOMAIN"], [])
    if os.environ["HOOKLOOP_ACME_ACTION"] == "add":
        values.append(os.environ["HOOKLOOP_ACME_VALUE"])
    else:
        values.remove(os.environ["HOOKLOOP_ACME_VALUE"])
    path.write_text(json.dumps(records))


main()
