"""What does the bridge do where the SCIM library leaves RFC 7644 and RFC 9865 to it?"""

from http import HTTPStatus
from typing import Any, TypeVar, Union

from scim2_models import (
    BaseModel,
    BulkOperation,
    BulkRequest,
    Context,
    Error,
    NotImplementedException,
    Resource,
    ResourceType,
    ResponseParameters,
    SCIMException,
)
from scim2_server.conditions import Conditions
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse
from scim2_server.routing import Target
from scim2_server.service import ScimService
from scim2_server.utils import parametrize

from scim_bridge.directory.texts import in_order
from scim_bridge.scim import routing
from scim_bridge.scim.bulk import Plan
from scim_bridge.scim.cursors import CallersCursors
from scim_bridge.scim.operations import member, operations_of

ModelT = TypeVar("ModelT", bound=BaseModel)


class Protocol(ScimService):
    """The protocol, completed.

    `/Me` (RFC 7644, section 3.11) is answered 501: it stands for the user behind an OAuth token,
    and a client of the bridge is an identity provider, not a user.
    """

    @staticmethod
    def match(request: ScimRequest) -> Target:
        return routing.target(request.method.upper(), request.path)

    def me_target(self, request: ScimRequest) -> tuple[ResourceType, str]:
        raise _no_me()

    def me_creation_type(self, request: ScimRequest) -> ResourceType:
        raise _no_me()

    @staticmethod
    def _build_cursors(_secret: str | bytes | None) -> CallersCursors:
        return CallersCursors()

    def creation_response(
        self,
        base_url: str,
        created: Resource[Any],
        response_parameters: ResponseParameters[Any] | None = None,
    ) -> ScimResponse:
        """Answer a creation, with the attributes that were asked for (RFC 7644, section 3.9)."""
        return self.resource_response(
            self.publish(base_url, created),
            Context.RESOURCE_CREATION_RESPONSE,
            response_parameters,
            HTTPStatus.CREATED,
        )

    def query_response(
        self,
        base_url: str,
        resource: Resource[Any],
        response_parameters: ResponseParameters[Any],
        conditions: Conditions,
    ) -> ScimResponse:
        """Answer a read. A 304 says of what, too (RFC 9110, section 15.4.5)."""
        response = super().query_response(base_url, resource, response_parameters, conditions)
        if response.status == HTTPStatus.NOT_MODIFIED:
            location = self.resource_location(
                base_url, self.get_resource_type_of(resource), str(resource.id)
            )
            response.headers["Content-Location"] = location
        return response

    @staticmethod
    def resource_response(
        resource: Resource[Any],
        scim_ctx: Context,
        response_parameters: ResponseParameters[Any] | None = None,
        status: HTTPStatus = HTTPStatus.OK,
    ) -> ScimResponse:
        """A resource, and where it is: RFC 7644 shows Location in 3.3, 3.4.1 and 3.5 alike."""
        response = ScimService.resource_response(resource, scim_ctx, response_parameters, status)
        response.headers["Location"] = response.headers["Content-Location"]
        response.body = in_order(response.body or {})
        return response

    # -- Bulk (RFC 7644, section 3.7) -----------------------------------

    def validated(self, model: type[ModelT], payload: Any, scim_ctx: Context) -> ModelT:
        """A JSON value as a model. Raises `SCIMException` naming what is wrong with it."""
        raise NotImplementedError

    def read_bulk(self, body: bytes, content_type: str | None) -> Plan:
        """The operations of a Bulk request, each with its own error if it cannot be done.

        The method may be in any case, as attribute values are (RFC 7643, section 2.2).
        """
        payload = self.decode_body(body, content_type)
        name, listed = operations_of(payload)
        raw = [_in_upper_case(one) for one in listed]
        if name is not None:
            payload = {**payload, name: raw}
        models: Any = Union[tuple(self.get_models())]  # noqa: UP007
        model: Any = parametrize(BulkRequest, models)
        request = self.validated(model, payload, Context.BULK_REQUEST)
        for operation, given in zip(request.operations or (), raw, strict=True):
            if isinstance(operation.response, Error):
                operation.response = self._explained(operation.response, operation.path, given)
        return Plan(list(request.operations or ()), request.fail_on_errors)

    def _explained(self, error: Error, path: str | None, given: Any) -> Error:
        """An operation's error in the words a single request would be answered with."""
        first = (path or "").strip("/").partition("/")[0]
        model = self.provider.model_for_endpoint(f"/{first}") or self.get_models()[0]
        try:
            self.validated(parametrize(BulkOperation, model), given, Context.BULK_REQUEST)
        except SCIMException as exception:
            return self.error_of(exception)
        return error


def _in_upper_case(operation: Any) -> Any:
    """The same operation, its method spelt as HTTP spells it."""
    if not isinstance(operation, dict):
        return operation
    key, method = member(operation, "method")
    return {**operation, key: method.upper()} if isinstance(method, str) else operation


def _no_me() -> NotImplementedException:
    return NotImplementedException(
        detail="/Me is not served: a token of this server stands for a client, not for a user"
    )
