"""How does SCIM reach Flask? The blueprint, who calls it, and errors that are always SCIM."""

import re
import uuid
from contextlib import ExitStack
from http import HTTPStatus
from typing import IO, TYPE_CHECKING

from flask import Blueprint, Flask, Response, g, request
from scim2_flask import ScimServer
from scim2_models import InvalidSyntaxException, InvalidValueException, SCIMException
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse
from scim2_server.service import SEARCH_REQUEST_PARAMETERS
from structlog.contextvars import bind_contextvars, reset_contextvars
from werkzeug.datastructures import Headers, MultiDict
from werkzeug.exceptions import HTTPException, NotFound

from scim_bridge.directory.actor import CLIENT, Actor, acting
from scim_bridge.directory.catalogue import Catalogue
from scim_bridge.directory.resources import Resources
from scim_bridge.scim.authentication import Authenticate, calling
from scim_bridge.scim.credentials import Client
from scim_bridge.scim.handler import Carrier, Handler
from scim_bridge.scim.provider import Provider
from scim_bridge.scim.routing import allowed, target
from scim_bridge.scim.service import Service
from scim_bridge.scim.text_answers import TextResponse
from scim_bridge.scim.tolerances import Tolerances
from scim_bridge.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

PREFIX = "/scim/v2"
# How much more than the largest body is taken in, so that its sender reads the answer, in bytes.
MAX_IGNORED = 8 * 1024 * 1024
_PIECE = 64 * 1024

_NAMES = {name.lower(): name for name in SEARCH_REQUEST_PARAMETERS}
_READS = frozenset({"GET", "HEAD"})
_LISTS = ("attributes", "excludedAttributes")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


class _Ready(Response):
    """A body with headers that nothing has to be added to."""

    def get_wsgi_headers(self, environ: "WSGIEnvironment") -> Headers:
        # What is a URI already need not be made one.
        if self.headers.get("Location", "").isascii():
            return self.headers
        return super().get_wsgi_headers(environ)


class Server(ScimServer):
    """The SCIM endpoint under ``/scim/v2``. Every request needs a bearer token.

    Each request has an id, the caller's ``X-Request-Id`` or a new one: it is answered as a header,
    and is in the log and in the audit trail.
    """

    handler: Handler

    def __init__(
        self,
        resources: Resources,
        provider: Provider,
        settings: Settings,
        *,
        delivery: Carrier,
        authenticated: Authenticate,
        catalogue: Catalogue,
        tolerances: Tolerances | None = None,
    ) -> None:
        service = Service(provider, settings, catalogue, tolerances)
        super().__init__(resources, provider, service=service, url_prefix=PREFIX)
        self._resources = resources
        self._scim = service
        self._delivery = delivery
        self._authenticated = authenticated
        self._public_url = settings.server.public_url

    def init_app(self, app: Flask) -> None:
        self.service = self._scim
        self.handler = Handler(self._scim, self._resources, self._delivery)
        # A redirect would be an HTML page, and a client that follows it turns a POST into a GET.
        app.url_map.strict_slashes = False
        app.url_map.merge_slashes = False
        app.before_request(_open_request)
        app.after_request(_show_request_id)
        app.teardown_request(_close_request)
        app.register_error_handler(HTTPException, self._unrouted)
        app.register_blueprint(self.create_blueprint())

    def create_blueprint(self) -> Blueprint:
        blueprint = super().create_blueprint()
        blueprint.before_request(self._authenticate)
        blueprint.before_request(self._options)
        blueprint.register_error_handler(Exception, self._failed)
        return blueprint

    def get_subject(self) -> Client:
        client: Client = g.client
        return client

    def read_request(self) -> ScimRequest:
        """The request as SCIM sees it: at the public address, and HEAD as the GET it asks about."""
        scim_request = super().read_request()
        scim_request.query = _parameters(request.args)
        if self._public_url:
            scim_request.base_url = self._public_url.rstrip("/").removesuffix(PREFIX) + PREFIX
        if scim_request.method == "HEAD":
            scim_request.method = "GET"
        return scim_request

    def read_body(self, scim_request: ScimRequest) -> bytes:
        """The body, up to one byte more than is taken, so that the service can tell.

        :raises InvalidSyntaxException: If it cannot be read, such as chunks that are none.
        """
        if _is_without_body(request.environ):
            return b""
        try:
            body = super().read_body(scim_request)
            _take_in_the_rest(request.stream)
        # Each HTTP server has errors of its own for a body that it cannot read.
        except Exception as error:
            raise InvalidSyntaxException(detail="The body was not sent as announced") from error
        return body

    @staticmethod
    def _to_response(scim_response: ScimResponse) -> Response:
        if isinstance(scim_response, TextResponse):
            return _Ready(scim_response.text, scim_response.status, scim_response.headers)
        response = ScimServer._to_response(scim_response)
        if scim_response.status == HTTPStatus.NO_CONTENT:
            del response.headers["Content-Type"]
        return response

    def _authenticate(self) -> None:
        contexts: ExitStack = g.contexts
        if request.method in _READS:
            # One look at the database serves the whole request.
            contexts.enter_context(self._resources.reading())
        authorization = request.headers.get("Authorization")
        client = g.client = self._authenticated(authorization)
        actor = Actor(name=f"{CLIENT}{client.name}", request_id=g.request_id)
        contexts.enter_context(acting(actor))
        contexts.enter_context(calling(client, authorization))
        contexts.callback(reset_contextvars, **bind_contextvars(client=client.name))

    def _options(self) -> Response | None:
        """Answer OPTIONS with what can be done here (RFC 9110, section 9.3.7)."""
        if request.method != "OPTIONS":
            return None
        methods = allowed(request.path.removeprefix(PREFIX))
        answer = Response(status=HTTPStatus.NO_CONTENT, headers={"Allow": ", ".join(methods)})
        del answer.headers["Content-Type"]
        return answer

    def _failed(self, exception: Exception) -> Response:
        return self._to_response(self._scim.error_response(exception))

    def _unrouted(self, exception: HTTPException) -> Response:
        """Answer what no route matched: a method nobody knows, or a wrong address."""
        if isinstance(exception, NotFound):
            exception.description = f"Nothing is here: the SCIM endpoint is below {PREFIX}"
        if _is_scim(request.path):
            try:
                target(request.method, request.path.removeprefix(PREFIX))
            except SCIMException as refusal:
                return self._failed(refusal)
        return self._handle_http_exception(exception)


def _is_scim(path: str) -> bool:
    return path == PREFIX or path.startswith(f"{PREFIX}/")


def _parameters(given: MultiDict[str, str]) -> dict[str, str]:
    """The query, its names in the standard's case: a "Filter" that were ignored would find all.

    A list of attributes may be given in several parts.
    """
    found: dict[str, str] = {}
    for name, value in given.items(multi=True):
        name = _NAMES.get(name.lower(), name)
        if name in found and name in _LISTS:
            value = f"{found[name]},{value}"
        elif name in found:
            raise InvalidValueException(detail=f"{name} is given more than once")
        found[name] = value
    return found


def _is_without_body(environ: "WSGIEnvironment") -> bool:
    """Whether nothing is announced to follow a request's headers (RFC 9112, section 6.3)."""
    return not (environ.get("CONTENT_LENGTH") or environ.get("HTTP_TRANSFER_ENCODING"))


def _take_in_the_rest(body: IO[bytes]) -> None:
    """Read on, for a while, what nobody looks at.

    A connection that is closed while its client still sends loses the answer.
    """
    for _ in range(MAX_IGNORED // _PIECE):
        if not body.read(_PIECE):
            return


def _open_request() -> None:
    offered = request.headers.get("X-Request-Id", "")
    request_id = offered if _REQUEST_ID.fullmatch(offered) else str(uuid.uuid4())
    contexts = ExitStack()
    contexts.callback(reset_contextvars, **bind_contextvars(request_id=request_id))
    g.request_id, g.contexts = request_id, contexts


def _show_request_id(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.request_id
    return response


def _close_request(_exception: BaseException | None) -> None:
    if contexts := g.pop("contexts", None):
        contexts.close()
