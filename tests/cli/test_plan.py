"""`scim-bridge plan`: what a sync would do, and that nothing is done."""

from tests.cli.operation import ENTERPRISE, client_of, in_front_of

LATER = "[delivery]\nwait = 0\n"


def test_an_empty_plan_says_so(run, json_of, server, folder):
    """With nothing marked there is nothing to do."""
    in_front_of(server, folder)
    run("db", "upgrade")

    assert "Nothing to do" in run("plan").stdout
    assert json_of("plan") == {
        "changes": 0,
        "suppressed": 0,
        "held": 0,
        "resources": [],
        "assignments": [],
    }


def test_changes_are_told_by_person_and_group(run, json_of, server, sandbox, folder):
    """Each change is a sentence under the name of whom it is about, and nothing is sent."""
    with client_of(in_front_of(server, folder, more=LATER)) as client:
        jane = client.add_user("jane@example.com", title="Engineer")
        ada, ben = (client.add_user(f"{name}@example.com") for name in ("ada", "ben"))
        group = client.add_group("engineers", ada, ben)
        client.bridge.worker().run_once()
        client.patch(f"/Users/{jane}", title="Manager")
        client.patch(f"/Users/{ada}", active=False)
        client.send("PATCH", f"/Groups/{group}", _joining(jane))
        client.add_user("new@example.com", **{ENTERPRISE: {"department": "Sales"}})
        before = sandbox.state()

        said = run("plan").stdout
        planned = json_of("plan")

    assert 'user jane@example.com\n    set title "Manager"' in said
    assert "user ada@example.com\n    disable" in said
    assert "group engineers\n    take out ada@example.com\n    put in jane@example.com" in said
    assert 'department "Sales"' in said
    assert planned["changes"] == 5
    changes = {one["name"]: [c["change"] for c in one["changes"]] for one in planned["resources"]}
    assert changes == {
        "ada@example.com": ["DisableUser"],
        "jane@example.com": ["UpdateUser"],
        "new@example.com": ["CreateUser"],
        "engineers": ["RemoveMembers", "AddMembers"],
    }
    assert sandbox.state() == before
    assert json_of("plan") == planned


def test_what_is_switched_off_is_shown_apart(run, json_of, server, folder):
    """[users] create = false: the creation shows as suppressed, not as a change."""
    with client_of(in_front_of(server, folder, more="[users]\ncreate = false\n")) as client:
        client.add_user("jane@example.com")

    said = run("plan").stdout
    planned = json_of("plan")

    assert (planned["changes"], planned["suppressed"]) == (0, 1)
    assert said.startswith("Switched off by [users] create or update, and not done:")
    assert "user jane@example.com" in said


def test_what_is_held_is_shown_apart_and_not_counted_by_looking(run, json_of, server, folder):
    """A plan counts no losses with the brake: those that were held before are, and no others."""
    file = in_front_of(server, folder)
    file.write_text(file.read_text().replace("brake = false", "brake = true"))
    with client_of(file) as client:
        ids = [client.add_user(f"p{n}@example.com") for n in range(6)]
        for user_id in ids:
            client.patch(f"/Users/{user_id}", active=False)

    first, second = json_of("plan"), json_of("plan")

    assert (first["changes"], first["held"]) == (0, 1)
    assert first == second
    assert "Held by the brake" in run("plan").stdout


def _joining(member):
    return {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "add", "path": "members", "value": [{"value": member}]}],
    }
