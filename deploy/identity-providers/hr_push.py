"""Push people from a CSV file to scim-bridge: python hr_push.py people.csv (see hr-push.md)."""

import csv
import json
import os
import sys
from pathlib import Path

import requests
from urllib3.util import Retry

USERS = os.environ["SCIM_URL"].rstrip("/") + "/Users"
CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
scim = requests.Session()
scim.headers["Authorization"] = f"Bearer {os.environ['SCIM_TOKEN']}"
# 429 and 503 say that nothing was written, and in Retry-After how long to wait.
patience = Retry(
    8, connect=0, read=0, status_forcelist=(429, 503), allowed_methods=None, backoff_factor=1
)
scim.mount(USERS, requests.adapters.HTTPAdapter(max_retries=patience))


def call(method, url, **request):
    answer = scim.request(method, url, timeout=60, **request)
    if not answer.ok:
        raise ValueError(f"{answer.status_code} {answer.text}")
    return answer.json()


def push(row):
    name = json.dumps(row["userName"], ensure_ascii=False)
    found = call("GET", USERS, params={"filter": f"userName eq {name}"})["Resources"]
    if row["status"] not in ("active", "left"):
        raise ValueError(f"status {row['status']!r} is neither active nor left")
    values = {"active": False}
    if row["status"] == "active":
        values = {
            "active": True,
            "name": {"givenName": row["givenName"], "familyName": row["familyName"]},
            "emails": [{"value": row["email"], "type": "work", "primary": True}],
            ENTERPRISE: {key: row[key] for key in ("employeeNumber", "department")},
        }
    if found:
        change = {"schemas": [PATCH], "Operations": [{"op": "replace", "value": values}]}
        call("PATCH", f"{USERS}/{found[0]['id']}", json=change)
    elif row["status"] == "active":
        call("POST", USERS, json={"schemas": [CORE], "userName": row["userName"], **values})


with Path(sys.argv[1]).open(encoding="utf-8-sig", newline="") as file:
    people = sorted(csv.DictReader(file), key=lambda row: row["status"] != "left")
failed = 0
for person in people:  # Who left comes first.
    try:
        push(person)
    except (ValueError, requests.RequestException) as error:
        failed += 1
        sys.stderr.write(f"{person['userName']}: {error}\n")
sys.exit(f"{failed} of {len(people)} people failed" if failed else 0)
