"""Push people from a CSV file to scim-bridge: python hr_push.py people.csv (see hr-push.md)."""

import csv
import json
import os
import sys
from pathlib import Path

import requests
from urllib3.util import Retry

COLUMNS = ["userName", "givenName", "familyName", "email", "employeeNumber", "department", "status"]
CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
if not all(map(os.environ.get, ["SCIM_URL", "SCIM_TOKEN"])):
    sys.exit("Nothing was sent: SCIM_URL and SCIM_TOKEN have to be set")
USERS = os.environ["SCIM_URL"].rstrip("/") + "/Users"
scim = requests.Session()
scim.headers["Authorization"] = f"Bearer {os.environ['SCIM_TOKEN']}"
# 429 and 503 say that nothing was written, and in Retry-After how long to wait.
busy = Retry(8, 0, 0, status_forcelist=[429, 503], allowed_methods=None, backoff_factor=1)
scim.mount(USERS, requests.adapters.HTTPAdapter(max_retries=busy))


def call(method, url, **request):
    answer = scim.request(method, url, timeout=60, **request)
    if answer.status_code == 401:
        sys.exit("Stopped, nothing more is sent: SCIM_TOKEN is not accepted (401)")
    if not answer.ok:
        raise ValueError(f"{answer.status_code} {answer.text}")
    return answer.json()


def push(row):
    if row["status"] not in ("active", "left"):
        raise ValueError(f"status {row['status']!r} is neither active nor left")
    values = {"active": row["status"] == "active"}
    if values["active"]:
        values["name"] = {"givenName": row["givenName"], "familyName": row["familyName"]}
        values["emails"] = [{"value": row["email"], "type": "work", "primary": True}]
        values[ENTERPRISE] = {key: row[key] for key in ("employeeNumber", "department")}
    name = json.dumps(row["userName"], ensure_ascii=False)
    found = call("GET", USERS, params={"filter": f"userName eq {name}"})["Resources"]
    if found:
        change = {"schemas": [PATCH], "Operations": [{"op": "replace", "value": values}]}
        call("PATCH", f"{USERS}/{found[0]['id']}", json=change)
    elif values["active"]:
        call("POST", USERS, json={"schemas": [CORE], "userName": row["userName"], **values})


source = Path(*sys.argv[1:2] or ["people.csv"])
try:
    with source.open(encoding="utf-8-sig", newline="") as file:
        people = list(csv.DictReader(file, strict=True))
except (OSError, ValueError, csv.Error) as error:
    sys.exit(f"Nothing was sent: {source} has to be a CSV file in UTF-8 ({error})")
if not people or any(None in [*row, *map(row.get, COLUMNS)] for row in people):
    sys.exit(f"Nothing was sent: each line of {source} has to have the columns {COLUMNS}")

failed = 0
for person in sorted(people, key=lambda row: row["status"] != "left"):  # Who left comes first.
    try:
        push(person)
    except (ValueError, requests.RequestException) as error:
        failed += 1
        sys.stderr.write(f"{person['userName']}: {error}\n")
sys.exit(f"{failed} of {len(people)} people failed" if failed else 0)
