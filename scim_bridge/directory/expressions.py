"""How is a stored document asked in SQL? The same questions on SQLite and on PostgreSQL.

Names in a document are part of a statement's text, never a parameter, so that an index on such an
expression is found. They come from schemas, not from clients.
"""

from typing import Any

from sqlalchemy import Boolean, ColumnElement, Integer, Numeric, Text, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class normalized(FunctionElement[str]):
    """Text in the form in which ``caseExact`` values are compared."""

    type = Text()
    inherit_cache = True


class folded(FunctionElement[str]):
    """Text in the form in which all other values are compared."""

    type = Text()
    inherit_cache = True


class position(FunctionElement[int]):
    """Where a text begins in another one, counted from 1; 0 where it is not in it."""

    type = Integer()
    inherit_cache = True


class ending(FunctionElement[str]):
    """The last characters of a text; so many, and never none."""

    type = Text()
    inherit_cache = True


class joined(FunctionElement[str]):
    """The texts of many rows as one, with commas between."""

    type = Text()
    inherit_cache = True


class InDocument(FunctionElement[Any]):
    """Something about what stands in a JSON document under a path of names."""

    inherit_cache = True

    def __init__(self, document: ColumnElement[Any], *names: str) -> None:
        super().__init__(document, *(literal_column(name) for name in names if name))


class text_in(InDocument):
    """A text, NULL where there is none."""

    type = Text()
    inherit_cache = True


class flag_in(InDocument):
    """A truth value as 1 or 0, NULL where there is none."""

    type = Integer()
    inherit_cache = True


class number_in(InDocument):
    """A number, NULL where there is none."""

    type = Numeric(asdecimal=False)
    inherit_cache = True


class holds_anything(InDocument):
    """Whether there is a value that is no empty text, at any depth."""

    type = Boolean()
    inherit_cache = True


class entries_in(InDocument):
    """A row for each entry of a list, with its place and its value."""

    inherit_cache = True


def _sqlite_parts(element: InDocument, compiler: Any, **options: Any) -> tuple[str, str]:
    document, *names = element.clauses
    path = "$" + "".join(f'."{name.name}"' for name in names)
    return compiler.process(document, **options), _quoted(path)


def _postgresql_value(element: InDocument, compiler: Any, **options: Any) -> str:
    document, *names = element.clauses
    said = compiler.process(document, **options)
    return f"json_extract_path({said}{_arguments(names)})" if names else said


def _postgresql_text(element: InDocument, compiler: Any, **options: Any) -> str:
    document, *names = element.clauses
    said = compiler.process(document, **options)
    if not names:
        return f"({said} #>> '{{}}')"
    return f"json_extract_path_text({said}{_arguments(names)})"


def _arguments(names: list[Any]) -> str:
    return "".join(f", {_quoted(name.name)}" for name in names)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


# -- SQLite -----------------------------------------------------------------------


@compiles(normalized, "sqlite")
@compiles(normalized, "postgresql")
def _normalized(element: normalized, compiler: Any, **options: Any) -> str:
    return f"normalized({compiler.process(element.clauses, **options)})"


@compiles(folded, "sqlite")
@compiles(folded, "postgresql")
def _folded(element: folded, compiler: Any, **options: Any) -> str:
    return f"folded({compiler.process(element.clauses, **options)})"


@compiles(position, "sqlite")
def _sqlite_position(element: position, compiler: Any, **options: Any) -> str:
    return f"instr({compiler.process(element.clauses, **options)})"


@compiles(ending, "sqlite")
def _sqlite_ending(element: ending, compiler: Any, **options: Any) -> str:
    text, length = (compiler.process(each, **options) for each in element.clauses)
    return f"substr({text}, -{length})"


@compiles(joined, "sqlite")
def _sqlite_joined(element: joined, compiler: Any, **options: Any) -> str:
    return f"group_concat({compiler.process(element.clauses, **options)})"


@compiles(text_in, "sqlite")
@compiles(flag_in, "sqlite")
@compiles(number_in, "sqlite")
def _sqlite_value(element: InDocument, compiler: Any, **options: Any) -> str:
    document, *names = element.clauses
    if not names:
        # An entry of a list is a value of SQL already.
        return str(compiler.process(document, **options))
    said, path = _sqlite_parts(element, compiler, **options)
    return f"json_extract({said}, {path})"


@compiles(holds_anything, "sqlite")
def _sqlite_holds_anything(element: holds_anything, compiler: Any, **options: Any) -> str:
    said, path = _sqlite_parts(element, compiler, **options)
    leaves = f"json_tree({said}, {path})"
    return f"EXISTS (SELECT 1 FROM {leaves} WHERE atom IS NOT NULL AND atom != '')"  # noqa: S608


@compiles(entries_in, "sqlite")
def _sqlite_entries(element: entries_in, compiler: Any, **options: Any) -> str:
    said, path = _sqlite_parts(element, compiler, **options)
    return f"json_each({said}, {path})"


# -- PostgreSQL -------------------------------------------------------------------

# Texts are ordered by their characters, as SQLite orders them, whatever the database's language.

_ATOMS = (
    '$.** ? ((@.type() == "string" && @ != "") || @.type() == "number" || @.type() == "boolean")'
)


@compiles(position, "postgresql")
def _postgresql_position(element: position, compiler: Any, **options: Any) -> str:
    return f"strpos({compiler.process(element.clauses, **options)})"


@compiles(ending, "postgresql")
def _postgresql_ending(element: ending, compiler: Any, **options: Any) -> str:
    return f"right({compiler.process(element.clauses, **options)})"


@compiles(joined, "postgresql")
def _postgresql_joined(element: joined, compiler: Any, **options: Any) -> str:
    return f"string_agg({compiler.process(element.clauses, **options)}, ',')"


@compiles(text_in, "postgresql")
def _postgresql_text_in(element: text_in, compiler: Any, **options: Any) -> str:
    return f'({_postgresql_text(element, compiler, **options)} COLLATE "C")'


@compiles(flag_in, "postgresql")
def _postgresql_flag_in(element: flag_in, compiler: Any, **options: Any) -> str:
    said = _postgresql_text(element, compiler, **options)
    return f"(CASE {said} WHEN 'true' THEN 1 WHEN 'false' THEN 0 END)"


@compiles(number_in, "postgresql")
def _postgresql_number_in(element: number_in, compiler: Any, **options: Any) -> str:
    value = _postgresql_value(element, compiler, **options)
    said = _postgresql_text(element, compiler, **options)
    return f"(CASE json_typeof({value}) WHEN 'number' THEN {said}::numeric END)"


@compiles(holds_anything, "postgresql")
def _postgresql_holds_anything(element: holds_anything, compiler: Any, **options: Any) -> str:
    value = _postgresql_value(element, compiler, **options)
    return f"coalesce(jsonb_path_exists({value}::jsonb, '{_ATOMS}'), false)"


@compiles(entries_in, "postgresql")
def _postgresql_entries(element: entries_in, compiler: Any, **options: Any) -> str:
    value = _postgresql_value(element, compiler, **options)
    listed = f"CASE json_typeof({value}) WHEN 'array' THEN {value} ELSE '[]' END"
    entries = f"json_array_elements({listed}) WITH ORDINALITY AS each(value, key)"
    return f"(SELECT value, key FROM {entries})"  # noqa: S608
