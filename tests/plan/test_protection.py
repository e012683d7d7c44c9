"""Protected names: one rule for clients, adoption and `doctor` (design, section 9)."""

import pytest

from scim_bridge.plan.protection import Protection
from scim_bridge.settings import Safety


@pytest.mark.parametrize(
    "name",
    ["AWSControlTower", "awsControlTower", "Administrators", " administrator ", "ＡＷＳ", "AWS"],
)
def test_the_names_that_are_protected_by_default(name: str) -> None:
    """`AWS*` and `Administrator*`, in whatever case, width and blanks."""
    assert Protection(Safety().protected).covers(name)


@pytest.mark.parametrize("name", ["jane@aws.example", "Admin", "my AWSControlTower", ""])
def test_other_names_are_not(name: str) -> None:
    """A pattern is about the whole name."""
    assert not Protection(Safety().protected).covers(name)


def test_a_pattern_is_read_in_whatever_case_too() -> None:
    """An operator writes it as the name is shown to them."""
    assert Protection(["Break-Glass?@Example.com"]).covers("break-glass1@example.COM")
    assert not Protection([]).covers("break-glass1@example.com")
