"""How is a SCIM request read, allowed and answered? The protocol without storage."""

from http import HTTPStatus
from typing import Any, TypeVar, cast

import structlog
from pydantic import ValidationError
from scim2_models import (
    BaseModel,
    Context,
    Error,
    ForbiddenException,
    InvalidSyntaxException,
    InvalidValueException,
    PatchOp,
    PayloadTooLargeException,
    Resource,
    ResourceType,
    ResponseParameters,
    SCIMException,
    SearchRequest,
    UniquenessException,
)
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse
from scim2_server.routing import Operation, Target
from scim2_server.service import ScimService
from scim2_server.storage import SearchPage

from scim_bridge.directory.catalogue import Catalogue
from scim_bridge.errors import Conflict, DatabaseUnavailable, Refused
from scim_bridge.scim import words
from scim_bridge.scim.admission import Admission, Admitted
from scim_bridge.scim.authentication import InvalidToken
from scim_bridge.scim.body import decoded, refuse_excess, refuse_nul_in_filter
from scim_bridge.scim.credentials import Client
from scim_bridge.scim.entitlements import EntitlementRules
from scim_bridge.scim.provider import Provider, User
from scim_bridge.settings import Settings

log = structlog.get_logger(__name__)

ModelT = TypeVar("ModelT", bound=BaseModel)

# The most problems of a body that a refusal names.
MAX_PROBLEMS = 20
# When a client should come back while the database is away, in seconds.
RETRY_AFTER = 10

_WRITES = frozenset({Operation.create, Operation.replace, Operation.patch, Operation.delete})


class Service(ScimService):
    """The bridge's rules for requests and answers. Of input it only reads the catalogue."""

    def __init__(self, provider: Provider, settings: Settings, catalogue: Catalogue) -> None:
        super().__init__(provider)
        self.admission = Admission(settings)
        self.entitlements = EntitlementRules(settings.safety, catalogue)
        self._max_body = settings.server.max_body

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
        payload = self.decode_body(body, content_type)
        try:
            return model.model_validate(payload, scim_ctx=scim_ctx)
        except ValidationError as exception:
            raise _all_problems(exception) from exception

    def decode_body(self, body: bytes, content_type: str | None) -> Any:
        """The JSON value of a body. See `read_body` for what it raises."""
        if len(body) > self._max_body:
            raise PayloadTooLargeException(
                detail=f"The body is larger than {self._max_body} bytes, the most this server takes"
            )
        self.ensure_json(content_type)
        return decoded(body)

    def read_search(
        self, resource_types: list[ResourceType], payload: Any
    ) -> tuple[SearchRequest[Any], Any]:
        refuse_excess(payload)
        refuse_nul_in_filter(payload)
        return super().read_search(resource_types, payload)

    # -- Changing -------------------------------------------------------

    def patched(self, before: Resource[Any], patch_op: "PatchOp[Any]") -> Admitted:
        """What a PATCH makes of a resource. ``before`` is not changed."""
        after = before.model_copy(deep=True)
        if isinstance(after, User):
            # What the PATCH does not assign stays unassigned, which is how an explicit
            # deactivation is told from a user who is inactive already.
            after.active = None
        try:
            patch_op.patch(after)
        except InvalidValueException as exception:
            if isinstance(exception.__cause__, ValidationError):
                raise _all_problems(exception.__cause__) from exception
            raise
        return self.admission.patch(before, after)

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
        return super().patch_response(base_url, resource, response_parameters)

    def search_response(
        self,
        base_url: str,
        resource_types: list[ResourceType],
        page: SearchPage,
        search_request: SearchRequest[Any],
    ) -> ScimResponse:
        """A page, with what is returned on request only: the library forgets what was asked for."""
        response = super().search_response(base_url, resource_types, page, search_request)
        if search_request.attributes and page.resources:
            cast("dict[str, Any]", response.body)["Resources"] = [
                self.publish(base_url, resource).model_dump(
                    scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=search_request
                )
                for resource in page.resources
            ]
        return response

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
                    detail="The directory's database does not answer. Nothing was changed; "
                    "send the request again.",
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


def _all_problems(exception: ValidationError) -> SCIMException:
    found = exception.errors()
    errors = [words.problem(error) for error in found[:MAX_PROBLEMS]]
    details = dict.fromkeys(cast(str, error.detail) for error in errors)
    if more := len(found) - len(errors):
        details[f"and {more} more"] = None
    first = errors[0]
    first.detail = "; ".join(details)
    return SCIMException.from_error(first)
