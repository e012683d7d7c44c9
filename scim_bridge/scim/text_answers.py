"""What is answered with JSON that is ready to be sent? Reads, when nothing is selected but members.

The answers are byte for byte those the SCIM library makes of models, which it does a hundred times
slower (`scim_bridge.directory.texts`).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from scim2_models import Context, ListResponse, Resource
from scim2_server.responses import ScimResponse
from scim2_server.service import ScimService

from scim_bridge.directory.documents import Document

_LIST = str(ListResponse.__schema__)


@dataclass
class TextResponse(ScimResponse):
    """A response whose body is JSON text."""

    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """What texts need of the server, for a request that came to this base URL."""

    service: ScimService
    base_url: str

    def address(self, reference: str) -> str:
        return self.service.reference_location(self.base_url, reference)

    def shown(self, resource: Resource[Any]) -> Document:
        published = self.service.publish(self.base_url, resource)
        return published.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE)


def list_response(
    texts: Sequence[str],
    *,
    total: int,
    start_index: int | None,
    next_cursor: str | None,
    previous_cursor: str | None,
) -> TextResponse:
    """A page of a search (RFC 7644, section 3.4.2)."""
    told = {
        "schemas": [_LIST],
        "totalResults": total,
        "startIndex": start_index,
        "itemsPerPage": len(texts),
        "nextCursor": next_cursor,
        "previousCursor": previous_cursor,
    }
    text = json.dumps({name: value for name, value in told.items() if value is not None})
    return TextResponse(HTTPStatus.OK, text=f'{text[:-1]}, "Resources": [{", ".join(texts)}]}}')
