"""What can be done at a path? RFC 7644, section 3.2, for every method."""

from scim2_models import NotFoundException
from scim2_server.errors import MethodNotAllowedException
from scim2_server.routing import RESERVED_NAMES, ROUTES, Target
from scim2_server.routing import match as matched

# The methods of HTTP that SCIM does not speak of; they are known at every path.
_EVERYWHERE = ("HEAD", "OPTIONS")
_METHODS = tuple(dict.fromkeys(route.method for route in ROUTES))
_SEARCH = ".search"
_FIRST = RESERVED_NAMES | {"", _SEARCH}
# The endpoints of the resource types, whose case does not matter.
_ENDPOINTS = frozenset({"users", "groups"})


def target(method: str, path: str) -> Target:
    """What a request is for.

    Raises `NotFoundException` when there is nothing at the path, and `MethodNotAllowedException`
    naming what there is.
    """
    found = _matched(method, path)
    if found is None:
        raise MethodNotAllowedException(
            allowed=allowed(path), detail=f"{method} is not done at {path or '/'}"
        )
    return found


def allowed(path: str) -> tuple[str, ...]:
    """The methods of a path, as `Allow` lists them (RFC 9110, section 10.2.1).

    Raises `NotFoundException` when there is nothing at the path.
    """
    found = {method for method in _METHODS if _matched(method, path) is not None}
    known = found | {one for one in _EVERYWHERE if one != "HEAD" or "GET" in found}
    return tuple(sorted(known))


def _matched(method: str, path: str) -> Target | None:
    """The library's match; None when the path has other methods only."""
    first, *_, last = path.strip("/").partition("/")
    if first not in _FIRST and first.lower() not in _ENDPOINTS:
        raise NotFoundException(detail=f"There is no SCIM endpoint at {path!r}")
    if path.endswith("//"):
        # The resource with the id "/" and not all of them: %2F arrives as a slash.
        raise NotFoundException(detail=f"There is no resource at {path!r}")
    if last == _SEARCH and method != "POST":
        # Not the id of a resource.
        return None
    try:
        return matched(method, path)
    except MethodNotAllowedException:
        return None
