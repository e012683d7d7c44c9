"""Which calls does the SCIM endpoint of Identity Center have?

They are named as AWS names them (AWS SCIM developer guide, supported API operations).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Unpack
from urllib.parse import quote

from scim_bridge.errors import Unavailable
from scim_bridge.identity_center.exchange import Answer, Call
from scim_bridge.identity_center.transport import Haste, Transport

# More than the largest Identity Center fills (100 to a page), so a sign of a list without an end.
MOST_PAGES = 10_000


def equals(attribute: str, value: str) -> str:
    """A filter, its value quoted and escaped. AWS knows ``eq`` only."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{attribute} eq "{escaped}"'


def both(first: str, second: str) -> str:
    """Two filters joined; AWS takes no more than two."""
    return f"{first} and {second}"


class ScimEndpoint:
    """The calls, one method each. Every one raises what `Transport.ask` raises."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def create_user(self, body: Mapping[str, Any], **haste: Unpack[Haste]) -> Answer:
        call = Call(operation="CreateUser", method="POST", path="Users", body=body)
        return self.transport.ask(call, **haste)

    def get_user(self, user_id: str, **haste: Unpack[Haste]) -> Answer:
        call = Call(
            operation="GetUser", method="GET", path=_item("Users", user_id), names_principal=True
        )
        return self.transport.ask(call, **haste)

    def patch_user(self, user_id: str, body: Mapping[str, Any], **haste: Unpack[Haste]) -> Answer:
        call = Call(
            operation="PatchUser",
            method="PATCH",
            path=_item("Users", user_id),
            body=body,
            names_principal=True,
        )
        return self.transport.ask(call, **haste)

    def put_user(self, user_id: str, body: Mapping[str, Any], **haste: Unpack[Haste]) -> Answer:
        """Overwrite a user: never done to anybody but who was made to find out what it does."""
        call = Call(
            operation="PutUser",
            method="PUT",
            path=_item("Users", user_id),
            body=body,
            names_principal=True,
        )
        return self.transport.ask(call, **haste)

    def list_users(
        self,
        filter_: str | None = None,
        *,
        names_principal: bool = False,
        turn_page: Callable[[], float] | None = None,
        **haste: Unpack[Haste],
    ) -> Iterator[Mapping[str, Any]]:
        """Every user the filter leaves, page by page. Ends early only by raising.

        ``names_principal``: the filter names a group that may be gone. ``turn_page`` is called
        before each page but the first, and gives that page its deadline.
        """
        return self._pages(
            "ListUsers",
            "Users",
            filter_,
            names_principal=names_principal,
            turn_page=turn_page,
            **haste,
        )

    def create_group(self, body: Mapping[str, Any], **haste: Unpack[Haste]) -> Answer:
        call = Call(operation="CreateGroup", method="POST", path="Groups", body=body)
        return self.transport.ask(call, **haste)

    def get_group(self, group_id: str, **haste: Unpack[Haste]) -> Answer:
        call = Call(
            operation="GetGroup", method="GET", path=_item("Groups", group_id), names_principal=True
        )
        return self.transport.ask(call, **haste)

    def patch_group(self, group_id: str, body: Mapping[str, Any], **haste: Unpack[Haste]) -> Answer:
        call = Call(
            operation="PatchGroup",
            method="PATCH",
            path=_item("Groups", group_id),
            body=body,
            names_principal=True,
        )
        return self.transport.ask(call, **haste)

    def delete_user(self, user_id: str, **haste: Unpack[Haste]) -> Answer:
        call = Call(
            operation="DeleteUser",
            method="DELETE",
            path=_item("Users", user_id),
            names_principal=True,
        )
        return self.transport.ask(call, **haste)

    def delete_group(self, group_id: str, **haste: Unpack[Haste]) -> Answer:
        call = Call(
            operation="DeleteGroup",
            method="DELETE",
            path=_item("Groups", group_id),
            names_principal=True,
        )
        return self.transport.ask(call, **haste)

    def list_groups(
        self, filter_: str | None = None, *, names_principal: bool = False, **haste: Unpack[Haste]
    ) -> Iterator[Mapping[str, Any]]:
        """Every group the filter leaves, page by page. Ends early only by raising.

        ``names_principal``: the filter names a member, whose absence is a 404 (AWS SCIM developer
        guide, ListGroups).
        """
        return self._pages(
            "ListGroups", "Groups", filter_, names_principal=names_principal, **haste
        )

    def service_provider_config(self, **haste: Unpack[Haste]) -> Answer:
        call = Call(operation="ServiceProviderConfig", method="GET", path="ServiceProviderConfig")
        return self.transport.ask(call, **haste)

    def _pages(
        self,
        operation: str,
        path: str,
        filter_: str | None,
        *,
        names_principal: bool,
        turn_page: Callable[[], float] | None = None,
        **haste: Unpack[Haste],
    ) -> Iterator[Mapping[str, Any]]:
        """The resources of all pages; a page may hold fewer than it could, or none.

        The first page is asked for by the bare key ``cursor``, the others with the same filter
        (AWS SCIM developer guide, ListUsers).
        """
        seen: set[str] = set()
        cursor: str | None = ""
        while cursor is not None:
            call = Call(
                operation=operation,
                method="GET",
                path=path,
                query=_query(filter_, cursor=cursor),
                names_principal=names_principal,
            )
            page = _page(call, self.transport.ask(call, **haste))
            yield from page["Resources"]
            cursor = page.get("nextCursor") or None
            if cursor in seen:
                raise Unavailable(f"{operation}: the list comes back to a page that was read")
            if len(seen) >= MOST_PAGES:
                raise Unavailable(f"{operation}: the list does not end after {MOST_PAGES} pages")
            if cursor is not None:
                seen.add(cursor)
                if turn_page is not None:
                    haste["deadline"] = turn_page()


def _item(collection: str, item: str) -> str:
    return f"{collection}/{quote(item, safe='')}"


def _query(filter_: str | None, *, cursor: str) -> str:
    """Built by hand: libraries write + for a space, and drop or change a key without a value."""
    keys = ["cursor" + (f"={quote(cursor, safe='')}" if cursor else "")]
    if filter_ is not None:
        keys.append("filter=" + quote(filter_, safe="", errors="replace"))
    return "&".join(keys)


def _page(call: Call, answer: Answer) -> Mapping[str, Any]:
    """The body of a list.

    :raises Unavailable: it cannot be read, so that it is never taken for a list of nobody.
    """
    page = answer.body or {}
    resources, cursor = page.get("Resources"), page.get("nextCursor")
    if resources is None and 0 in (page.get("itemsPerPage"), page.get("totalResults")):
        # RFC 7644 section 3.4.2: an empty list may leave them out.
        resources = []
    readable = isinstance(resources, list) and all(isinstance(one, dict) for one in resources)
    if not readable or not (cursor is None or isinstance(cursor, str)):
        raise Unavailable(
            f"{call.operation}: the answer is no list ({answer.content_type})",
            status=answer.status,
            request_id=answer.request_id,
        )
    return {**page, "Resources": resources}
