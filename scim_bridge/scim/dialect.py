"""How may a client depart from RFC 7643 and RFC 7644? Each deviation is a rule with a name.

A rule rewrites parsed JSON, or the text of a filter, into what the standards have. It is pure, it
changes nothing that keeps to the standards already, and a second time it changes nothing more.
The strict dialect rewrites nothing but a password, and refuses what the SCIM libraries would let
pass. It lets pass on purpose, as nothing can be mistaken in it: an empty string for a value that is
no boolean.

Clients, and how sure each deviation is: E Microsoft Entra ID (E-flag with aadOptscim062020, E-old
its older jobs), O Okta (O-AIW apps of its integration wizard), P1 PingOne, S SAP, HR hand-made.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Any, Literal

from scim2_models import ScimPolicy

from scim_bridge.scim import corrections, filter_texts, operations
from scim_bridge.scim.shape import Shape

DialectName = Literal["tolerant", "strict"]


class Where(StrEnum):
    """What a rule is given."""

    # A message, by the schema of the message: of a PATCH, a Bulk request or a search by POST.
    MESSAGE = "message"
    # A resource as it is created or replaced.
    RESOURCE = "resource"
    # Any object within one.
    OBJECT = "object"
    # The message of a PATCH, by the schemas of the resource.
    PATCH = "patch"
    # What a PATCH operation sets: an object within its value, or, if its path leads to an
    # attribute, an object of that attribute and its value alone.
    VALUE = "value"
    # Only an object within the value of a PATCH operation.
    WITHIN = "within"
    FILTER = "filter"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One deviation that is understood."""

    name: str
    # For the operator: what the client sends, and how it is read.
    meaning: str
    clients: str
    source: str
    where: frozenset[Where] = frozenset()
    # None: not applicable. A rule without one is carried out by scim2-models, by its policy.
    rewrite: Callable[[Any, Shape], Any | None] | None = None
    # What the rule leaves out because nothing can take it, by name.
    drops: Callable[[Any, Shape], tuple[str, ...]] | None = None


_RESOURCE, _OBJECT = frozenset({Where.RESOURCE}), frozenset({Where.OBJECT})
_PATCH, _VALUE = frozenset({Where.PATCH}), frozenset({Where.VALUE})
_FILTER = frozenset({Where.FILTER})

PASSWORD = Rule(
    name="password",
    meaning="a password is sent; it is dropped, since nobody signs in at the bridge",
    clients="O",
    source="RFC 7643, section 4.1.1: never returned; Okta sends a throw-away one",
    where=_RESOURCE,
    rewrite=corrections.without(corrections.password),
    drops=corrections.password,
)
PASSWORD_IN_PATCH = Rule(
    name="password-in-patch",
    meaning="a PATCH sets a password; it is dropped, since nobody signs in at the bridge",
    clients="O",
    source="RFC 7643, section 4.1.1: never returned; Okta sets one by PATCH",
    where=_PATCH,
    rewrite=operations.each_operation(partial(operations.without_in, drops=operations.password_in)),
    drops=operations.password_paths,
)
MISSING_ENTRY = Rule(
    name="missing-entry",
    meaning="a value is set of an entry that is not there, for instance at "
    'emails[type eq "work"].value; the entry is made',
    clients="E, E-flag",
    source="RFC 7644, section 3.5.2.3: replace is noTarget; Microsoft's SCIM reference sends it",
)

RULES = (
    # First, so that two spellings of one path are two operations and never one key.
    Rule(
        name="paths-as-keys",
        meaning="a value without path has paths as keys (name.givenName); each is read as a path",
        clients="E-flag",
        source="RFC 7644, section 3.5.2: the value holds attributes; Entra with aadOptscim062020",
        where=_PATCH,
        rewrite=operations.each_operation(operations.separated),
    ),
    Rule(
        name="schemas-missing",
        meaning="schemas is missing, null or empty; the endpoint says which is meant",
        clients="E, HR",
        source="RFC 7643, section 3, and RFC 7644, section 3.1: it is required; reported in public "
        "issues",
        where=_RESOURCE | frozenset({Where.MESSAGE}),
        rewrite=corrections.with_schemas,
    ),
    Rule(
        name="draft-uri",
        meaning="a schema is named by the URI of a draft (urn:scim:schemas:...); it is read as "
        "the standard's",
        clients="E",
        source="RFC 7643, section 10: the registered URIs; drafts of SCIM 1 and 2 had others",
        where=_RESOURCE,
        rewrite=corrections.draft_resource,
    ),
    Rule(
        name="draft-uri-in-path",
        meaning="a path begins with the URI of a draft (urn:scim:schemas:...); it is read as the "
        "standard's",
        clients="E",
        source="RFC 7644, section 3.10, and the drafts of SCIM 1 and 2",
        where=_PATCH,
        rewrite=operations.each_operation(
            partial(operations.renamed_paths, rename=corrections.standard_name)
        ),
    ),
    Rule(
        name="unknown-schema",
        meaning="schemas lists a URI that nobody here knows; it is ignored",
        clients="E",
        source="RFC 7643, section 3: schemas name what is there; Entra adds ADSCIM's to groups",
        where=_RESOURCE,
        rewrite=corrections.in_schemas(corrections.known),
    ),
    Rule(
        name="dotted-extension",
        meaning="an attribute follows its extension's URN after a dot; it is read as after a colon",
        clients="E-old",
        source="RFC 7644, section 3.10: a colon; customappsso jobs from before December 2018",
        where=_RESOURCE,
        rewrite=partial(corrections.renamed, rename=corrections.colon_name),
    ),
    Rule(
        name="dotted-extension-in-path",
        meaning="in a path an attribute follows its extension's URN after a dot; it is read as "
        "after a colon",
        clients="E-old",
        source="RFC 7644, section 3.10: a colon; customappsso jobs from before December 2018",
        where=_PATCH,
        rewrite=operations.each_operation(
            partial(operations.renamed_paths, rename=corrections.colon_name)
        ),
    ),
    Rule(
        name="foreign-extension",
        meaning="an extension is sent that nobody here knows; it is dropped, with a warning in "
        "the audit trail",
        clients="E, O",
        source="RFC 7643, section 3.3; custom extensions that an administrator mapped",
        where=_RESOURCE,
        rewrite=corrections.without(corrections.foreign_extensions),
        drops=corrections.foreign_extensions,
    ),
    Rule(
        name="foreign-extension-in-patch",
        meaning="a PATCH is about an extension that nobody here knows; that is dropped, with a "
        "warning in the audit trail",
        clients="E, O",
        source="RFC 7644, section 3.12: invalidPath; custom extensions an administrator mapped",
        where=_PATCH,
        rewrite=operations.each_operation(
            partial(operations.without_in, drops=operations.foreign_in)
        ),
        drops=operations.foreign_paths,
    ),
    Rule(
        name="op-in-capitals",
        meaning="op is written Add, Replace or Remove; it is read in lower case",
        clients="E, E-old",
        source="RFC 7644, section 3.5.2: the values are in lower case; Entra without its flag",
        where=_PATCH,
        rewrite=operations.each_operation(operations.lower_op),
    ),
    Rule(
        name="remove-names-values",
        meaning="a remove lists values; those leave and nobody else",
        clients="E, E-old",
        source="RFC 7644, section 3.5.2.2: a remove has no value; Entra removes members so",
        where=_PATCH,
        rewrite=operations.each_operation(operations.naming_values),
    ),
    Rule(
        name="boolean-in-path",
        meaning='a path spells a boolean otherwise (roles[primary eq "True"], eq True); it is read '
        "as a boolean",
        clients="E",
        source="RFC 7644, section 3.4.2.2: booleans are true and false; Entra's app roles",
        where=_PATCH,
        rewrite=operations.each_operation(operations.filtered_truth),
    ),
    Rule(
        name="one-element-list",
        meaning="a single value comes as a list of one; it is taken out of it",
        clients="E-old, O",
        source="RFC 7643, section 2.4; customappsso jobs from before December 2018",
        where=_OBJECT | _VALUE,
        rewrite=corrections.at_each(corrections.unwrapped),
    ),
    Rule(
        name="number-for-string",
        meaning="a whole number comes where a string is meant (employeeNumber 1001); it is read as "
        "its digits",
        clients="HR",
        source="RFC 7643, section 2.3.1: a string is one of JSON; numbers of an HR system's export",
        where=_OBJECT | _VALUE,
        rewrite=corrections.at_each(corrections.in_digits),
    ),
    Rule(
        name="single-object",
        meaning="one object comes where a list is meant; it is read as a list of one",
        clients="HR",
        source="RFC 7643, section 2.4: a multi-valued attribute is an array",
        where=_OBJECT | _VALUE,
        rewrite=corrections.at_each(corrections.listed),
    ),
    Rule(
        name="empty-string",
        meaning="an empty string stands for no value; the value is unassigned",
        clients="O-AIW, PF, HR",
        source="RFC 7643, section 2.5: only null and the empty list mean no value",
        where=_OBJECT | _VALUE,
        rewrite=corrections.at_each(corrections.absent),
    ),
    Rule(
        name="manager-string",
        meaning="manager is the bare id of a user; it is read as manager.value",
        clients="E, E-flag",
        source="RFC 7643, section 4.3: manager is complex; Microsoft's SCIM reference",
        where=_OBJECT | _VALUE,
        rewrite=corrections.at_each(corrections.referring),
    ),
    Rule(
        name="boolean-string",
        meaning='"True" or "false" stands for a boolean; it is read as one',
        clients="E, E-old, HR",
        source="RFC 7643, section 2.3.2: true or false; Entra without its flag",
        where=_OBJECT | _VALUE,
        rewrite=corrections.at_each(corrections.truth),
    ),
    Rule(
        name="read-only-in-patch",
        meaning="the value of a PATCH has read-only attributes (meta, groups); they are ignored, "
        "groups with a warning in the audit trail",
        clients="O, S",
        source="RFC 7644, section 3.5.2: mutability; clients send back what they read",
        where=frozenset({Where.WITHIN}),
        rewrite=corrections.writable,
        drops=corrections.groups,
    ),
    MISSING_ENTRY,
    Rule(
        name="unquoted-filter-value",
        meaning="an id or address in a filter has no quotes; it is read as if it had",
        clients="E-old",
        source="RFC 7644, section 3.4.2.2: a JSON string; Microsoft's older pages",
        where=_FILTER,
        rewrite=filter_texts.quoted,
    ),
    Rule(
        name="manager-in-filter",
        meaning="a filter has manager without its schema; the enterprise extension's is meant",
        clients="E-old",
        source="RFC 7644, section 3.10: extensions need their URN; Entra's reference queries",
        where=_FILTER,
        rewrite=filter_texts.with_manager,
    ),
    Rule(
        name="boolean-in-filter",
        meaning='a filter spells a boolean otherwise (active eq "True", active eq True); it is '
        "read as a boolean",
        clients="E, HR",
        source="RFC 7644, section 3.4.2.2: booleans are true and false",
        where=_FILTER,
        rewrite=filter_texts.truth_in_filter,
    ),
)


_NAMED = {rule.name: rule for rule in RULES}
# Those that are about a filter, also of a path.
COMPARING = (_NAMED["boolean-in-filter"], _NAMED["boolean-in-path"])


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """What a client may send."""

    name: DialectName
    # In the order they are tried.
    rules: tuple[Rule, ...]
    # What scim2-models lets pass.
    policy: ScimPolicy
    # What scim2-models would let pass and this dialect does not: where one of these rules would
    # rewrite something, the request is refused.
    refused: tuple[Rule, ...] = ()

    def at(self, where: Where) -> tuple[Rule, ...]:
        return tuple(rule for rule in (*self.refused, *self.rules) if where in rule.where)


# An unknown attribute is refused by both: a misspelt "active" must not look applied.
TOLERANT = Dialect(
    name="tolerant",
    rules=(PASSWORD, PASSWORD_IN_PATCH, *RULES),
    policy=ScimPolicy(remove_value_as_filter=ScimPolicy.RemoveValue.apply),
)
# The standards as they stand. A password is part of them, and cannot be kept for anybody.
STRICT = Dialect(
    name="strict",
    rules=(PASSWORD, PASSWORD_IN_PATCH),
    policy=ScimPolicy(),
    refused=(
        replace(
            _NAMED["boolean-string"],
            meaning="a string stands for a boolean",
            rewrite=corrections.at_each(corrections.no_boolean),
        ),
        replace(
            _NAMED["paths-as-keys"],
            meaning="a path stands for the name of an attribute",
            where=frozenset({Where.WITHIN}),
            rewrite=operations.without_paths,
        ),
        _NAMED["schemas-missing"],
        _NAMED["single-object"],
        _NAMED["op-in-capitals"],
        _NAMED["boolean-in-filter"],
        _NAMED["boolean-in-path"],
    ),
)

DIALECTS: Mapping[str, Dialect] = {one.name: one for one in (TOLERANT, STRICT)}
