"""Where does each setting come from, and what is wrong with what was found there?

One TOML file, over which variables of the environment win: SCIM_BRIDGE_<SECTION>__<KEY>. An empty
variable counts as not set.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from marshmallow import ValidationError

from scim_bridge.errors import SettingProblem, SettingsError
from scim_bridge.settings.kinds import (
    SECONDS_A_DAY,
    DatabaseUrl,
    File,
    Period,
    Setting,
    shown,
    without_password,
)
from scim_bridge.settings.schemas import AUTHORITY, SECTIONS
from scim_bridge.settings.values import Authority, Settings

CONFIG_VARIABLE = "SCIM_BRIDGE_CONFIG"
DEFAULT_FILE = Path("scim-bridge.toml")
DEFAULT = "default"
_PREFIX = "SCIM_BRIDGE_"
_SQLITE = "sqlite:///"
_AUTHORITY = "authority"


@dataclass(frozen=True, kw_only=True)
class GivenValue:
    """One value as somebody gave it."""

    section: str
    key: str
    value: object
    # The variable it came from; None when it stands in the file.
    variable: str | None = None

    @property
    def where(self) -> str:
        return self.variable or f"{self.section}.{self.key}"


Given = Mapping[tuple[str, str], GivenValue]


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """The settings, and where each came from."""

    settings: Settings
    # The file that was read, if any.
    file: Path | None
    # By "section.key": the name of a variable, the file's path, or "default".
    origins: Mapping[str, str]


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """The settings in force. See `read`."""
    return read(path, environ).settings


def read(path: Path | None, environ: Mapping[str, str]) -> Loaded:
    """The settings of the file and the environment, and the default for all else.

    The file is `path`, else what SCIM_BRIDGE_CONFIG names, else scim-bridge.toml in the current
    folder if there is one. Relative paths in the file, and default ones, are relative to the file;
    those in variables to the current folder.

    Raises `SettingsError` with every problem that was found.
    """
    file = _file(path, environ)
    problems: list[SettingProblem] = []
    tables = _tables(file, problems)
    authorities = tuple(_authorities(tables.pop(_AUTHORITY, []), problems))
    given = _in_force(tables, environ, problems)
    sections = {name: _section(name, given, problems) for name in SECTIONS}
    if problems:
        raise SettingsError(problems)
    made = replace(_settings(sections), authorities=authorities)
    settings = _anchored(made, file, given)
    return Loaded(settings=settings, file=file, origins=_origins(file, given))


def masked(settings: Settings) -> dict[str, dict[str, Any]]:
    """Every value as it may be shown to anybody and written as JSON, by section and key."""
    return {
        section: {
            key: _plain(_kind(section, key), value)
            for key, value in _values(settings, section).items()
        }
        for section in SECTIONS
    }


def _file(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    if path is not None:
        return path
    if named := environ.get(CONFIG_VARIABLE):
        return Path(named).expanduser()
    return DEFAULT_FILE if DEFAULT_FILE.is_file() else None


def _authorities(tables: Any, problems: list[SettingProblem]) -> Iterator[Authority]:
    """Each ``[[authority]]``. The environment cannot set them."""
    if not isinstance(tables, list):
        problems.append(SettingProblem(where=_AUTHORITY, what="must be written [[authority]]"))
        return
    for place, table in enumerate(tables, start=1):
        try:
            yield Authority(**AUTHORITY.load(table))
        except ValidationError as error:
            by_key: dict[str, list[str]] = error.normalized_messages()  # type: ignore[no-untyped-call]
            for key, messages in by_key.items():
                where = f"{_AUTHORITY} {place}: {key}"
                problems.extend(SettingProblem(where=where, what=one) for one in messages)


def _in_force(
    tables: Mapping[str, Any], environ: Mapping[str, str], problems: list[SettingProblem]
) -> Given:
    """What was given for keys that exist, the environment winning over the file."""
    given = [*_from_file(tables, problems), *_from_environment(environ)]
    problems.extend(_unknown(one) for one in given if not _is_known(one))
    return {(one.section, one.key): one for one in given if _is_known(one)}


def _from_file(tables: Mapping[str, Any], problems: list[SettingProblem]) -> Iterator[GivenValue]:
    for section, table in tables.items():
        if section not in SECTIONS:
            what = f"there is no such section{_nearest(section, SECTIONS)}"
            problems.append(SettingProblem(where=section, what=what))
        elif not isinstance(table, dict):
            what = f"must be a section, [{section}], not {shown(table)}"
            problems.append(SettingProblem(where=section, what=what))
        else:
            for key, value in table.items():
                yield GivenValue(section=section, key=key, value=value)


def _tables(file: Path | None, problems: list[SettingProblem]) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        what = "is not UTF-8 text"
    except tomllib.TOMLDecodeError as error:
        what = f"is not TOML: {error}"
    problems.append(SettingProblem(where=str(file), what=what))
    return {}


def _from_environment(environ: Mapping[str, str]) -> Iterator[GivenValue]:
    for variable, text in environ.items():
        section, separator, key = variable.removeprefix(_PREFIX).lower().partition("__")
        if variable.startswith(_PREFIX) and separator and text:
            kind = _kind(section, key)
            value = text if kind is None else kind.from_text(text)
            yield GivenValue(section=section, key=key, value=value, variable=variable)


def _kind(section: str, key: str) -> Setting[Any] | None:
    schema = SECTIONS.get(section)
    field = schema.fields.get(key) if schema else None
    return field if isinstance(field, Setting) else None


def _is_known(given: GivenValue) -> bool:
    return _kind(given.section, given.key) is not None


def _unknown(given: GivenValue) -> SettingProblem:
    schema = SECTIONS.get(given.section)
    if schema is None:
        what = f"there is no section [{given.section}]{_nearest(given.section, SECTIONS)}"
    elif homes := [name for name in SECTIONS if _kind(name, given.key)]:
        what = f"there is no such key here; {given.key} belongs in [{homes[0]}]"
    else:
        what = f"there is no such key{_nearest(given.key, schema.fields)}"
    return SettingProblem(where=given.where, what=what)


def _nearest(name: str, names: Mapping[str, object]) -> str:
    close = get_close_matches(name, names, n=1)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(names)}"


def _section(name: str, given: Given, problems: list[SettingProblem]) -> dict[str, Any]:
    """The checked values of one section."""
    values = {key: one.value for (section, key), one in given.items() if section == name}
    try:
        return dict(SECTIONS[name].load(values))
    except ValidationError as error:
        by_key: dict[str, list[str]] = error.normalized_messages()  # type: ignore[no-untyped-call]
        for key, messages in by_key.items():
            source = given.get((name, key))
            where = source.where if source else f"{name}.{key}"
            problems.extend(SettingProblem(where=where, what=message) for message in messages)
        return {}


def _settings(sections: Mapping[str, Mapping[str, Any]]) -> Settings:
    defaults = Settings()
    made = {name: replace(getattr(defaults, name), **values) for name, values in sections.items()}
    return Settings(**made)


def _anchored(settings: Settings, file: Path | None, given: Given) -> Settings:
    """The settings with their paths relative to the file, unless a variable gave them."""
    if file is None:
        return settings
    folder = file.absolute().parent
    moved = {
        name: {
            key: _joined(folder, _kind(name, key), value)
            for key, value in _values(settings, name).items()
            if not _is_from_variable(given, name, key)
        }
        for name in SECTIONS
    }
    return replace(
        settings,
        **{name: replace(getattr(settings, name), **values) for name, values in moved.items()},
    )


def _joined(folder: Path, kind: Setting[Any] | None, value: Any) -> Any:
    """`value` under `folder`, if it is a path. An absolute path stays."""
    match kind, value:
        case File(), Path():
            return folder / value
        case DatabaseUrl(), str() if value.startswith(_SQLITE):
            return f"{_SQLITE}{folder / value.removeprefix(_SQLITE)}"
        case _:
            return value


def _is_from_variable(given: Given, section: str, key: str) -> bool:
    one = given.get((section, key))
    return one is not None and one.variable is not None


def _origins(file: Path | None, given: Given) -> dict[str, str]:
    keys = [(section, key) for section, schema in SECTIONS.items() for key in schema.fields]
    return {f"{section}.{key}": _origin(file, given.get((section, key))) for section, key in keys}


def _origin(file: Path | None, value: GivenValue | None) -> str:
    return DEFAULT if value is None else value.variable or str(file)


def _values(settings: Settings, section: str) -> dict[str, Any]:
    values = getattr(settings, section)
    return {field.name: getattr(values, field.name) for field in fields(values)}


def _plain(kind: Setting[Any] | None, value: Any) -> Any:
    match kind, value:
        case _, Path():
            return str(value)
        case _, tuple():
            return list(value)
        case Period(), float():
            return _lasting(value)
        case _, str():
            return without_password(value)
        case _:
            return value


def _lasting(seconds: float) -> str | int:
    """A period as it is set, in the largest unit that it is a whole number of."""
    for unit, length in (("d", SECONDS_A_DAY), ("h", 3600), ("m", 60)):
        if seconds and seconds % length == 0:
            return f"{seconds / length:g}{unit}"
    return f"{seconds:g}s" if seconds else 0
