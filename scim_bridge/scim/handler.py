"""How is a SCIM operation carried out? Directory first, then Identity Center within the wait.

Every write of a single request is one transaction on the directory, handed to the delivery, which
waits for the resource if it is being delivered, runs the write, and tries to bring it to Identity
Center. The steps of a Bulk request are written one by one and left to the worker.
"""

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Protocol, TypeVar, cast

from scim2_models import (
    BaseModel,
    BulkOperation,
    Error,
    Extension,
    ForbiddenException,
    InvalidValueException,
    Meta,
    PatchOp,
    PreconditionFailedException,
    Resource,
    ResourceType,
    ResponseParameters,
    SCIMException,
    SearchRequest,
    UniquenessException,
)
from scim2_server.bulk import BulkStep
from scim2_server.conditions import Conditions
from scim2_server.handler import ScimHandler
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse
from scim2_server.routing import Operation
from sqlalchemy import Row

from scim_bridge.directory import audit, texts
from scim_bridge.directory.audit import Action
from scim_bridge.directory.documents import document_of, grants_of
from scim_bridge.directory.entitlements import Stated, extension_of
from scim_bridge.directory.kinds import kind_of
from scim_bridge.directory.ownership import same_people
from scim_bridge.directory.representation import etag, etag_of
from scim_bridge.directory.resources import Resources
from scim_bridge.directory.texts import Stored
from scim_bridge.plan.authority import merged
from scim_bridge.scim.admission import Admitted, deactivation
from scim_bridge.scim.authentication import caller
from scim_bridge.scim.bulk import CircleBroken, Plan, Step, broken_at
from scim_bridge.scim.dialect import Rule
from scim_bridge.scim.entitlements import named_for_removal
from scim_bridge.scim.members import MemberChanges, plain_additions, taken_apart
from scim_bridge.scim.provider import Group, Member, User
from scim_bridge.scim.service import Service, selects
from scim_bridge.scim.text_answers import Addresses, TextResponse

T = TypeVar("T")

# How often a write is made again after another one came between, when the client insists on no
# version.
ATTEMPTS = 5

# The most that the audit trail names of what one request sent and nothing can take, and the length
# of such a name at most.
MAX_NAMED, MAX_NAME = 20, 200
# Where the name of an attribute or a schema ends.
_NO_NAME = re.compile(r"[^\w.:$-]", re.ASCII)

# A group without its members, which are many.
_WITHOUT_MEMBERS = ResponseParameters[Group](excluded_attributes=["members"])


class Carrier(Protocol):
    """Who brings a write to the target: `scim_bridge.sync.delivery.Delivery`."""

    def carry(self, act: Callable[[], T]) -> T: ...


class Handler(ScimHandler):
    """Serves the SCIM operations on the directory."""

    service: Service
    storage: Resources

    def __init__(self, service: Service, storage: Resources, delivery: Carrier) -> None:
        super().__init__(service, storage)
        self._delivery = delivery

    # -- Reads: one consistent state, without the lock of a write -------

    def query(self, request: ScimRequest) -> ScimResponse:
        """Read a resource (RFC 7644, section 3.4.1)."""
        with self.service.provider, self.storage.reading():
            resource_type, resource_id = self._target(request, Operation.query)
            parameters = self.service.read_response_parameters(resource_type, request.query)
            if not texts.suffice(parameters):
                return super().query(request)
            row = self.storage.stored(resource_type, resource_id)
            if not self.service.read_conditions(request).check(etag(row), "GET"):
                location = self.service.resource_location(request.base_url, resource_type, row.id)
                headers = {"Content-Location": location, "ETag": etag(row)}
                return ScimResponse(HTTPStatus.NOT_MODIFIED, None, headers)
            return self._text(request, resource_type, row, parameters)

    def _text(
        self,
        request: ScimRequest,
        resource_type: ResourceType,
        row: Stored,
        parameters: ResponseParameters[Any],
        status: HTTPStatus = HTTPStatus.OK,
    ) -> ScimResponse:
        """A resource as it is stored, for parameters for which texts suffice."""
        location = self.service.resource_location(request.base_url, resource_type, row.id)
        headers = {"Content-Location": location, "ETag": etag(row), "Location": location}
        addresses = self._addresses(request.base_url)
        text = self.storage.text(resource_type, row, parameters, addresses)
        return TextResponse(status, None, headers, text)

    def search(self, request: ScimRequest) -> ScimResponse:
        """Search with GET, of one type or of all (RFC 7644, section 3.4.2)."""
        return self._search(
            request,
            Operation.search,
            lambda types: self.service.read_search_query(types, request.query),
        )

    def search_with_body(self, request: ScimRequest) -> ScimResponse:
        """Search with POST on ".search" (RFC 7644, section 3.4.3)."""
        return self._search(
            request,
            Operation.search_with_body,
            lambda types: self.service.read_search_body(
                types, request.body, request.header("Content-Type")
            ),
        )

    def _search(
        self,
        request: ScimRequest,
        operation: Operation,
        read: Callable[[list[ResourceType]], tuple[SearchRequest[Any], Any]],
    ) -> ScimResponse:
        with self.service.provider, self.service.counting(), self.storage.reading():
            target = self.service.route(request, operation)
            types = self.service.searched_types(target.endpoint)
            allowed = self.service.authorized_types(request, target, types)
            asked, position = read(types)
            if not texts.suffice(asked):
                found = self.storage.search(allowed, asked, position=position)
                return self.service.search_response(request.base_url, types, found, asked)
            page = self.storage.search_texts(
                allowed, asked, self._addresses(request.base_url), position=position
            )
            return self.service.text_page_response(types, page, asked)

    def _addresses(self, base_url: str) -> Addresses:
        return Addresses(service=self.service, base_url=base_url)

    # -- Writes of a single request -------------------------------------

    def create(self, request: ScimRequest) -> ScimResponse:
        """Create a resource (RFC 7644, section 3.3)."""
        with self.service.provider, self.service.counting():
            resource_type, _ = self._target(request, Operation.create)
            parameters = self.service.read_response_parameters(resource_type, request.query)
            resource = self.service.read_creation(
                resource_type, request.body, request.header("Content-Type")
            )
            if texts.suffice(parameters):
                return self._carried(
                    lambda: self._created(request, resource_type, resource, parameters)
                )
            created = self._carried(lambda: self._create(resource_type, resource))
            if parameters.attributes:
                created = self.storage.get(
                    resource_type, cast(str, created.id), response_parameters=parameters
                )
            return self.service.creation_response(request.base_url, created, parameters)

    def replace(self, request: ScimRequest) -> ScimResponse:
        """Replace a resource (RFC 7644, section 3.5.1)."""
        with self.service.provider, self.service.counting():
            resource_type, resource_id = self._target(request, Operation.replace)
            parameters = self.service.read_response_parameters(resource_type, request.query)
            replacement = self.service.read_replacement(
                resource_type, request.body, request.header("Content-Type")
            )
            conditions = self.service.read_conditions(request)

            def replace() -> Resource[Any]:
                return self._replace(resource_type, resource_id, replacement, conditions)

            if texts.suffice(parameters):
                return self._carried(lambda: self._shown(request, replace(), parameters))
            replaced = self._carried(replace)
            if parameters.attributes:
                # What is returned on request only is not in what a write gives back.
                replaced = self.storage.get(
                    resource_type, resource_id, response_parameters=parameters
                )
            return self.service.replacement_response(request.base_url, replaced, parameters)

    def patch(self, request: ScimRequest) -> ScimResponse:
        """Modify a resource (RFC 7644, section 3.5.2)."""
        with self.service.provider, self.service.counting():
            resource_type, resource_id = self._target(request, Operation.patch)
            parameters = self.service.read_response_parameters(resource_type, request.query)
            payload = self.service.decode_body(request.body, request.header("Content-Type"))
            joining = plain_additions(payload) if _is_group(resource_type) else None
            if joining is not None and not selects(parameters):
                conditions = self.service.read_conditions(request)
                version = self._carried(
                    lambda: self._change_members(resource_id, joining, conditions)
                )
                return self.service.silent_response(etag_of(version))
            patch_op = self.service.patch_of(resource_type, payload)
            conditions = self.service.read_conditions(request)
            patched = self._carried(
                lambda: self.patch_resource(resource_type, resource_id, patch_op, conditions)
            )
            if parameters.attributes or (
                isinstance(patched, Group) and parameters.excluded_attributes
            ):
                patched = self.storage.get(
                    resource_type, resource_id, response_parameters=parameters
                )
            return self.service.patch_response(request.base_url, patched, parameters)

    def delete(self, request: ScimRequest) -> ScimResponse:
        """Delete a resource (RFC 7644, section 3.6)."""
        with self.service.provider:
            resource_type, resource_id = self._target(request, Operation.delete)
            conditions = self.service.read_conditions(request)
            self._carried(lambda: self.delete_resource(resource_type, resource_id, conditions))
            return self.service.deletion_response()

    def _shown(
        self,
        request: ScimRequest,
        written: Resource[Any],
        parameters: ResponseParameters[Any],
    ) -> ScimResponse:
        """What was written, as it is stored now."""
        resource_type = self.service.get_resource_type_of(written)
        row = self.storage.stored(resource_type, cast(str, written.id))
        return self._text(request, resource_type, row, parameters)

    def _target(self, request: ScimRequest, operation: Operation) -> tuple[ResourceType, str]:
        """What an allowed request is about. A creation has no id yet."""
        target = self.service.route(request, operation)
        resource_type = self.service.resource_type_at(cast(str, target.endpoint))
        self.service.authorize(request, target, resource_type)
        return resource_type, target.resource_id or ""

    def _carried(self, act: Callable[[], T]) -> T:
        """Write in one transaction, and bring it to Identity Center as far as the wait reaches."""

        def write() -> T:
            with self.storage.operation():
                return act()

        return self._delivery.carry(write)

    # -- Bulk -----------------------------------------------------------

    def bulk(self, request: ScimRequest) -> ScimResponse:
        """Carry out a Bulk request (RFC 7644, section 3.7)."""
        with self.service.provider, self.service.counting() as needs:
            self.service.route(request, Operation.bulk)
            plan = self.service.read_bulk(request.body, request.header("Content-Type"))
            for step in plan:
                if isinstance(step, Step) and step.circle:
                    self._run_circle(request, plan, step.circle)
                else:
                    plan.record(step, *self.run_bulk_step(request, plan, step))
            needs.add_operations(
                index
                for index, result in plan.results.items()
                if result["status"] < HTTPStatus.BAD_REQUEST
            )
            return self.service.bulk_response(plan)

    def _run_circle(self, request: ScimRequest, plan: Plan, circle: tuple[int, ...]) -> None:
        """Make what refers to each other, all or nothing (RFC 7644, section 3.7.1)."""
        try:
            with self.storage.operation():
                made = self._circle(request, plan, circle)
        except CircleBroken as broken:
            self._record_broken(request, plan, circle, broken.told)
            return
        except Exception as why:  # As the library has it: one step never fails the whole request.
            failure = why
            self._record_broken(request, plan, circle, lambda _index: failure)
            return
        for index, resource in made.items():
            operation = plan.operations[index]
            outcome = self.service.bulk_outcome(request.base_url, operation)
            result = self.service.bulk_success(request.base_url, operation, outcome, resource)
            plan.record(BulkStep(index), result, resource)

    def _record_broken(
        self,
        request: ScimRequest,
        plan: Plan,
        circle: tuple[int, ...],
        told: Callable[[int], Exception],
    ) -> None:
        """Nothing of a circle was made. `told`: the error of each of its operations."""
        plan.forget(circle)
        for index in circle:
            outcome = self.service.bulk_outcome(request.base_url, plan.operations[index])
            plan.record(BulkStep(index), self.service.bulk_failure(outcome, told(index)), None)

    def _circle(
        self, request: ScimRequest, plan: Plan, circle: tuple[int, ...]
    ) -> dict[int, Resource[Any]]:
        """Create each without what is not there yet, then give each the rest."""
        made: dict[int, Resource[Any]] = {}
        cut: dict[int, Any] = {}
        for index in circle:
            with broken_at(plan.operations[index], index):
                resource_type = self._allowed_in_bulk(request, plan.operations[index])
                first = plan.without_circle(index, circle)
                cut[index] = first.data
                made[index] = self._create(resource_type, cast(Resource[Any], first.data))
                plan.created[cast(str, first.bulk_id)] = made[index]
        for index in circle:
            with broken_at(plan.operations[index], index):
                made[index] = self._completed(plan, index, cut[index], made[index])
        return made

    def _completed(self, plan: Plan, index: int, cut: Any, made: Resource[Any]) -> Resource[Any]:
        """What was made of a part of an operation's data, made of all of it."""
        whole = cast(Resource[Any], plan.resolve(BulkStep(index)).data)
        if whole == cut:
            return made
        resource_type = self.service.get_resource_type_of(made)
        # What is dropped was named when the part was made.
        return self._replaced(resource_type, cast(str, made.id), whole, Conditions())

    def _allowed_in_bulk(
        self, request: ScimRequest, operation: BulkOperation[Resource[Any]]
    ) -> ResourceType:
        """The resource type that a creation of a Bulk request is of, if it may be done."""
        resource_type = self.service.route_bulk_operation(operation)
        self.service.authorize_bulk_operation(request, operation, resource_type)
        if isinstance(operation.response, Error):
            raise SCIMException.from_error(operation.response)
        return cast(ResourceType, resource_type)

    # -- Writes of any request, within its transaction ------------------

    def apply_bulk_operation(
        self, resource_type: ResourceType, operation: BulkOperation[Resource[Any]]
    ) -> Resource[Any] | None:
        """Apply one operation of a Bulk request as a single request would (RFC 7644, section 3.7).

        The worker delivers it.
        """
        match operation.method:
            case BulkOperation.Method.post:
                return self._create(resource_type, cast(Resource[Any], operation.data))
            case BulkOperation.Method.put:
                return self._replace(
                    resource_type,
                    cast(str, operation.resource_id),
                    cast(Resource[Any], operation.data),
                    Conditions(if_match=operation.version),
                )
            case _:
                return super().apply_bulk_operation(resource_type, operation)

    def patch_resource(
        self,
        resource_type: ResourceType,
        resource_id: str,
        patch_op: "PatchOp[Any]",
        conditions: Conditions,
    ) -> Resource[Any]:
        """Apply a PATCH. A group comes back without its members unless it had to be loaded."""
        patch = self._patch_group if _is_group(resource_type) else self._patch_user
        tolerated: set[Rule] = set()
        patched = _retried(
            lambda: patch(resource_type, resource_id, patch_op, conditions, tolerated), conditions
        )
        self.service.need(rule.name for rule in tolerated)
        self._audit_dropped(patched, patch_op)
        return patched

    def delete_resource(
        self, resource_type: ResourceType, resource_id: str, conditions: Conditions
    ) -> None:
        def delete() -> None:
            current = self._current(resource_type, resource_id)
            self.service.check_deletion(current, conditions)
            self.service.admission.touch(current)
            if _is_group(resource_type):
                self.service.entitlements.deletion(grants_of(current))
            self.storage.delete(resource_type, resource_id, expected_version=_version(current))

        _retried(delete, conditions)

    def _create(self, resource_type: ResourceType, resource: Resource[Any]) -> Resource[Any]:
        return self.storage.get(resource_type, self._insert(resource_type, resource))

    def _created(
        self,
        request: ScimRequest,
        resource_type: ResourceType,
        resource: Resource[Any],
        parameters: ResponseParameters[Any],
    ) -> ScimResponse:
        """Create a resource, and answer as it is then."""
        row = self.storage.stored(resource_type, self._insert(resource_type, resource))
        if not _is_group(resource_type) and row.version == 1:
            # Who is new is in no group, unless rules put them there.
            parameters = texts.BARE[kind_of(resource_type)]
        return self._text(request, resource_type, row, parameters, HTTPStatus.CREATED)

    def _insert(self, resource_type: ResourceType, resource: Resource[Any]) -> str:
        admitted = self.service.admission.creation(resource)
        if not _is_group(resource_type) and (known := self._known(admitted)):
            joined = self._join(resource_type, known, admitted)
            self._audit_dropped(joined, resource)
            return cast(str, joined.id)
        self.service.entitlements.change(caller(), (), Stated(grants=grants_of(admitted)))
        created = self.storage.insert(resource_type, admitted)
        if resource.unknown_attributes:
            self._audit_dropped(admitted.model_copy(update={"id": created}), resource)
        return created

    def _known(self, given: Resource[Any]) -> str | None:
        """The person whom another source has created already, by the keys of ``[matching]``.

        Raises `UniquenessException` when several are like the new one.
        """
        keys = self.service.matching
        found = same_people(self.storage.database, document_of(given), keys) if keys else {}
        if len(found) > 1:
            by = sorted({key for each in found.values() for key in each})
            raise UniquenessException(
                detail=f"several people are like this one by {', '.join(by)}: "
                "change them so that one is, or have the operator match by less"
            )
        return next(iter(found), None)

    def _join(
        self, resource_type: ResourceType, user_id: str, given: Resource[Any]
    ) -> Resource[Any]:
        """Add what a source says of a person whom another source has created.

        It makes nobody active and changes no userName, unless the source owns that.
        """
        current = self._current(resource_type, user_id)
        self.service.admission.touch(current)
        said = document_of(given)
        if said.get("active") is not False and not self.storage.owners.owns("active"):
            said.pop("active", None)
        if not self.storage.owners.owns("userName"):
            said.pop("userName")
        grants = grants_of(given)
        stated = Stated(grants=(*grants_of(current), *grants)) if grants else None
        present = self.storage.owners.without_own(document_of(current))
        document = {**_kept(current), **merged(present, said), "id": user_id}
        after = type(current).model_validate(document)
        return self._update(resource_type, current, after, stated)

    def _replace(
        self,
        resource_type: ResourceType,
        resource_id: str,
        replacement: Resource[Any],
        conditions: Conditions,
    ) -> Resource[Any]:
        replaced = self._replaced(resource_type, resource_id, replacement, conditions)
        self._audit_dropped(replaced, replacement)
        return replaced

    def _replaced(
        self,
        resource_type: ResourceType,
        resource_id: str,
        replacement: Resource[Any],
        conditions: Conditions,
    ) -> Resource[Any]:
        def replace() -> Resource[Any]:
            current = self._current(resource_type, resource_id)
            self.service.check_preconditions(current, "PUT", conditions)
            # A copy, since the same request may have to be applied again. Of a group, whose members
            # may be many, nothing is changed that lies deeper.
            after = replacement.model_copy(deep=not isinstance(current, Group))
            stated = _stated(resource_type, current, after)
            if isinstance(current, Group):
                return self._replace_group(resource_type, current, after, stated)
            admitted = self.service.admission.replacement(current, after)
            return self._store_user(resource_type, current, admitted, stated)

        return _retried(replace, conditions)

    def _audit_dropped(self, resource: Resource[Any], given: BaseModel) -> None:
        """Name in the audit trail what the client sent and nothing can take. Never its value."""
        if dropped := sorted(given.unknown_attributes):
            audit.record(
                self.storage.database,
                action=Action.WARNING,
                kind="user" if isinstance(resource, User) else "group",
                resource_id=resource.id,
                facts=_named(dropped),
                user_name=resource.user_name if isinstance(resource, User) else None,
            )

    # -- Users ----------------------------------------------------------

    def _patch_user(
        self,
        resource_type: ResourceType,
        resource_id: str,
        patch_op: "PatchOp[Any]",
        conditions: Conditions,
        tolerated: set[Rule],
    ) -> Resource[Any]:
        current = self._current(resource_type, resource_id)
        self.service.check_preconditions(current, "PATCH", conditions)
        admitted = self.service.patched(current, patch_op, tolerated)
        stated = _patched_grants(current, admitted.resource, patch_op)
        return self._store_user(resource_type, current, admitted, stated)

    def _store_user(
        self,
        resource_type: ResourceType,
        before: Resource[Any],
        admitted: Admitted,
        stated: Stated | None,
    ) -> Resource[Any]:
        """Store what was admitted. A deactivation is stored whatever it comes with.

        If something else in it is taken by another user, or may not be granted or revoked by this
        client, the deactivation alone is stored.
        """
        try:
            stored = self._update(
                resource_type, before, admitted.resource, stated, states_all=admitted.states_all
            )
        except (UniquenessException, ForbiddenException, InvalidValueException):
            if not admitted.deactivates:
                raise
            admitted = deactivation(cast(User[Any], before), cast(User[Any], admitted.resource))
            stored = self._update(resource_type, before, admitted.resource)
        self._audit_ignored(before, admitted)
        return stored

    def _update(
        self,
        resource_type: ResourceType,
        before: Resource[Any],
        after: Resource[Any],
        stated: Stated | None = None,
        *,
        states_all: bool = False,
    ) -> Resource[Any]:
        """Store a resource, with the grants the client states, if it states any."""
        if stated is not None:
            self.service.entitlements.change(caller(), grants_of(before), stated)
        # Also brings over what no client writes: id, meta and groups.
        if not after.replace(before) and not (stated and stated.named):
            return before
        return self.storage.update(
            resource_type,
            after,
            expected_version=_version(before),
            stated=stated,
            states_all=states_all,
        )

    def _audit_ignored(self, before: Resource[Any], admitted: Admitted) -> None:
        if admitted.ignored:
            audit.record(
                self.storage.database,
                action=Action.WARNING,
                kind="user",
                resource_id=before.id,
                facts={"deactivation": "applied", "ignored": list(admitted.ignored)},
                user_name=cast(User[Any], before).user_name,
            )

    # -- Groups ---------------------------------------------------------

    def _replace_group(
        self,
        resource_type: ResourceType,
        current: Group,
        replacement: Resource[Any],
        stated: Stated | None,
    ) -> Resource[Any]:
        """Replace a group. Its member list is the whole of it: without one, nobody."""
        after = replacement.model_copy(update={"id": current.id, "meta": current.meta})
        admitted = self.service.admission.replacement(current, after)
        if stated is not None:
            self.service.entitlements.change(caller(), grants_of(current), stated)
        self.storage.rewrite(
            resource_type,
            admitted.resource,
            expected_version=_version(current),
            members="replaced",
            stated=stated,
        )
        return self._current(resource_type, cast(str, current.id))

    def _patch_group(
        self,
        resource_type: ResourceType,
        group_id: str,
        patch_op: "PatchOp[Any]",
        conditions: Conditions,
        tolerated: set[Rule],
    ) -> Resource[Any]:
        """Apply a PATCH of a group. Members given by their ids are changed as rows."""
        apart = taken_apart(patch_op)
        if apart is None:
            return self._patch_whole_group(resource_type, group_id, patch_op, conditions, tolerated)
        if apart.members and not apart.rest:
            return self._patch_members(resource_type, group_id, apart.members, conditions)
        current = self._current(resource_type, group_id)
        self.service.check_preconditions(current, "PATCH", conditions)
        self.service.admission.touch(current)
        if apart.rest:
            after = self.service.patched(current, apart.rest, tolerated).resource
            stated = _patched_grants(current, after, apart.rest)
            if stated is not None:
                self.service.entitlements.change(caller(), grants_of(current), stated)
            if after.replace(current) or stated is not None:
                return self._rewrite_group(resource_type, current, after, apart.members, stated)
        if apart.members:
            self._change_members(group_id, apart.members, conditions)
        return self._current(resource_type, group_id)

    def _patch_members(
        self,
        resource_type: ResourceType,
        group_id: str,
        members: MemberChanges,
        conditions: Conditions,
    ) -> Resource[Any]:
        """Change only who is in a group. It comes back with nothing but its version."""
        version = self._change_members(group_id, members, conditions)
        meta = Meta(resource_type=resource_type.name, version=etag_of(version))
        return self.service.get_model(resource_type)(id=group_id, meta=meta)

    def _change_members(self, group_id: str, members: MemberChanges, conditions: Conditions) -> int:
        """Change who is in a group, of which nothing but its name has to be known."""

        def allow(group: Row[Any]) -> None:
            conditions.check(etag(group), "PATCH")
            self.service.admission.touch_named(group.display_name)

        return self.storage.change_members(
            group_id,
            add=members.add,
            remove=members.remove,
            replace=members.replace,
            allow=allow,
        )

    def _rewrite_group(
        self,
        resource_type: ResourceType,
        current: Resource[Any],
        after: Resource[Any],
        members: MemberChanges | None,
        stated: Stated | None,
    ) -> Resource[Any]:
        """Store a group whose document changes, and its members with it, in one write."""
        version = _version(current)
        if members is None:
            return self.storage.update(
                resource_type, after, expected_version=version, members="kept", stated=stated
            )
        return self.storage.update(
            resource_type,
            after.model_copy(
                update={"members": self._members_after(resource_type, after.id, members)}
            ),
            expected_version=version,
            members="given" if members.replace is None else "replaced",
            named=members.remove,
            stated=stated,
        )

    def _members_after(
        self, resource_type: ResourceType, group_id: str | None, members: MemberChanges
    ) -> list[Any]:
        if members.replace is None:
            present = cast(Group, self.storage.get(resource_type, group_id or "")).members or []
            members = members.on(tuple(cast(str, member.value) for member in present))
        return [Member(value=one) for one in members.replace or ()]

    def _patch_whole_group(
        self,
        resource_type: ResourceType,
        group_id: str,
        patch_op: "PatchOp[Any]",
        conditions: Conditions,
        tolerated: set[Rule],
    ) -> Resource[Any]:
        current = self.storage.get(resource_type, group_id)
        self.service.check_preconditions(current, "PATCH", conditions)
        after = self.service.patched(current, patch_op, tolerated).resource
        stated = _patched_grants(current, after, patch_op)
        return self._update(resource_type, current, after, stated)

    def _current(self, resource_type: ResourceType, resource_id: str) -> Resource[Any]:
        """A resource as it is. Of a group, everything but its members."""
        if _is_group(resource_type):
            return self.storage.get(
                resource_type, resource_id, response_parameters=_WITHOUT_MEMBERS
            )
        return self.storage.get(resource_type, resource_id)


def _kept(current: Resource[Any]) -> dict[str, Any]:
    """What a person keeps of themselves, whoever owns it."""
    user = cast(User[Any], current)
    return {"userName": user.user_name, "active": user.active is not False}


def _named(dropped: list[str]) -> dict[str, Any]:
    """What was dropped, as facts. Those stay when a person is erased, so a path is named only as
    far as it is a name: its filter may hold a value.
    """
    names = list(dict.fromkeys(_NO_NAME.split(one, maxsplit=1)[0][:MAX_NAME] for one in dropped))
    others = {"others": len(names) - MAX_NAMED} if len(names) > MAX_NAMED else {}
    return {"dropped": names[:MAX_NAMED], **others}


def _retried(write: Callable[[], T], conditions: Conditions) -> T:
    """Make a write, again if another one came between, unless the client insists on a version.

    Only a database that lets two writers read at once lets that happen.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return write()
        except PreconditionFailedException:
            if conditions.if_match or conditions.if_none_match:
                raise
    return write()


def _stated(
    resource_type: ResourceType, current: Resource[Any], replacement: Resource[Any]
) -> Stated | None:
    """What a PUT says is granted. Without the extension it says nothing, and leaves it as it is."""
    schema = extension_of(kind_of(resource_type).name)
    extension = cast("type[Extension]", type(replacement).get_extension_model(schema))
    if extension.__name__ in replacement.model_fields_set:
        return Stated(grants=grants_of(replacement))
    setattr(replacement, extension.__name__, current[extension])
    return None


def _patched_grants(
    before: Resource[Any], after: Resource[Any], patch_op: "PatchOp[Any]"
) -> Stated | None:
    """What a PATCH says is granted. None if it does not touch it."""
    grants, named = grants_of(after), named_for_removal(patch_op, after)
    if set(grants) == set(grants_of(before)) and not named:
        return None
    return Stated(grants=grants, named=named)


def _is_group(resource_type: ResourceType) -> bool:
    return resource_type.name == "Group"


def _version(resource: Resource[Any]) -> str | None:
    return resource.meta.version if resource.meta else None
