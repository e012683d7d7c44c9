"""What is written down stays true."""

import re
import tomllib
from pathlib import Path

import pytest

from scim_bridge import __version__
from scim_bridge.cli import COMMANDS, main
from scim_bridge.settings import Settings, load, masked
from scim_bridge.settings.schemas import SECTIONS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "deploy" / "settings.example.toml"
SET_UP = (
    "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/scim-bridge demo",
    "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest",
)
SHOWN_CONNECTORS = ("scim", "webhook", "csv")
KEYS = [(section, key) for section, schema in SECTIONS.items() for key in schema.fields]


@pytest.fixture(scope="module")
def example() -> dict[str, list[tuple[str, str | None]]]:
    """The lines of the example by section, each with the comment above it."""
    sections: dict[str, list[tuple[str, str | None]]] = {}
    comment, section = None, ""
    for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
        if match := re.fullmatch(r"\[(\w+)\]", line):
            section, comment = match[1], None
            sections[section] = []
        elif line.startswith("# "):
            comment = line
        elif section and line:
            sections[section].append((line, comment))
    return sections


def test_the_readme_begins_with_the_two_set_up_commands():
    """A newcomer finds them near the top, as they are."""
    commands = [line.strip() for line in README.splitlines() if "python3 -m venv" in line]

    assert commands == list(SET_UP)
    assert README.index(SET_UP[1]) < 1000


def test_commands_in_the_readme_exist():
    """Nobody is told to type a command that is not there, or an option it does not have."""
    for name, options in re.findall(r"scim-bridge ((?!demo)[a-z]+)([^`|\n]*)", README):
        if name in COMMANDS:
            command = main.get_command(None, name)
            names = {option for param in command.params for option in param.opts}
            subcommands = getattr(command, "commands", {}).values()
            names |= {opt for sub in subcommands for param in sub.params for opt in param.opts}
            assert set(re.findall(r"--[a-z-]+", options)) <= names, name


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_every_setting_is_in_the_example_with_a_comment(section, key, example):
    """An operator finds each setting, its default and what it does in one file."""
    [comment] = [above for line, above in example[section] if re.match(rf"#?{key} = ", line)]

    assert comment


def test_the_example_is_the_defaults(tmp_path):
    """What the example sets is what holds without it."""
    file = tmp_path / "scim-bridge.toml"
    text = EXAMPLE.read_text(encoding="utf-8")
    # Setting anything of an Identity Center asks for its address, which has no default.
    without = re.sub(r"\[identity_center\].*?(?=\[delivery\])", "", text, flags=re.DOTALL)
    file.write_text(without)

    here = {"SCIM_BRIDGE_DATABASE__URL": "sqlite:///scim-bridge.db"}
    assert load(file, here) == Settings()


def test_what_the_example_comments_out_is_valid(tmp_path):
    """Every line that an operator may uncomment is a line that the bridge takes."""
    file = tmp_path / "scim-bridge.toml"
    text = re.sub(r"^#(?=\w+ = )", "", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    file.write_text(re.sub(r"^bearer_token_env = .*$", "", text, flags=re.MULTILINE))

    settings = load(file, {})

    assert settings.identity_center.scim_endpoint
    assert settings.identity_center.calls_per_second == Settings().identity_center.calls_per_second


def test_the_further_systems_of_the_example_are_valid(tmp_path):
    """What an operator copies out of the comments is taken, beside an Identity Center."""
    file = tmp_path / "scim-bridge.toml"
    text = EXAMPLE.read_text(encoding="utf-8")
    shown = re.findall(r"^#   (.*)$", text, flags=re.MULTILINE)
    file.write_text("\n".join(shown))

    settings = load(file, {})

    assert [*settings.targets] == ["paris"]
    assert {one.type for one in settings.connector.values()} == set(SHOWN_CONNECTORS)


def test_the_settings_in_the_readme_are_valid(tmp_path):
    """The first settings file that somebody copies works."""
    [block] = re.findall(r"```toml\n(.*?)```", README, flags=re.DOTALL)
    file = tmp_path / "scim-bridge.toml"
    file.write_text(block.replace("\n   ", "\n").strip())

    assert masked(load(file, {}))["identity_center"]["auth"] == "bearer"


def test_the_pins_cover_what_is_required():
    """deploy/requirements.txt has each dependency, with hashes and no host."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = (ROOT / "deploy" / "requirements.txt").read_text(encoding="utf-8")
    pinned = set(re.findall(r"^([a-z0-9-]+)(?:\[[a-z0-9,-]+\])?==", pins, flags=re.MULTILINE))
    wanted = {re.match(r"[a-z0-9-]+", line)[0] for line in project["dependencies"]}

    assert wanted <= pinned
    assert pins.count("--hash=sha256:") >= len(pinned)
    assert "://" not in pins
    assert "@" not in pins


def test_the_changelog_knows_this_version():
    """A release is described before it is made."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    assert f"## [{__version__}]" in changelog or "## [Unreleased]" in changelog
