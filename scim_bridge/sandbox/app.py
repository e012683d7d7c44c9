"""Under which addresses does the sandbox answer?

The SCIM endpoint is `/<tenant>/scim/v2`, AWS's APIs are at `POST /`, the controls are below
`/_sandbox`, and `GET /` explains all of it to a person.
"""

import json
import time
from collections.abc import Callable
from datetime import datetime

from flask import Flask, Request, Response, request
from werkzeug.exceptions import HTTPException

from scim_bridge.sandbox.authentication import Received
from scim_bridge.sandbox.behaviour import Behaviour
from scim_bridge.sandbox.center import Center, Outcome
from scim_bridge.sandbox.control import controls, help_text
from scim_bridge.sandbox.state import utc_now

# In the WSGI environment: set when the server shall close the connection without an answer.
ANSWER_DROPPED = "scim_bridge.sandbox.answer_dropped"

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def create_app(
    behaviour: Behaviour,
    *,
    clock: Callable[[], datetime] = utc_now,
    sleep: Callable[[float], None] = time.sleep,
    announce: Callable[[str], None] = lambda line: None,
) -> Flask:
    """The sandbox as a WSGI application; `announce` gets one line for each call.

    A dropped answer needs a server that knows ANSWER_DROPPED, as SandboxServer does.
    """
    center = Center(behaviour, clock=clock, sleep=sleep, announce=announce)
    app = Flask(__name__)
    # AWS knows no second spelling of an address.
    app.url_map.merge_slashes = False

    @app.route("/<tenant>/scim/v2/<path:rest>", methods=_METHODS)
    def scim(tenant: str, rest: str) -> Response:
        outcome = center.answer(_received(request), tenant=tenant, path=f"/{rest}")
        request.environ[ANSWER_DROPPED] = outcome.dropped
        return _response(outcome)

    @app.post("/")
    def api() -> Response:
        outcome = center.answer_api(_received(request))
        request.environ[ANSWER_DROPPED] = outcome.dropped
        return _response(outcome)

    @app.get("/")
    def explain() -> Response:
        text = help_text(request.host_url.rstrip("/"), center)
        return Response(text, content_type="text/plain; charset=utf-8")

    @app.errorhandler(HTTPException)
    def explain_refusal(error: HTTPException) -> tuple[dict[str, str], int]:
        message = f"{request.method} {request.path}: {error.description} GET / says what there is."
        return {"message": message}, error.code or 500

    app.register_blueprint(controls(center))
    return app


def _received(wire: Request) -> Received:
    """The request as it came in: the address is not decoded, because signatures are over it."""
    path, _, query = wire.environ["RAW_URI"].partition("?")
    return Received(
        method=wire.method,
        path=path,
        query=query,
        headers={name.lower(): value for name, value in wire.headers.items()},
        body=wire.get_data(),
    )


def _response(outcome: Outcome) -> Response:
    answer = outcome.answer
    body = _written(answer.body)
    response = Response(body, status=answer.status, content_type=answer.content_type)
    if answer.body is None:
        del response.headers["Content-Type"]
    response.headers.update(answer.headers)
    return response


def _written(body: object) -> bytes:
    match body:
        case None:
            return b""
        case str():
            return body.encode()
        case _:
            return json.dumps(body).encode()
