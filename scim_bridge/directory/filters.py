"""Which rows does a SCIM filter mean? A filter compiled to SQL, with the meaning scim2-models
gives it in memory (RFC 7644 §3.4.2.2).

Every condition is true or false for every row, never NULL, so that ``not`` means what it says.
What cannot be compiled is refused with `InvalidFilterException`: an empty page would be a lie.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from functools import cached_property, lru_cache
from typing import Any, Protocol, assert_never, cast

from pydantic import EmailStr, TypeAdapter
from scim2_models import (
    AttributeBinding,
    BaseModel,
    Extension,
    InvalidFilterException,
    Resource,
    Returned,
    ScimFilter,
)
from scim2_models.path import (
    STRING_OPERATORS,
    AttrPath,
    CompareOperator,
    Comparison,
    FilterNode,
    FilterVisitor,
    LogicalExpr,
    LogicalOperator,
    Not,
    Present,
    ValuePath,
    coerce_value,
)
from sqlalchemy import (
    ColumnElement,
    Select,
    Subquery,
    Table,
    Text,
    and_,
    exists,
    false,
    func,
    literal,
    not_,
    null,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy import cast as sql_cast

from scim_bridge.directory import comparison, tables, versions
from scim_bridge.directory.entitlements import (
    ACCOUNT_ASSIGNMENTS,
    APPLICATIONS,
    GROUP_EXTENSION,
    PROVISIONING,
    USER_EXTENSION,
)
from scim_bridge.directory.expressions import (
    InDocument,
    ending,
    entries_in,
    flag_in,
    folded,
    holds_anything,
    normalized,
    number_in,
    position,
    text_in,
)
from scim_bridge.directory.nesting import PAIRS

# How many comparisons a filter may hold, and how deeply they may nest: more than any client sends,
# and less than what SQLite refuses to parse.
MAX_TERMS = 100
MAX_DEPTH = 16

Condition = ColumnElement[bool]


def condition(scim_filter: ScimFilter[Any], model: type[Resource[Any]], table: Table) -> Condition:
    """The rows of a resource type that a filter matches.

    An attribute that the type does not declare matches nothing (RFC 7644 §3.4.2.1).

    Raises `InvalidFilterException` for a filter with more than `MAX_TERMS` comparisons or nested
    deeper than `MAX_DEPTH`, for one that compares an attribute in a way it does not accept, and
    for one on an attribute that is not stored.
    """
    _refuse_excess(scim_filter.ast)
    bound = _bound(model, scim_filter.ast)
    return _OfResource(bound, _Attributes(table)).visit(bound.ast)


# How texts are compared in filters that are asked often.
_OFTEN = frozenset({CompareOperator.eq, CompareOperator.co, CompareOperator.sw})


@dataclass(frozen=True, kw_only=True)
class TextComparison:
    """A filter that compares one attribute with a text, whatever the text is."""

    model: type[Resource[Any]]
    attribute: AttrPath
    op: CompareOperator

    def condition(self, table: Table, operand: ColumnElement[str]) -> Condition:
        """The rows for which it holds. The operand has the form in which values are compared."""
        bound = _bound(self.model, Comparison(self.attribute, self.op, ""))
        binding = cast(AttributeBinding, bound.resolve_comparison(self.attribute))
        return _OfResource(bound, _Attributes(table)).compare(binding, self.op, operand)


def text_comparison(
    scim_filter: ScimFilter[Any], model: type[Resource[Any]]
) -> tuple[TextComparison, str] | None:
    """A filter as the comparison of one attribute with a text, if it is that and no more."""
    node = scim_filter.ast
    if not isinstance(node, Comparison) or node.op not in _OFTEN or not isinstance(node.value, str):
        return None
    compared = TextComparison(model=model, attribute=node.attr_path, op=node.op)
    case_exact = _case_exact(compared)
    return None if case_exact is None else (compared, _text(node.value, case_exact=case_exact))


# A client may write the name of an attribute in many ways.
@lru_cache(maxsize=1024)
def _case_exact(compared: TextComparison) -> bool | None:
    """Whether the case of an attribute counts. None: it is not known, no text or a secret."""
    try:
        bound = _bound(compared.model, Comparison(compared.attribute, compared.op, ""))
        binding = bound.resolve_comparison(compared.attribute, strict=False)
        if binding is None or binding.target_type is not str:
            return None
        _refuse_secret(binding)
    except InvalidFilterException:
        return None
    return binding.case_exact


def sort_key(binding: AttributeBinding, table: Table) -> ColumnElement[Any]:
    """The value a row is sorted by, NULL where it has none (RFC 7644 §3.4.2.3).

    A multi-valued attribute is sorted by its primary value, or else by its first. A resource's own
    address is sorted by what is known of it: all addresses begin alike.

    Raises `InvalidFilterException` for an attribute that is not stored.
    """
    attributes = _Attributes(table)
    if attributes.is_location(binding):
        return literal(f"{table.name.capitalize()}/") + table.c.id
    if binding.is_multivalued:
        return attributes.entries(binding).first(binding)
    return attributes.value(binding).comparable


def _bound(model: type[BaseModel], node: FilterNode) -> ScimFilter[Any]:
    """Bind a filter to a model, which checks its operators and values against it."""
    return cast("ScimFilter[Any]", cast(Any, ScimFilter)[model](node))


def _refuse_excess(root: FilterNode) -> None:
    terms = 0
    for node, depth in _nodes(root):
        terms += isinstance(node, Comparison | Present)
        if terms > MAX_TERMS:
            raise InvalidFilterException(
                detail=f"the filter has more than {MAX_TERMS} comparisons; split the request"
            )
        if depth > MAX_DEPTH:
            raise InvalidFilterException(
                detail=f"the filter nests more than {MAX_DEPTH} expressions"
            )


def nodes(root: FilterNode) -> Iterator[FilterNode]:
    """Every node of a filter."""
    return (node for node, _ in _nodes(root))


def _nodes(root: FilterNode) -> Iterator[tuple[FilterNode, int]]:
    """Every node of a filter with its depth, without recursion."""
    waiting = [(root, 0)]
    while waiting:
        node, depth = waiting.pop()
        yield node, depth
        match node:
            case Not():
                waiting.append((node.expr, depth + 1))
            case ValuePath():
                waiting.append((node.val_filter, depth + 1))
            case LogicalExpr():
                waiting.extend((term, depth + 1) for term in node.terms)


# -- Values and where they are stored ---------------------------------------------


class _Type(Enum):
    """What a value is, which decides how it is compared."""

    TEXT = auto()
    BOOLEAN = auto()
    NUMBER = auto()
    BINARY = auto()
    TIME = auto()
    COMPLEX = auto()


_TYPES: tuple[tuple[tuple[type, ...], _Type], ...] = (
    ((str, EmailStr), _Type.TEXT),
    ((bool,), _Type.BOOLEAN),
    ((int, float), _Type.NUMBER),
    ((bytes,), _Type.BINARY),
    ((datetime,), _Type.TIME),
    ((BaseModel,), _Type.COMPLEX),
)


def _type_of(binding: AttributeBinding) -> _Type:
    declared = binding.target_type
    if isinstance(declared, type):
        for classes, type_ in _TYPES:
            if issubclass(declared, classes):
                return type_
    raise _not_stored(binding)


def _refuse_secret(binding: AttributeBinding) -> None:
    """Nobody learns of a value that is never returned by asking for it piece by piece."""
    if binding.model.get_field_annotation(binding.field_name, Returned) is Returned.never:
        raise InvalidFilterException(
            detail=f"{_name(binding.model, binding.field_name)} is never returned, and nothing "
            "is found by it"
        )


def _not_stored(binding: AttributeBinding) -> InvalidFilterException:
    return InvalidFilterException(detail=f"the directory cannot filter or sort by {binding.urn!r}")


@dataclass(frozen=True, kw_only=True)
class _Value:
    """A single value of a row or of an entry, NULL where it is missing."""

    raw: ColumnElement[Any]
    # The same in the form in which values are compared.
    comparable: ColumnElement[Any]


def _ready(expression: ColumnElement[Any]) -> _Value:
    """A value that is stored as it is compared."""
    return _Value(raw=expression, comparable=expression)


def _prepared(raw: ColumnElement[Any], binding: AttributeBinding) -> _Value:
    if _type_of(binding) is not _Type.TEXT:
        return _ready(raw)
    prepare = normalized if binding.case_exact else folded
    return _Value(raw=raw, comparable=prepare(raw))


def _stored(binding: AttributeBinding, document: ColumnElement[Any], *names: str) -> _Value:
    """A value of a document."""
    match _type_of(binding):
        case _Type.BOOLEAN:
            read: type[InDocument] = flag_in
        case _Type.NUMBER:
            read = number_in
        case _:
            read = text_in
    return _prepared(read(document, *names), binding)


def _name(model: Any, field_name: str | None) -> str:
    """The SCIM name of a field, as documents carry it."""
    if field_name is None:
        return ""
    return model.model_fields[field_name].serialization_alias or field_name


class _Attributes:
    """Where the attributes of a resource type are stored: in columns, in the document, or in rows
    of memberships and assignments.
    """

    def __init__(self, table: Table) -> None:
        self.table = table

    def value(self, binding: AttributeBinding) -> _Value:
        """The value of an attribute, or of a sub-attribute, that holds a single one."""
        if binding.target_is_multivalued and binding.sub_field_name:
            raise _not_stored(binding)
        name, sub_name = self._names(binding)
        self._refuse_provisioning(binding)
        if name == "meta":
            return self._meta(binding, sub_name)
        column = None if self._is_extended(binding) else self._columns.get(name)
        if column is not None:
            return _ready(column)
        if _type_of(binding) is _Type.TIME:
            raise _not_stored(binding)
        return _stored(binding, self.table.c.document, *self._path(binding))

    def entries(self, binding: AttributeBinding) -> "_Entries":
        """The entries of a multi-valued attribute."""
        name, _ = self._names(binding)
        if not self._is_extended(binding) and (self.table.name, name) in _MEMBERSHIPS:
            return _MembershipEntries(owner=self.table)
        if self._is_of_entitlements(binding) and name in (ACCOUNT_ASSIGNMENTS, APPLICATIONS):
            return _AssignmentEntries(owner=self.table, attribute=name)
        head = self._head(binding)
        if self.table is tables.users and head == ("", "emails"):
            return _EmailEntries(self.table.c.document, *head)
        return _JsonEntries(self.table.c.document, *head)

    def any_leaf(self, binding: AttributeBinding) -> Condition:
        """Whether anything below an attribute holds a value: what ``pr`` asks of a complex one."""
        name, _ = self._names(binding)
        self._refuse_provisioning(binding)
        if name == "meta":
            return true()
        return holds_anything(self.table.c.document, *self._path(binding))

    @cached_property
    def _columns(self) -> dict[str, ColumnElement[Any]]:
        """The attributes that have a column, which holds them as they are compared."""
        columns = self.table.c
        common: dict[str, ColumnElement[Any]] = {
            "id": columns.id,
            "externalId": columns.external_id,
            "displayName": columns.display_name_folded,
        }
        if self.table is tables.users:
            common["userName"] = columns.user_name_folded
        return common

    def _meta(self, binding: AttributeBinding, name: str) -> _Value:
        columns = self.table.c
        match name:
            case "":
                return _ready(literal(1))
            case "resourceType":
                return _ready(literal("User" if self.table is tables.users else "Group"))
            case "created":
                return _ready(columns.created)
            case "lastModified":
                return _ready(columns.last_modified)
            case "version":
                return _ready('W/"' + sql_cast(versions.shown(self.table), Text) + '"')
            case _:
                # The location depends on the URL a client uses.
                raise _not_stored(binding)

    def is_location(self, binding: AttributeBinding) -> bool:
        """Whether it is the address of the resource itself."""
        return self._names(binding) == ("meta", "location")

    def _names(self, binding: AttributeBinding) -> tuple[str, str]:
        return (
            _name(binding.model, binding.field_name),
            _name(binding.field_type, binding.sub_field_name),
        )

    def _head(self, binding: AttributeBinding) -> tuple[str, str]:
        schema = str(binding.model.__schema__) if self._is_extended(binding) else ""  # type: ignore[attr-defined]
        return schema, _name(binding.model, binding.field_name)

    def _path(self, binding: AttributeBinding) -> tuple[str, ...]:
        return (*self._head(binding), self._names(binding)[1])

    @staticmethod
    def _is_extended(binding: AttributeBinding) -> bool:
        return issubclass(binding.model, Extension)

    def _is_of_entitlements(self, binding: AttributeBinding) -> bool:
        schemas = (GROUP_EXTENSION, USER_EXTENSION)
        return self._is_extended(binding) and self._head(binding)[0] in schemas

    def listed_extension(
        self, binding: AttributeBinding, op: CompareOperator, operand: Any
    ) -> Condition:
        """Whether ``schemas`` names the extension of entitlements: where something is granted, it
        does, and the document knows nothing of it.
        """
        schema = USER_EXTENSION if self.table is tables.users else GROUP_EXTENSION
        name = _prepared(literal(schema), binding)
        granted = (
            _AssignmentEntries(owner=self.table, attribute=attribute).any()
            for attribute in (ACCOUNT_ASSIGNMENTS, APPLICATIONS)
        )
        return and_(_compare(name, op, operand), or_(*granted))

    def _refuse_provisioning(self, binding: AttributeBinding) -> None:
        """How a resource stands at the target is asked of each, and stored nowhere."""
        if self._is_of_entitlements(binding) and self._names(binding)[0] == PROVISIONING:
            raise _not_stored(binding)


_MEMBERSHIPS = {("users", "groups"), ("groups", "members")}


class _Entries(Protocol):
    """The entries of a multi-valued attribute of a row."""

    def value(self, binding: AttributeBinding, name: str) -> _Value:
        """A sub-attribute of an entry, or the entry itself (no name)."""
        ...

    def any(self, holds: Condition | None = None) -> Condition:
        """Whether there is an entry (for which a condition holds)."""
        ...

    def any_leaf(self) -> Condition:
        """Whether an entry holds any value."""
        ...

    def first(self, binding: AttributeBinding) -> ColumnElement[Any]:
        """The primary entry's value, or else the first one's."""
        ...


class _JsonEntries:
    """Entries in the document."""

    def __init__(self, document: ColumnElement[Any], *names: str) -> None:
        self.document = document
        self.names = names
        self._each = entries_in(document, *names).table_valued("key", "value")

    def value(self, binding: AttributeBinding, name: str) -> _Value:
        return _stored(binding, self._each.c.value, name)

    def any(self, holds: Condition | None = None) -> Condition:
        return exists(select(1).select_from(self._each).where(true() if holds is None else holds))

    def any_leaf(self) -> Condition:
        return holds_anything(self.document, *self.names)

    def first(self, binding: AttributeBinding) -> ColumnElement[Any]:
        name = _name(binding.field_type, binding.sub_field_name)
        order: list[ColumnElement[Any]] = [self._each.c.key]
        if name:
            primary = flag_in(self._each.c.value, "primary")
            order.insert(0, func.coalesce(primary, 0).desc())
        return (
            select(self.value(binding, name).comparable)
            .select_from(self._each)
            .order_by(*order)
            .limit(1)
            .scalar_subquery()
        )


class _EmailEntries(_JsonEntries):
    """E-mail addresses, which are also rows."""

    @staticmethod
    def with_value(value: str | ColumnElement[str]) -> Condition:
        """Whether an address is among them."""
        row = tables.user_emails.c
        return tables.users.c.id.in_(select(row.user_id).where(row.email_folded == value))


class _MembershipEntries:
    """The members of a group, or the groups of a user, as they are shown: also those that are there
    through nested groups.
    """

    def __init__(self, *, owner: Table) -> None:
        self.owner = owner
        self._rows = _groups_of_users() if owner is tables.users else _members_of_groups()

    def value(self, binding: AttributeBinding, name: str) -> _Value:
        match name:
            case "value":
                return _ready(self._rows.c.value)
            case "display":
                return _ready(self._rows.c.display)
            case "type":
                return _prepared(self._rows.c.type, binding)
            case _:
                # The server makes a URL of $ref, which depends on the URL a client uses.
                raise _not_stored(binding)

    def any(self, holds: Condition | None = None) -> Condition:
        if holds is None:
            return exists(select(1).select_from(self._rows).where(self._is_of_owner))
        # Not correlated: the index finds the rows, whatever the number of owners.
        return self.owner.c.id.in_(select(self._rows.c.owner).where(holds))

    def any_leaf(self) -> Condition:
        return self.any()

    def first(self, binding: AttributeBinding) -> ColumnElement[Any]:
        name = _name(binding.field_type, binding.sub_field_name)
        if name == "$ref":
            # All these addresses begin alike, and end with the id.
            name = "value"
        return (
            select(self.value(binding, name).comparable)
            .select_from(self._rows)
            .where(self._is_of_owner)
            .order_by(self._rows.c.rank, self._rows.c.row, self._rows.c.value)
            .limit(1)
            .correlate(self.owner)
            .scalar_subquery()
        )

    @property
    def _is_of_owner(self) -> Condition:
        return self._rows.c.owner == self.owner.c.id


def _members_of_groups() -> Subquery:
    """The people in each group, then the groups that were put into it."""
    person, inner = tables.memberships.c, tables.nestings.c
    people = _entries(person.group_id, person.member_id, null(), "User", 0, person.id)
    groups = _entries(inner.group_id, inner.inner_id, null(), "Group", 1, inner.id)
    return union_all(
        people.where(person.valid_to.is_(None)), groups.where(inner.valid_to.is_(None))
    ).subquery()


def _groups_of_users() -> Subquery:
    """The groups of each user, then those that the user is in only through a group in them."""
    row, group, own = tables.memberships.alias(), tables.groups.alias(), tables.memberships.alias()
    name, current = group.c.display_name_folded, row.c.valid_to.is_(None)
    direct = (
        _entries(row.c.member_id, row.c.group_id, name, "direct", 0, row.c.id)
        .join(group, group.c.id == row.c.group_id)
        .where(current)
    )
    is_direct = exists().where(
        own.c.member_id == row.c.member_id, own.c.group_id == group.c.id, own.c.valid_to.is_(None)
    )
    indirect = (
        _entries(row.c.member_id, group.c.id, name, "indirect", 1, literal(0))
        .join(PAIRS, PAIRS.c.inner_id == row.c.group_id)
        .join(group, group.c.id == PAIRS.c.group_id)
        .where(current, not_(is_direct))
    )
    return union_all(direct, indirect).subquery()


def _entries(
    owner: ColumnElement[str],
    value: ColumnElement[str],
    display: ColumnElement[Any],
    kind: str,
    rank: int,
    row: ColumnElement[int],
) -> Select[*tuple[Any, ...]]:
    """Entries of one kind. Rank and row give their order."""
    return select(
        owner.label("owner"),
        value.label("value"),
        sql_cast(display, Text).label("display"),
        literal(kind).label("type"),
        literal(rank).label("rank"),
        row.label("row"),
    )


class _AssignmentEntries:
    """What a user or group is granted in accounts, or of applications: current rows."""

    def __init__(self, *, owner: Table, attribute: str) -> None:
        self.owner = owner
        self._row = tables.assignments.alias()
        self._columns = (
            {"accountId": self._row.c.account_id, "permissionSet": self._row.c.permission_set}
            if attribute == ACCOUNT_ASSIGNMENTS
            else {"value": self._row.c.application}
        )

    def value(self, binding: AttributeBinding, name: str) -> _Value:
        if name not in self._columns:
            raise _not_stored(binding)
        return _prepared(self._columns[name], binding)

    def any(self, holds: Condition | None = None) -> Condition:
        rows = select(self._row.c.resource_id).where(
            *self._of_owners, true() if holds is None else holds
        )
        return self.owner.c.id.in_(rows)

    def any_leaf(self) -> Condition:
        return self.any()

    def first(self, binding: AttributeBinding) -> ColumnElement[Any]:
        name = _name(binding.field_type, binding.sub_field_name)
        return (
            select(self.value(binding, name).comparable)
            .where(*self._of_owners, self._row.c.resource_id == self.owner.c.id)
            .order_by(self._row.c.id)
            .limit(1)
            .correlate(self.owner)
            .scalar_subquery()
        )

    @property
    def _of_owners(self) -> tuple[Condition, ...]:
        kind = "user" if self.owner is tables.users else "group"
        column = next(iter(self._columns.values()))
        return (self._row.c.kind == kind, self._row.c.valid_to.is_(None), column != "")


# -- Comparing ----------------------------------------------------------------------


class _Incomparable(Enum):
    """Stands for an operand of another type than the attribute's, which no value equals."""

    OPERAND = auto()


def _operand(binding: AttributeBinding, node: Comparison) -> Any:
    """What a comparison compares an attribute with, in the form in which values are compared."""
    value = coerce_value(binding, node.value, node.op)
    if value is None:
        return None
    type_ = _type_of(binding)
    if node.op in STRING_OPERATORS and not (type_ is _Type.TEXT and isinstance(value, str)):
        return _Incomparable.OPERAND
    match type_:
        case _Type.TEXT:
            return _text(value, case_exact=binding.case_exact)
        case _Type.BOOLEAN:
            return int(value)
        case _Type.NUMBER:
            return _number(value)
        case _Type.BINARY:
            # Stored as the base64 text that a document carries.
            annotated: Any = (
                binding.sub_field_type if binding.sub_field_name else binding.field_type
            )
            return TypeAdapter(annotated).dump_python(value, mode="json")
        case _Type.TIME:
            return _seconds(value)
        case _Type.COMPLEX:
            return _Incomparable.OPERAND
    assert_never(type_)


def _text(value: object, *, case_exact: bool) -> Any:
    if not isinstance(value, str):
        return _Incomparable.OPERAND
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidFilterException(detail="the filter holds half of a character") from None
    return str(comparison.normalized(value) if case_exact else comparison.folded(value))


def _number(value: float) -> float:
    if abs(value) >= 2**63:
        raise InvalidFilterException(detail=f"the number {value} is too large")
    return value


def _seconds(value: datetime) -> float:
    if value.tzinfo is None:
        raise InvalidFilterException(
            detail=f'give the time zone of {value.isoformat()}, as in "2011-05-13T04:42:34Z"'
        )
    return value.timestamp()


def _compare(value: _Value, op: CompareOperator, operand: Any) -> Condition:
    """Compare a single value. A missing value differs from every operand but null."""
    if op is CompareOperator.ne:
        return not_(_compare(value, CompareOperator.eq, operand))
    if operand is None:
        return value.raw.is_(None) if op is CompareOperator.eq else false()
    if operand is _Incomparable.OPERAND:
        return false()
    return and_(value.raw.is_not(None), _holds(value.comparable, op, operand))


def _entry_matches(
    entries: _Entries, binding: AttributeBinding, name: str, op: CompareOperator, operand: Any
) -> Condition:
    is_address = isinstance(entries, _EmailEntries) and name == "value"
    if is_address and op is CompareOperator.eq and isinstance(operand, str | ColumnElement):
        return _EmailEntries.with_value(operand)
    return entries.any(_compare(entries.value(binding, name), op, operand))


def _holds(value: ColumnElement[Any], op: CompareOperator, operand: Any) -> Condition:
    compared: ColumnElement[Any]
    match op:
        case CompareOperator.eq:
            compared = value == operand
        case CompareOperator.ne:
            compared = value != operand
        case CompareOperator.gt:
            compared = value > operand
        case CompareOperator.ge:
            compared = value >= operand
        case CompareOperator.lt:
            compared = value < operand
        case CompareOperator.le:
            compared = value <= operand
        case CompareOperator.co:
            compared = position(value, _literal(operand)) > 0
        case CompareOperator.sw:
            compared = func.substr(value, 1, _length(operand)) == operand
        case CompareOperator.ew:
            compared = ending(value, literal(len(operand))) == operand if operand else true()
        case _:
            assert_never(op)
    return compared


def _literal(operand: Any) -> ColumnElement[Any]:
    return operand if isinstance(operand, ColumnElement) else literal(operand)


def _length(operand: Any) -> Any:
    return func.length(operand) if isinstance(operand, ColumnElement) else len(operand)


def _present(value: _Value, binding: AttributeBinding) -> Condition:
    """A value that is neither missing nor an empty string (RFC 7644 §3.4.2.2, ``pr``)."""
    is_there = value.raw.is_not(None)
    return and_(is_there, value.raw != "") if _type_of(binding) is _Type.TEXT else is_there


# -- Walking the filter ---------------------------------------------------------------


class _Logic(FilterVisitor[Condition]):
    """What is the same for a resource and for an entry of a multi-valued attribute."""

    def visit_not(self, node: Not) -> Condition:
        return not_(self.visit(node.expr))

    def visit_logical_expr(self, node: LogicalExpr) -> Condition:
        terms = [self.visit(term) for term in node.terms]
        return and_(*terms) if node.op is LogicalOperator.and_ else or_(*terms)


class _OfResource(_Logic):
    """The condition on a resource's row."""

    def __init__(self, scim_filter: ScimFilter[Any], attributes: _Attributes) -> None:
        self.filter = scim_filter
        self.attributes = attributes

    def visit_comparison(self, node: Comparison) -> Condition:
        binding = self.filter.resolve_comparison(node.attr_path, strict=False)
        if binding is None:
            return false()
        _refuse_secret(binding)
        return self.compare(binding, node.op, _operand(binding, node))

    def compare(self, binding: AttributeBinding, op: CompareOperator, operand: Any) -> Condition:
        """Compare an attribute with an operand, or with a parameter that stands for a text."""
        if not binding.is_multivalued:
            return _compare(self.attributes.value(binding), op, operand)
        return self._compare_entries(binding, op, operand)

    def _compare_entries(
        self, binding: AttributeBinding, op: CompareOperator, operand: Any
    ) -> Condition:
        """Compare every entry: any may match, and for ``ne`` none may be equal.

        An attribute without entries is a missing value.
        """
        entries = self.attributes.entries(binding)
        if op is CompareOperator.ne:
            return not_(self._compare_entries(binding, CompareOperator.eq, operand))
        name = _name(binding.field_type, binding.sub_field_name)
        if not name and _type_of(binding) is _Type.COMPLEX:
            # Entries without a value: there is nothing to compare, only to miss.
            is_missing = op is CompareOperator.eq and operand is None
            return not_(entries.any()) if is_missing else false()
        matches = _entry_matches(entries, binding, name, op, operand)
        if binding.field_name == "schemas":
            matches = or_(matches, self.attributes.listed_extension(binding, op, operand))
        if op is CompareOperator.eq and operand is None:
            return or_(not_(entries.any()), matches)
        return matches

    def visit_present(self, node: Present) -> Condition:
        binding = self.filter.resolve(node.attr_path, strict=False)
        if binding is None:
            return false()
        _refuse_secret(binding)
        if binding.is_multivalued:
            return self._entry_present(binding)
        if _type_of(binding) is _Type.COMPLEX:
            return self.attributes.any_leaf(binding)
        return _present(self.attributes.value(binding), binding)

    def _entry_present(self, binding: AttributeBinding) -> Condition:
        entries = self.attributes.entries(binding)
        if binding.sub_field_name is None:
            return entries.any_leaf()
        name = _name(binding.field_type, binding.sub_field_name)
        return entries.any(_present(entries.value(binding, name), binding))

    def visit_value_path(self, node: ValuePath) -> Condition:
        binding = self.filter.resolve(node.attr_path, strict=False)
        if binding is None:
            return false()
        entries = self.attributes.entries(binding)
        if _type_of(binding) is not _Type.COMPLEX:
            return entries.any(_OfScalar(entries, binding).visit(node.val_filter))
        entry_filter = _bound(cast("type[BaseModel]", binding.field_type), node.val_filter)
        return entries.any(_OfEntry(entry_filter, entries).visit(entry_filter.ast))


class _OfEntry(_Logic):
    """The condition on one entry of a complex multi-valued attribute, inside ``[…]``."""

    def __init__(self, scim_filter: ScimFilter[Any], entries: _Entries) -> None:
        self.filter = scim_filter
        self.entries = entries

    def visit_comparison(self, node: Comparison) -> Condition:
        binding = self.filter.resolve_comparison(node.attr_path, strict=False)
        if binding is None:
            return false()
        return _compare(self._value(binding), node.op, _operand(binding, node))

    def visit_present(self, node: Present) -> Condition:
        binding = self.filter.resolve(node.attr_path, strict=False)
        return false() if binding is None else _present(self._value(binding), binding)

    def visit_value_path(self, node: ValuePath) -> Condition:
        raise InvalidFilterException(detail="a value path cannot hold another one")

    def _value(self, binding: AttributeBinding) -> _Value:
        if binding.is_multivalued or _type_of(binding) is _Type.COMPLEX:
            raise _not_stored(binding)
        return self.entries.value(binding, _name(binding.model, binding.field_name))


class _OfScalar(_Logic):
    """The condition on one entry that is a plain value, which ``value`` stands for."""

    def __init__(self, entries: _Entries, binding: AttributeBinding) -> None:
        self.entries = entries
        self.binding = binding

    def visit_comparison(self, node: Comparison) -> Condition:
        if not _is_value(node.attr_path):
            return false()
        operand = node.value
        if operand is not None:
            operand = _text(operand, case_exact=self.binding.case_exact)
        return _compare(self._value, node.op, operand)

    def visit_present(self, node: Present) -> Condition:
        return _present(self._value, self.binding) if _is_value(node.attr_path) else false()

    def visit_value_path(self, node: ValuePath) -> Condition:
        raise InvalidFilterException(detail="a value path cannot hold another one")

    @property
    def _value(self) -> _Value:
        if _type_of(self.binding) is not _Type.TEXT:
            raise _not_stored(self.binding)
        return self.entries.value(self.binding, "")


def _is_value(path: AttrPath) -> bool:
    return path.attr.lower() == "value" and not path.sub_attr
