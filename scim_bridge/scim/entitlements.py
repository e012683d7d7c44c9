"""What may a client say that users and groups are granted? Decided before the commit.

A request that states what is there already is no change, whoever sends it.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, cast

from scim2_models import (
    ForbiddenException,
    InvalidValueException,
    PatchOp,
    PatchOperation,
    Path,
    Resource,
)
from scim2_models.path import CompareOperator, Comparison, FilterNode, LogicalExpr, LogicalOperator

from scim_bridge.directory.catalogue import ARN, Catalogue
from scim_bridge.directory.documents import grants_of
from scim_bridge.directory.entitlements import NamedGrant, Stated
from scim_bridge.plan.grants import AccountGrant, Grant
from scim_bridge.plan.protection import Protection
from scim_bridge.scim.credentials import Client
from scim_bridge.scim.provider import GroupEntitlements, UserEntitlements
from scim_bridge.settings import Safety

_ACCOUNT = re.compile(r"[0-9]{12}")
# The most names that a refusal suggests.
_SUGGESTIONS = 3


class EntitlementRules:
    """The rules of one configuration. Reads the catalogue in the caller's transaction.

    Raises `ForbiddenException` for what the client may not change, and `InvalidValueException` for
    what cannot be granted.
    """

    def __init__(self, safety: Safety, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._sets = Protection(safety.protected_permission_sets)
        self._protects_sets = bool(safety.protected_permission_sets)
        self._accounts = frozenset(safety.protected_accounts)

    def change(self, client: Client, before: Iterable[NamedGrant], stated: Stated) -> None:
        """Refuse a statement that this client may not make."""
        present, wanted = frozenset(before), frozenset(stated.grants)
        coming, going = wanted - present, (present - wanted) | frozenset(stated.named)
        if not coming and not going:
            return
        if not client.entitlements:
            raise ForbiddenException(
                detail=f"The client {client.name} may not change what users and groups are "
                "granted. The operator makes one that may with `scim-bridge client add NAME "
                "--entitlements`."
            )
        self._refuse_protected(sorted(coming | going))
        self._refuse_impossible(sorted(coming))

    def deletion(self, before: Iterable[NamedGrant]) -> None:
        """Refuse to delete a group that grants something protected."""
        self._refuse_protected(before)

    def _refuse_protected(self, grants: Iterable[NamedGrant]) -> None:
        for catalogue, some in self._by_catalogue(grants):
            names = catalogue.permission_set_names() if self._protects_sets else {}
            for named in some:
                if named.account in self._accounts:
                    raise ForbiddenException(
                        detail=f"Account {named.account} is protected: no client may change who "
                        "has access to it"
                    )
                if self._protects_sets and named.permission_set:
                    self._refuse_protected_set(named, catalogue.grant(named), names)

    def _refuse_protected_set(
        self, named: NamedGrant, grant: Grant | None, names: Mapping[str, str]
    ) -> None:
        arn = grant.permission_set if isinstance(grant, AccountGrant) else None
        for name in (named.permission_set, arn and names.get(arn), arn):
            if name and self._sets.covers(name):
                raise ForbiddenException(
                    detail=f"The permission set {named.permission_set} is protected: no client may "
                    "change who has it"
                )
        if arn is not None and arn not in names:
            raise ForbiddenException(
                detail=f"Whether the permission set {arn} is protected is not known before the "
                "next extraction. Name it by its name."
            )

    def _by_catalogue(
        self, grants: Iterable[NamedGrant]
    ) -> Iterable[tuple[Catalogue, Collection[NamedGrant]]]:
        """Grants by the catalogue of the target where they are to be given."""
        found: dict[str, tuple[Catalogue, list[NamedGrant]]] = {}
        for named in grants:
            catalogue = self.catalogue.of(named)
            found.setdefault(catalogue.target, (catalogue, []))[1].append(named)
        return found.values()

    def _refuse_impossible(self, coming: Collection[NamedGrant]) -> None:
        if problems := [*_malformed(coming), *self._unknown(coming)]:
            raise InvalidValueException(detail="; ".join(dict.fromkeys(problems)))

    def _unknown(self, coming: Collection[NamedGrant]) -> Iterator[str]:
        """What a fresh catalogue does not show. Without one, anything may be there."""
        for catalogue, some in self._by_catalogue(coming):
            yield from _unknown_there(catalogue, some)


def _unknown_there(catalogue: Catalogue, coming: Collection[NamedGrant]) -> Iterator[str]:
    if not catalogue.is_fresh():
        return
    sets, accounts = catalogue.permission_set_names(), catalogue.account_ids()
    applications = catalogue.application_names()
    for named in coming:
        if named.application:
            yield from _not_among(applications, "application", named.application)
        else:
            yield from _not_among(sets, "permission set", named.permission_set)
            if named.account not in accounts:
                yield _unknown_account(named.account, accounts)


def named_for_removal(patch_op: "PatchOp[Any]", after: Resource[Any]) -> tuple[NamedGrant, ...]:
    """The grants a PATCH takes away by name, there or not, and does not give again."""
    found = [one for operation in patch_op.operations or () for one in _removed(operation)]
    given = frozenset(grants_of(after))
    return tuple(dict.fromkeys(one for one in found if one not in given))


# ---------------------------------------------------------------------------------------------
# What is wrong with a name


def _malformed(grants: Iterable[NamedGrant]) -> Iterator[str]:
    for named in grants:
        if named.application:
            continue
        if not named.account and not named.permission_set:
            yield "applications: each needs a value, the name or ARN of an application"
        elif not named.permission_set:
            yield f"permissionSet is required, for account {named.account}"
        elif not _ACCOUNT.fullmatch(named.account):
            yield f"accountId must be twelve digits, not {named.account!r}"


def _not_among(known: Mapping[str, str], what: str, given: str) -> Iterator[str]:
    """Whether there is no such thing, or several; by the names of what is known, by their ARNs."""
    meant = [arn for arn, name in known.items() if given in (arn, name)]
    if len(meant) > 1:
        yield f"there are {len(meant)} {what}s named {given!r}: give the ARN"
    elif not meant:
        near = list(known.values()) if not given.startswith(ARN) else list(known)
        yield f"there is no {what} {given!r}{_suggestion(given, near)}"


def _unknown_account(given: str, known: Mapping[str, str]) -> str:
    by_name = [account for account, name in known.items() if name == given]
    near = by_name or get_close_matches(given, known, n=_SUGGESTIONS)
    shown = ", ".join(f"{account} ({known[account]})" for account in near)
    return f"there is no account {given!r}" + (f"; there is {shown}" if shown else "")


def _suggestion(given: str, known: Collection[str]) -> str:
    folded = {name.casefold(): name for name in known}
    near = get_close_matches(given.casefold(), folded, n=_SUGGESTIONS)
    return f"; there is {', '.join(folded[name] for name in near)}" if near else ""


# ---------------------------------------------------------------------------------------------
# What a PATCH names for removal


def _removed(operation: PatchOperation[Any]) -> Iterator[NamedGrant]:
    if operation.op is not PatchOperation.Op.remove or operation.path is None:
        return
    binding = _binding(str(operation.path))
    if binding is None or binding.sub_field_name is not None:
        return
    entries = _entries(operation)
    for entry in entries:
        given = {name.lower(): value for name, value in entry.items()}
        if binding.field_name == "account_assignments":
            named = NamedGrant(
                account=given.get("accountid") or "",
                permission_set=given.get("permissionset") or "",
            )
        else:
            named = NamedGrant(application=given.get("value") or "")
        if named.application or (named.account and named.permission_set):
            yield named


def _binding(path: str) -> Any:
    """What of the extension a path is about: its account assignments or its applications."""
    for extension in (GroupEntitlements, UserEntitlements):
        prefix = f"{extension.__schema__}:"
        if path.lower().startswith(prefix.lower()):
            binding = Path[extension](path[len(prefix) :]).resolve()  # type: ignore[valid-type]
            named = binding and binding.field_name in ("account_assignments", "applications")
            return binding if named else None
    return None


def _entries(operation: PatchOperation[Any]) -> Iterator[Mapping[str, Any]]:
    value_filter = cast("Path[Any]", operation.path).value_filter
    if value_filter is not None:
        if (equal := _equal(value_filter)) is not None:
            yield equal
        return
    value = operation.value
    for entry in value if isinstance(value, list) else [value]:
        if isinstance(entry, Mapping):
            yield entry


def _equal(node: FilterNode) -> dict[str, Any] | None:
    """The values of a filter that is nothing but equalities, all of which must hold."""
    match node:
        case Comparison(op=CompareOperator.eq):
            return {str(node.attr_path): node.value}
        case LogicalExpr(op=LogicalOperator.and_):
            parts = [_equal(term) for term in node.terms]
            found: dict[str, Any] = {}
            for part in parts:
                if part is None:
                    return None
                found |= part
            return found
        case _:
            return None
