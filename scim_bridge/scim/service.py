"""How is a SCIM request read, allowed and answered? The protocol without storage."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from http import HTTPStatus
from itertools import groupby
from typing import Any, TypeVar, cast

import structlog
from pydantic import ValidationError
from scim2_models import (
    BaseModel,
    BulkRequest,
    Context,
    Error,
    ForbiddenException,
    InvalidFilterException,
    InvalidSyntaxException,
    InvalidValueException,
    NoTargetException,
    PatchOp,
    PatchOperation,
    PayloadTooLargeException,
    Resource,
    ResourceType,
    ResponseParameters,
    SCIMException,
    ScimPolicy,
    SearchRequest,
    UniquenessException,
)
from scim2_models.path import CompareOperator, Comparison, LogicalExpr, LogicalOperator
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse
from scim2_server.routing import Operation, Target
from scim2_server.storage import SearchPage
from scim2_server.utils import parametrize

from scim_bridge.directory.catalogue import Catalogue
from scim_bridge.directory.filters import text_comparison
from scim_bridge.directory.resources import TextPage
from scim_bridge.directory.texts import in_order
from scim_bridge.errors import Conflict, DatabaseUnavailable, Refused
from scim_bridge.scim import words
from scim_bridge.scim.admission import Admission, Admitted
from scim_bridge.scim.authentication import InvalidToken, caller
from scim_bridge.scim.body import (
    decoded,
    each_once,
    is_selection,
    refuse_excess,
    refuse_nul_in_filter,
)
from scim_bridge.scim.credentials import Client
from scim_bridge.scim.dialect import COMPARING, DIALECTS, MISSING_ENTRY, Dialect, Rule
from scim_bridge.scim.entitlements import EntitlementRules
from scim_bridge.scim.members import named_apart
from scim_bridge.scim.protocol import Protocol
from scim_bridge.scim.provider import Group, Provider, User
from scim_bridge.scim.reading import (
    Reading,
    read_bulk,
    read_bulk_operation,
    read_filter,
    read_patch,
    read_resource,
    read_search,
)
from scim_bridge.scim.searches import Searches, likeness
from scim_bridge.scim.shape import Shape, canonical_values, shape_of
from scim_bridge.scim.text_answers import list_response
from scim_bridge.scim.tolerances import Needs, Tolerances
from scim_bridge.settings import Settings

log = structlog.get_logger(__name__)

ModelT = TypeVar("ModelT", bound=BaseModel)

# The most problems of a body that a refusal names.
MAX_PROBLEMS = 20
# When a client should come back while the database is away, in seconds.
RETRY_AFTER = 10

_MAKE_ENTRIES = {"unmatched_path_filter": ScimPolicy.UnmatchedPathFilter.create}

# What is returned when nothing is selected.
_EVERYTHING = ResponseParameters[Any]()

# What the request of this context needs.
_NEEDS: ContextVar[Needs] = ContextVar("needs")

_WRITES = frozenset({Operation.create, Operation.replace, Operation.patch, Operation.delete})


class Service(Protocol):
    """The bridge's rules for requests and answers. Of input it only reads the catalogue."""

    def __init__(
        self,
        provider: Provider,
        settings: Settings,
        catalogue: Catalogue,
        tolerances: Tolerances | None = None,
    ) -> None:
        super().__init__(provider)
        self._tolerances = tolerances or Tolerances()
        self.admission = Admission(settings)
        self.entitlements = EntitlementRules(settings.safety, catalogue)
        # By which keys a new person is looked for among those of other sources.
        self.matching = settings.matching.users
        self._max_body = settings.server.max_body
        self._searches = Searches()

    # -- Who may what ---------------------------------------------------

    def authorize(self, request: ScimRequest, target: Target, resource_type: ResourceType) -> None:
        """Refuse writes to a client that may only read. A search by POST is a read."""
        client: Client = request.subject
        if client.read_only and target.operation in _WRITES:
            raise ForbiddenException(detail=f"The client {client.name} may only read.")

    # -- Reading --------------------------------------------------------

    def max_body_size(self, request: ScimRequest) -> int | None:
        """The largest body to read, in bytes: ``[server] max_body``, for every request."""
        return self._max_body

    def read_body(
        self, model: type[ModelT], body: bytes, content_type: str | None, scim_ctx: Context
    ) -> ModelT:
        """Validate a body. A refusal names the problems the validation found, not only the first.

        :raises SCIMException: 413 if it is too large, 415 if it is not JSON, else 400.
        """
        return self.validated(model, self.decode_body(body, content_type), scim_ctx)

    def validated(self, model: type[ModelT], payload: Any, scim_ctx: Context) -> ModelT:
        """A JSON value as a model, read in the caller's dialect. It raises what `read_body` does.

        What the dialect left out is among the ``unknown_attributes`` of the model, or of the data
        of each operation of a Bulk request.
        """
        reading = self._read(payload, model, scim_ctx)
        if reading.used or any(one.used for one in reading.operations):
            # One operation may have become several.
            refuse_excess(reading.payload)
        _refuse([reading])
        policy = _dialect().policy
        apart = named_apart(reading.payload) if _states_group(model, scim_ctx) else None
        try:
            found = model.model_validate(
                apart[0] if apart else reading.payload, scim_ctx=scim_ctx, scim_policy=policy
            )
        except ValidationError as exception:
            raise _all_problems(exception) from exception
        for message, part in _messages(found, reading):
            if message is not None:
                message.unknown_attributes.update(dict.fromkeys(part.dropped))
        self.need(reading.used)
        if reading.operations:
            _refuse_operations(found, reading)
            _NEEDS.get().operations = tuple(one.used for one in reading.operations)
        return found.model_copy(update={"members": apart[1]}) if apart else found

    def _read(self, payload: Any, model: type[BaseModel], scim_ctx: Context) -> Reading:
        """A payload as the standards have it."""
        dialect = _dialect()
        match scim_ctx:
            case Context.BULK_REQUEST if issubclass(model, BulkRequest):
                return read_bulk(payload, self._shapes(), dialect)
            case Context.BULK_REQUEST:
                return read_bulk_operation(payload, self._shapes(), dialect)
            case Context.RESOURCE_PATCH_REQUEST:
                (resource,) = model.__pydantic_generic_metadata__["args"]
                return read_patch(payload, shape_of(resource), dialect)
            case _:
                return read_resource(payload, shape_of(model), dialect)

    def _shapes(self) -> dict[str, Shape]:
        """The shapes of the resources, by their endpoints in lower case without slashes."""
        return {
            self.endpoint_of(one).lower(): shape_of(self.get_model(one))
            for one in self.provider.resource_types
        }

    @contextmanager
    def counting(self) -> Iterator[Needs]:
        """Count and log what the request in this block needs of its client's dialect, once.

        Nothing is counted if the block raises: the request is refused.
        """
        needs = Needs()
        before = _NEEDS.set(needs)
        try:
            yield needs
        finally:
            _NEEDS.reset(before)
        rules = [rule for rule in _dialect().rules if rule.name in needs.rules]
        self._tolerances.used(caller().name, rules)

    def need(self, rules: Iterable[str]) -> None:
        """The request of this context needs these rules, by their names."""
        _NEEDS.get().rules.update(rules)

    def decode_body(self, body: bytes, content_type: str | None) -> Any:
        """The JSON value of a body. See `read_body` for what it raises."""
        if len(body) > self._max_body:
            raise PayloadTooLargeException(
                detail=f"The body is larger than {self._max_body} bytes, the most this server takes"
            )
        self.ensure_json(content_type)
        return decoded(body)

    def read_search_body(
        self, resource_types: list[ResourceType], body: bytes, content_type: str | None
    ) -> tuple[SearchRequest[Any], Any]:
        """The body of a search by POST, a message with a schema (RFC 7644, section 3.4.3)."""
        reading = read_search(self.decode_body(body, content_type), _dialect())
        _refuse([reading])
        self.need(reading.used)
        return self.read_search(resource_types, reading.payload)

    def read_response_parameters(
        self, resource_type: ResourceType, query: Mapping[str, str]
    ) -> ResponseParameters[Any]:
        if not any(is_selection(name) for name in query):
            return _EVERYTHING
        return super().read_response_parameters(resource_type, query)

    def read_search_query(
        self, resource_types: list[ResourceType], query: Mapping[str, str]
    ) -> tuple[SearchRequest[Any], Any]:
        """The query of a search by GET. What is like an earlier one is not validated again."""
        asked = likeness(caller().dialect, resource_types, query)
        known = self._searches.like(asked)
        if known is not None:
            return known, self._open_cursor(resource_types, known)
        read, position = super().read_search_query(resource_types, query)
        # Each use of a rule is counted; and a text may be no value of every attribute.
        if not _NEEDS.get().rules and (asked.text is None or self._takes_any_text(read)):
            self._searches.remember(asked, read)
        return read, position

    def _takes_any_text(self, search_request: SearchRequest[Any]) -> bool:
        found: Any = search_request.filter
        return all(text_comparison(found, model) is not None for model in found.models)

    def read_search(
        self, resource_types: list[ResourceType], payload: Any
    ) -> tuple[SearchRequest[Any], Any]:
        refuse_excess(payload)
        refuse_nul_in_filter(payload)
        asked = each_once(self._read_search(resource_types, payload))
        return super().read_search(resource_types, asked)

    def _read_search(self, resource_types: list[ResourceType], payload: Any) -> Any:
        """The parameters of a search, with its filter read in the caller's dialect."""
        key = next((name for name in payload if name.lower() == "filter"), None)
        if key is None or not isinstance(expression := payload[key], str):
            return payload
        readings = []
        for resource_type in resource_types:
            reading = read_filter(expression, shape_of(self.get_model(resource_type)), _dialect())
            readings.append(reading)
            expression = reading.payload
        _refuse(readings)
        for reading in readings:
            self.need(reading.used)
        return {**payload, key: expression}

    # -- Changing -------------------------------------------------------

    def patched(
        self, before: Resource[Any], patch_op: "PatchOp[Any]", tolerated: set[Rule]
    ) -> Admitted:
        """What a PATCH makes of a resource. ``before`` is not changed.

        The rules that it needs come to those `tolerated`: a PATCH may have to be applied again.
        """
        after = before.model_copy(deep=True)
        if isinstance(after, User):
            # What the PATCH does not assign stays unassigned, which is how an explicit
            # deactivation is told from a user who is inactive already.
            after.active = None
        try:
            self._apply(patch_op, after, tolerated)
        except InvalidValueException as exception:
            if isinstance(exception.__cause__, ValidationError):
                raise _all_problems(exception.__cause__) from exception
            raise
        return self.admission.patch(before, after)

    def _apply(
        self, patch_op: "PatchOp[Any]", resource: Resource[Any], tolerated: set[Rule]
    ) -> None:
        """Apply a PATCH. A tolerant client may set a value of an entry that is not there yet."""
        dialect = _dialect()
        if MISSING_ENTRY not in dialect.rules:
            patch_op.patch(resource, dialect.policy)
            return
        for describes, operations in groupby(patch_op.operations or [], _describes_entry):
            part = patch_op.model_copy(update={"operations": list(operations)})
            try:
                part.patch(resource, dialect.policy)
            except NoTargetException:
                if not describes:
                    raise
                part.patch(resource, dialect.policy.model_copy(update=_MAKE_ENTRIES))
                tolerated.add(MISSING_ENTRY)

    def patch_of(self, resource_type: ResourceType, payload: Any) -> "PatchOp[Any]":
        """The decoded body of a PATCH. It raises what `read_body` does."""
        model = parametrize(PatchOp, self.get_model(resource_type))
        return self.validated(model, payload, Context.RESOURCE_PATCH_REQUEST)

    # -- Answering ------------------------------------------------------

    def patch_response(
        self,
        base_url: str,
        resource: Resource[Any],
        response_parameters: ResponseParameters[Any],
    ) -> ScimResponse:
        """Answer a PATCH: 200 with a user, 204 for a group unless attributes were asked for."""
        if isinstance(resource, User):
            return self.replacement_response(base_url, resource, response_parameters)
        if selects(response_parameters):
            return super().patch_response(base_url, resource, response_parameters)
        return self.silent_response(resource.meta.version if resource.meta else None)

    @staticmethod
    def silent_response(version: str | None) -> ScimResponse:
        """204 with the version (RFC 7644, section 3.5.2: if no attributes were asked for)."""
        return ScimResponse(HTTPStatus.NO_CONTENT, None, {"ETag": version} if version else {})

    def search_response(
        self,
        base_url: str,
        resource_types: list[ResourceType],
        page: SearchPage,
        search_request: SearchRequest[Any],
    ) -> ScimResponse:
        """A page, with what is returned on request only: the library forgets what was asked for."""
        response = super().search_response(base_url, resource_types, page, search_request)
        body = cast("dict[str, Any]", response.body)
        if search_request.attributes and page.resources:
            body["Resources"] = [
                self.publish(base_url, resource).model_dump(
                    scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=search_request
                )
                for resource in page.resources
            ]
        if "Resources" in body:
            body["Resources"] = [in_order(shown) for shown in body["Resources"]]
        return response

    def text_page_response(
        self,
        resource_types: list[ResourceType],
        page: TextPage,
        search_request: SearchRequest[Any],
    ) -> ScimResponse:
        """The same for a page of texts."""
        by_cursor = search_request.cursor is not None
        beside = (page.next, page.previous) if by_cursor else (None, None)
        next_cursor, previous_cursor = (
            self._seal(resource_types, search_request, position) for position in beside
        )
        return list_response(
            page.texts,
            total=page.total,
            start_index=None if by_cursor else search_request.start_index,
            next_cursor=next_cursor,
            previous_cursor=previous_cursor,
        )

    def reference_location(self, base_url: str, reference: str) -> str:
        """The URL of a reference. It may be relative to the resource that holds it, as
        "../Users/26118915" in RFC 7643, section 8.3.
        """
        return super().reference_location(base_url, reference.removeprefix("../"))

    @staticmethod
    def error_of(exception: Exception) -> Error:
        """The SCIM error a failure is answered with. What nobody expected is logged, not told."""
        match exception:
            case SCIMException(__cause__=ValidationError() as cause):
                return _all_problems(cause).to_error()
            case SCIMException():
                error = exception.to_error()
                error.detail = words.detail(error.detail or "")
                return error
            case Conflict():
                return UniquenessException(detail=exception.detail).to_error()
            case Refused():
                return InvalidValueException(detail=exception.detail).to_error()
            case DatabaseUnavailable():
                log.error("database unavailable", action="request", reason=str(exception))
                return Error(
                    status=HTTPStatus.SERVICE_UNAVAILABLE,
                    # What became of a commit whose answer was lost is not known.
                    detail="The directory's database does not answer. Send the request again.",
                )
            case RecursionError():
                return InvalidSyntaxException(detail="The request nests too deeply").to_error()
            case _:
                log.error("request failed", action="request", exc_info=exception)
                return Error(
                    status=HTTPStatus.INTERNAL_SERVER_ERROR,
                    detail="The server failed to answer. Its log says why, under this request id.",
                )

    def error_response(self, exception: Exception) -> ScimResponse:
        response = super().error_response(exception)
        if response.status == HTTPStatus.SERVICE_UNAVAILABLE:
            response.headers["Retry-After"] = str(RETRY_AFTER)
        return response

    def www_authenticate(self, exception: SCIMException) -> str | None:
        challenge = 'Bearer realm="SCIM"'
        if isinstance(exception, InvalidToken):
            return f'{challenge}, error="invalid_token"'
        return challenge


def selects(parameters: ResponseParameters[Any]) -> bool:
    """Whether a client says which attributes it wants back."""
    return bool(parameters.attributes or parameters.excluded_attributes)


def _states_group(model: type[BaseModel], scim_ctx: Context) -> bool:
    """Whether a body is a group with its members."""
    states = (Context.RESOURCE_CREATION_REQUEST, Context.RESOURCE_REPLACEMENT_REQUEST)
    return issubclass(model, Group) and scim_ctx in states


def _dialect() -> Dialect:
    """The caller's dialect."""
    return DIALECTS[caller().dialect]


def _refuse(readings: Iterable[Reading]) -> None:
    """Refuse what a dialect does not let pass."""
    for reading in readings:
        for one in reading.refused:
            what, why = (text.partition(";")[0] for text in (one.rule.meaning, one.rule.source))
            where = f"{one.name}: " if one.name and one.name not in what else ""
            refusal = InvalidFilterException if one.rule in COMPARING else InvalidValueException
            raise refusal(detail=f"This client is held to the standard: {where}{what} ({why})")


def _refuse_operations(found: Any, reading: Reading) -> None:
    """Refuse the operations of a Bulk request by themselves."""
    for operation, one in _operations(found, reading):
        try:
            _refuse([one])
        except SCIMException as exception:
            operation.response = exception.to_error()
            operation.status = operation.response.status


def _messages(found: Any, reading: Reading) -> list[tuple[Any, Reading]]:
    """What was read one by one: the data of the operations of a Bulk request, else all of it."""
    if isinstance(found, BulkRequest):
        return [(operation.data, one) for operation, one in _operations(found, reading)]
    return [(found, reading)]


def _operations(found: Any, reading: Reading) -> list[tuple[Any, Reading]]:
    if not isinstance(found, BulkRequest):
        return []
    return list(zip(found.operations or (), reading.operations, strict=True))


def _describes_entry(operation: "PatchOperation[Any]") -> bool:
    """Whether an operation sets a value of an entry that its path describes.

    The entry is one of a type that the schema suggests, or the primary one: what a client's
    mapping has. A "wrok" e-mail is not made.
    """
    path = operation.path
    if operation.op is PatchOperation.Op.remove or path is None or path.value_filter is None:
        return False
    binding = path.resolve()
    if binding is None or binding.sub_field_name is None:
        return False
    entry = cast("type[BaseModel]", binding.field_type)
    return all(_names_entry(term, entry) for term in _terms(path.value_filter))


def _terms(expression: Any) -> Iterable[Any]:
    match expression:
        case LogicalExpr(op=LogicalOperator.and_, terms=terms):
            return terms
        case _:
            return (expression,)


def _names_entry(term: Any, entry: type[BaseModel]) -> bool:
    match term:
        case Comparison(op=CompareOperator.eq, value=True, attr_path=name):
            return str(name).lower() == "primary"
        case Comparison(op=CompareOperator.eq, value=str() as value, attr_path=name):
            if str(name).lower() != "type" or "type" not in entry.model_fields:
                return False
            suggested = canonical_values(entry, "type")
            return suggested is None or value.lower() in suggested
        case _:
            return False


def _all_problems(exception: ValidationError) -> SCIMException:
    found = exception.errors()
    errors = [words.problem(error) for error in found[:MAX_PROBLEMS]]
    details = dict.fromkeys(cast(str, error.detail) for error in errors)
    if more := len(found) - len(errors):
        details[f"and {more} more"] = None
    first = errors[0]
    first.detail = "; ".join(details)
    return SCIMException.from_error(first)
