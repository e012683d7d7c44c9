"""The brake, from the client's request to the operator's decision."""

NAMES = [f"p{number:02}@example.com" for number in range(20)]


def test_the_sixth_leaver_of_twenty_waits_for_a_decision(installed, sandbox):
    """Of twenty people five may leave within the hour; more are held (design, section 9).

    The client gets 2xx for each. `status` shows who is held and what can be done; an approval, a
    rejection and the client's own reversal each end it.
    """
    installation = installed(brake=True)

    def leave(name):
        bridge.patch(f"/Users/{ids[name]}", active=False)
        bridge.arrive()
        return installation.json_of("status")["held_sets"]

    def is_active(name):
        return sandbox.active()[name], bridge.sent("GET", f"/Users/{ids[name]}")["active"]

    with installation.serving() as bridge:
        ids = bridge.add_users(NAMES)
        bridge.add_group("staff", *ids.values())
        bridge.arrive()
        for name in NAMES[:5]:
            bridge.patch(f"/Users/{ids[name]}", active=False)
        bridge.arrive()
        assert bridge.unsettled("held") == 0
        assert [name for name in NAMES if not sandbox.active()[name]] == NAMES[:5]

        (held,) = leave(NAMES[5])
        assert (held["category"], held["people"], held["names"]) == ("disable", 1, [NAMES[5]])
        assert is_active(NAMES[5]) == (True, False)
        assert NAMES[5] in sandbox.members("staff")
        said = installation.run("status")
        assert f"set {held['id']}" in said
        assert NAMES[5] in said
        approve = held["approve"].split()[1:]
        assert NAMES[5] in installation.run(*approve, "--reason", "site closed, 4711")
        assert is_active(NAMES[5]) == (False, False)
        assert sandbox.members("staff") == set(NAMES[6:])
        assert "site closed, 4711" in installation.run("audit", "--json")

        (held,) = leave(NAMES[6])
        reject = held["reject"].split()[1:]
        assert NAMES[6] in installation.run(*reject, "--reason", "sent by mistake")
        assert is_active(NAMES[6]) == (True, True)

        (held,) = leave(NAMES[7])
        bridge.patch(f"/Users/{ids[NAMES[7]]}", active=True)
        bridge.arrive()
        assert bridge.unsettled("held") == 0
        assert is_active(NAMES[7]) == (True, True)
        assert sandbox.members("staff") == set(NAMES[6:])
