"""Where does each setting come from, and what is wrong with what was found there?

One TOML file, over which variables of the environment win: SCIM_BRIDGE_<SECTION>__<KEY>. An empty
variable counts as not set.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
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
from scim_bridge.settings.schemas import AUTHORITY, CONNECTORS, NAMED, SECTIONS, TARGET, Section
from scim_bridge.settings.values import (
    Authority,
    Connector,
    IdentityCenter,
    ScimSystem,
    Settings,
    Snapshot,
    Webhook,
)

CONFIG_VARIABLE = "SCIM_BRIDGE_CONFIG"
DEFAULT_FILE = Path("scim-bridge.toml")
DEFAULT = "default"
_PREFIX = "SCIM_BRIDGE_"
_SQLITE = "sqlite:///"
_AUTHORITY = "authority"
_FORMS = {"targets": "sections, [targets.NAME]", "connector": "a list, [[connector]]"}
# What tells one of several connectors, and its keys.
_WHICH = ("name", "type")
_CONNECTORS: Mapping[str, type[Connector]] = {
    "scim": ScimSystem,
    "webhook": Webhook,
    "csv": Snapshot,
    "jsonl": Snapshot,
}
_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")


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
# The schema of each section, by its name: "server", "targets.paris".
Schemas = Mapping[str, Section]


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
    named = _named(tables, problems)
    schemas: Schemas = {**SECTIONS, **{name: one.schema for name, one in named.items()}}
    given = _in_force(tables, named, environ, problems)
    sections = {name: _section(name, schemas, given, problems) for name in schemas}
    if problems:
        raise SettingsError(problems)
    made = replace(_settings(sections), authorities=authorities)
    if clashing := [*_clashing(made, given)]:
        raise SettingsError(clashing)
    settings = _anchored(made, file, given)
    return Loaded(settings=settings, file=file, origins=_origins(schemas, file, given))


def masked(settings: Settings) -> dict[str, dict[str, Any]]:
    """Every value as it may be shown to anybody and written as JSON, by section and key."""
    return {
        section: {
            key: _plain(_kind(schema, key), value)
            for key, value in _values(_part(settings, section)).items()
        }
        for section, schema in _schemas(settings).items()
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


@dataclass(frozen=True, kw_only=True)
class _Named:
    """A section that there may be several of, by its name in the file."""

    schema: Section
    table: Mapping[str, object]


def _named(tables: Mapping[str, Any], problems: list[SettingProblem]) -> dict[str, _Named]:
    """The sections that have a name of the operator's choice."""
    found: dict[str, _Named] = {}
    targets, connectors = tables.get("targets", {}), tables.get("connector", [])
    for name, table in targets.items() if isinstance(targets, dict) else ():
        where = f"targets.{name}"
        if not isinstance(table, dict):
            what = f"must be a section, [{where}], not {shown(table)}"
            problems.append(SettingProblem(where=where, what=what))
        elif _is_free(name, where, found, problems):
            found[where] = _Named(schema=TARGET, table=table)
    for table in connectors if isinstance(connectors, list) else ():
        name, kind = (table.get(key) if isinstance(table, dict) else None for key in _WHICH)
        where = f"connector.{name}"
        if kind not in CONNECTORS:
            what = f"type must be {' or '.join(CONNECTORS)}, not {shown(kind)}"
            problems.append(SettingProblem(where=where, what=what))
        elif _is_free(name, where, found, problems):
            found[where] = _Named(schema=CONNECTORS[str(kind)], table=table)
    return found


def _is_free(
    name: object, where: str, found: Mapping[str, _Named], problems: list[SettingProblem]
) -> bool:
    """Whether a name can be given to a target: it is that of its links and marks for ever."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        what = "the name must be up to 32 lower-case letters, digits and hyphens"
    elif name == "identity-center" or name in {known.partition(".")[2] for known in found}:
        what = f"the name {name!r} is taken: choose another"
    else:
        return True
    problems.append(SettingProblem(where=where, what=what))
    return False


def _in_force(
    tables: Mapping[str, Any],
    named: Mapping[str, _Named],
    environ: Mapping[str, str],
    problems: list[SettingProblem],
) -> Given:
    """What was given for keys that exist, the environment winning over the file."""
    given = [
        *_from_file(tables, problems),
        *_from_named(named),
        *_from_environment(environ),
    ]
    schemas: Schemas = {**SECTIONS, **{name: one.schema for name, one in named.items()}}
    known = [one for one in given if _kind(schemas.get(one.section), one.key) is not None]
    problems.extend(_unknown(schemas, one) for one in given if one not in known)
    return {(one.section, one.key): one for one in known}


def _from_named(named: Mapping[str, _Named]) -> Iterator[GivenValue]:
    for section, one in named.items():
        for key, value in one.table.items():
            yield GivenValue(section=section, key=key, value=value)


def _from_file(tables: Mapping[str, Any], problems: list[SettingProblem]) -> Iterator[GivenValue]:
    for section, table in tables.items():
        if section in NAMED:
            if not isinstance(table, NAMED[section]):
                what = f"must be {_FORMS[section]}, not {shown(table)}"
                problems.append(SettingProblem(where=section, what=what))
        elif section not in SECTIONS:
            what = f"there is no such section{_nearest(section, [*SECTIONS, *NAMED])}"
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
            kind = _kind(SECTIONS.get(section), key)
            value = text if kind is None else kind.from_text(text)
            yield GivenValue(section=section, key=key, value=value, variable=variable)


def _kind(schema: Section | None, key: str) -> Setting[Any] | None:
    field = schema.fields.get(key) if schema else None
    return field if isinstance(field, Setting) else None


def _unknown(schemas: Schemas, given: GivenValue) -> SettingProblem:
    schema = schemas.get(given.section)
    if schema is None:
        what = f"there is no section [{given.section}]{_nearest(given.section, [*SECTIONS])}"
    elif homes := [name for name, other in SECTIONS.items() if _kind(other, given.key)]:
        what = f"there is no such key here; {given.key} belongs in [{homes[0]}]"
    else:
        what = f"there is no such key{_nearest(given.key, [*schema.fields])}"
    return SettingProblem(where=given.where, what=what)


def _nearest(name: str, names: Sequence[str]) -> str:
    close = get_close_matches(name, names, n=1)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(names)}"


def _section(
    name: str, schemas: Schemas, given: Given, problems: list[SettingProblem]
) -> dict[str, Any]:
    """The checked values of one section."""
    values = {key: one.value for (section, key), one in given.items() if section == name}
    try:
        return dict(schemas[name].load(values))
    except ValidationError as error:
        by_key: dict[str, list[str]] = error.normalized_messages()  # type: ignore[no-untyped-call]
        for key, messages in by_key.items():
            source = given.get((name, key))
            where = source.where if source else f"{name}.{key}"
            problems.extend(SettingProblem(where=where, what=message) for message in messages)
        return {}


def _settings(sections: Mapping[str, Mapping[str, Any]]) -> Settings:
    defaults = Settings()
    made: dict[str, Any] = {section: {} for section in NAMED}
    for name, values in sections.items():
        section, _, own = name.partition(".")
        if section == "targets":
            made[section][own] = IdentityCenter(**_without(values, "type"))
        elif section == "connector":
            made[section][own] = _CONNECTORS[values["type"]](**_without(values, "name"))
        else:
            made[section] = replace(getattr(defaults, section), **values)
    return Settings(**made)


def _without(values: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name != key}


def _clashing(settings: Settings, given: Given) -> Iterator[SettingProblem]:
    """What each section allows, and two of them not together."""
    if settings.source.enabled and settings.identity_center.filter is not None:
        yield SettingProblem(
            where=given["identity_center", "filter"].where,
            what="cannot be set together with source.enabled: it would disable people at their "
            "source; give the filter to those that follow it",
        )


def _anchored(settings: Settings, file: Path | None, given: Given) -> Settings:
    """The settings with their paths relative to the file, unless a variable gave them."""
    if file is None:
        return settings
    folder = file.absolute().parent
    moved: dict[str, Any] = {section: {} for section in NAMED}
    for name, schema in _schemas(settings).items():
        part = _part(settings, name)
        values = {
            key: _joined(folder, _kind(schema, key), value)
            for key, value in _values(part).items()
            if not _is_from_variable(given, name, key)
        }
        section, _, own = name.partition(".")
        if own:
            moved[section][own] = replace(part, **values)
        else:
            moved[section] = replace(part, **values)
    return replace(settings, **moved)


def _schemas(settings: Settings) -> Schemas:
    return {
        **SECTIONS,
        **{f"targets.{name}": TARGET for name in settings.targets},
        **{f"connector.{name}": CONNECTORS[one.type] for name, one in settings.connector.items()},
    }


def _part(settings: Settings, section: str) -> Any:
    kind, _, own = section.partition(".")
    part = getattr(settings, kind)
    return part[own] if own else part


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


def _origins(schemas: Schemas, file: Path | None, given: Given) -> dict[str, str]:
    keys = [(section, key) for section, schema in schemas.items() for key in schema.fields]
    return {f"{section}.{key}": _origin(file, given.get((section, key))) for section, key in keys}


def _origin(file: Path | None, value: GivenValue | None) -> str:
    return DEFAULT if value is None else value.variable or str(file)


def _values(part: Any) -> dict[str, Any]:
    return {field.name: getattr(part, field.name) for field in fields(part)}


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
