"""Answers that are lost or put off, and how few calls a change costs."""

from tests.acceptance.installation import joining, seconds_until

GROUP = [f"p{number}@example.com" for number in range(250)]


def test_250_members_are_three_calls_and_the_same_again_none(installed, sandbox):
    """One PatchGroup for each hundred changes (AWS SCIM developer guide, PatchGroup)."""
    installation = installed()
    with installation.serving() as bridge:
        ids = bridge.add_users(GROUP)
        group = bridge.add_group("everybody")
        bridge.arrive()

        sandbox.forget_calls()
        assert bridge.change(f"/Groups/{group}", joining(*ids.values())).ok
        bridge.arrive()
        assert sandbox.calls() == {"PatchGroup": {"204": 3}}
        assert sandbox.members("everybody") == set(GROUP)

        sandbox.forget_calls()
        assert bridge.change(f"/Groups/{group}", joining(*ids.values())).ok
        bridge.arrive()
        assert sandbox.calls() == {}


def test_a_creation_whose_answer_is_lost_is_found_again(installed, sandbox):
    """One user at Identity Center, linked: what is changed later arrives there."""
    installation = installed()
    with installation.serving() as bridge:
        sandbox.fault("CreateUser", drop_answer=True)
        jane = bridge.add_user("jane@example.com")
        bridge.arrive()
        assert [one["userName"] for one in sandbox.state()["users"]] == ["jane@example.com"]

        bridge.patch(f"/Users/{jane}", displayName="Jane B.")
        bridge.arrive()
        assert sandbox.user("jane@example.com")["displayName"] == "Jane B."
        assert sandbox.user("jane@example.com")["externalId"] == jane


def test_ten_throttle_answers_are_no_error_to_a_client(installed, sandbox, show):
    """Every request is 2xx, and Identity Center is right within the backoff (RFC 6585, 4)."""
    installation = installed()
    with installation.serving() as bridge:
        jane, ann = bridge.add_user("jane@example.com"), bridge.add_user("ann@example.com")
        sandbox.fault(status=429, times=10)
        bridge.add_user("joe@example.com")
        bridge.add_group("staff", jane, ann)
        bridge.patch(f"/Users/{ann}", displayName="Ann B.")
        bridge.patch(f"/Users/{jane}", active=False)

        def is_right():
            return (
                sandbox.active() == {"jane@example.com": False, "ann@example.com": True,
                                     "joe@example.com": True}
                and sandbox.memberships() == {"staff": {"ann@example.com"}}
                and sandbox.user("ann@example.com")["displayName"] == "Ann B."
            )  # fmt: skip

        took = seconds_until(is_right, within=60)
        bridge.arrive()
    show(f"429 ten times: right after {took:.1f} s")
    assert sum(statuses.get("429", 0) for statuses in sandbox.calls().values()) == 10
