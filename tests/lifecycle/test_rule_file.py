"""A file of rules is read as a whole, and everything wrong with it is named at once."""

from pathlib import Path

import pytest

from scim_bridge.errors import RulesError
from scim_bridge.lifecycle.rule_file import RuleFiles
from scim_bridge.lifecycle.rules import Right
from scim_bridge.scim.provider import FullUser
from scim_bridge.settings import Safety

EXAMPLE = Path(__file__).parents[2] / "deploy" / "rules.example.toml"
FILES = RuleFiles(
    FullUser, Safety(protected_accounts=("111122223333",), protected_permission_sets=("Admin*",))
)


def problems(text):
    with pytest.raises(RulesError) as raised:
        FILES.read(text, called="rules.toml")
    return raised.value.problems


def test_the_example_can_be_used():
    """What an operator copies is right, and shows every key."""
    found = RuleFiles(FullUser, Safety()).read(EXAMPLE.read_text())
    assert [rule.name for rule in found.rules] == [
        "staff",
        "engineering",
        "engineering-berlin",
        "year-end-closing",
    ]
    assert found.rules[1].rights == (
        Right(group="engineers"),
        Right(account="222233334444", permission_set="AdministratorAccess"),
    )


def test_every_problem_is_named_with_its_place():
    """Line, rule and key, and what would be right."""
    assert problems(
        """\
[[rule]]
name = "sales team"
wen = 'title pr'
groups = ["Sales"]

[[rule]]
name = "b"
when = 'department eq "x"'
assignments = [{ account = "prod", permission_set = "ReadOnlyAccess" }]
until = "2026-13-01"
grace = 14

[[rule]]
name = "b"
when = 'title pr'
groups = []
"""
    ) == (
        "rules.toml, line 3, rule sales team: wen: there is no such key; did you mean when?",
        "rules.toml, line 1, rule sales team: when: is missing",
        'rules.toml, line 2, rule sales team: name: must be a name such as "sales-berlin": '
        'letters, digits and ._-, not "sales team"',
        "rules.toml, line 8, rule b: when: is no SCIM filter over users: Field not found: "
        "department",
        "rules.toml, line 9, rule b: assignments: account must be the twelve digits of an "
        'account, quoted, not "prod"; the bridge knows no tags and no organizational units of '
        "accounts",
        'rules.toml, line 10, rule b: until: must be a date such as "2027-01-31", not "2026-13-01"',
        'rules.toml, line 11, rule b: grace: must be a number with its unit, such as "30d" or '
        '"12h", or 0, not 14',
        "rules.toml, line 16, rule b: groups: a rule must give something: set groups or "
        "assignments",
        'rules.toml, line 14, rule b: name: there is another rule of the name "b"',
    )


@pytest.mark.parametrize(
    ("gives", "said"),
    [
        ('groups = ["AWSAdmins"]', 'group "AWSAdmins" is protected'),
        (
            'assignments = [{ account = "222233334444", permission_set = "AdminAccess" }]',
            'permission set "AdminAccess" is protected',
        ),
        (
            'assignments = [{ account = "111122223333", permission_set = "Read" }]',
            "account 111122223333 is protected",
        ),
    ],
)
def test_no_rule_gives_what_is_protected(gives, said):
    """`[safety]` holds for rules as it does for clients (design, section 9)."""
    [problem] = problems(f"[[rule]]\nname = 'r'\nwhen = 'title pr'\n{gives}")
    assert said in problem


def test_what_is_no_toml_says_where():
    """The library's own words name line and column."""
    [problem] = problems("[[rule]\n")
    assert "line 1" in problem
