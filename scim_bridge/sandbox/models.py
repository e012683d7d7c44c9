r"""Which operations do AWS's APIs have, and which input do they take?

Everything is read from the service models that botocore ships. An input is held to all that they
say: names, types, required members, lengths, numbers, enumerations and patterns. AWS itself ignores
a member that it does not know; here it is refused, so that a mistyped one cannot pass.
"""

import re
import sys
import unicodedata
from collections.abc import Iterator
from functools import cache
from itertools import groupby
from typing import Any, cast

import botocore.session
from botocore.model import OperationModel, ServiceModel, Shape

from scim_bridge.sandbox.api_refusals import ApiRefused, invalid, unreadable

# By the prefix that IAM's actions have, which is also the name that is signed for.
_SERVICES = {
    "identitystore": "identitystore",
    "sso": "sso-admin",
    "organizations": "organizations",
    "sts": "sts",
}
TARGETS = {
    "AWSIdentityStore": "identitystore",
    "SWBExternalService": "sso",
    "AWSOrganizationsV20161128": "organizations",
}
_TYPES: dict[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "string": (str,),
    "integer": (int,),
    "boolean": (bool,),
}


@cache
def service(api: str) -> ServiceModel:
    return botocore.session.Session().get_service_model(_SERVICES[api])


@cache
def operation(api: str, name: str) -> OperationModel:
    return service(api).operation_model(name)


def has_operation(api: str, name: str) -> bool:
    return name in service(api).operation_names


def check_input(api: str, name: str, given: object) -> None:
    """Returns when AWS documents that `given` is taken; raises ApiRefused when not."""
    check(operation(api, name).input_shape, given, path="")


def check(shape: Shape, given: object, *, path: str) -> None:
    """Raises ApiRefused, naming the first thing that is wrong with `given`."""
    if is_document(shape):
        return
    allowed = _TYPES[shape.type_name]
    if not isinstance(given, allowed) or (isinstance(given, bool) and bool not in allowed):
        raise unreadable(f"{path or 'the body'} must be a {shape.type_name}")
    _check_size(shape, given, path=path)
    match shape.type_name:
        case "structure":
            _check_structure(shape, given, path=path)
        case "list":
            for number, one in enumerate(cast(list[object], given)):
                check(shape.member, one, path=f"{path}.{number + 1}.member")
        case "map":
            for key, value in cast(dict[str, object], given).items():
                check(shape.key, key, path=f"{path}.key")
                check(shape.value, value, path=f"{path}.{key}")
        case "string":
            _check_string(shape, str(given), path=path)


def is_document(shape: Shape) -> bool:
    return bool(getattr(shape, "is_document_type", False))


def _check_structure(shape: Shape, given: Any, *, path: str) -> None:
    # AWS takes a null for a member that is not there.
    present = {name: value for name, value in given.items() if value is not None}
    for name in given:
        if name not in shape.members:
            raise invalid(f"{_join(path, name)} is not a member of {shape.name}")
    for name in shape.required_members:
        if name not in present:
            raise _unsatisfied(_join(path, name), "null", "Member must not be null")
    if getattr(shape, "is_tagged_union", False) and len(present) != 1:
        raise invalid(f"{path} must have exactly one of {', '.join(shape.members)}")
    for name, value in present.items():
        check(shape.members[name], value, path=_join(path, name))


def _check_size(shape: Shape, given: Any, *, path: str) -> None:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    size = given if shape.type_name == "integer" else len(given) if _has_length(given) else None
    what = "value" if shape.type_name == "integer" else "length"
    if size is not None and least is not None and size < least:
        wanted = f"Member must have {what} greater than or equal to {least}"
        raise _unsatisfied(path, given, wanted)
    if size is not None and most is not None and size > most:
        raise _unsatisfied(path, given, f"Member must have {what} less than or equal to {most}")


def _has_length(given: object) -> bool:
    return isinstance(given, str | list | dict)


def _check_string(shape: Shape, given: str, *, path: str) -> None:
    allowed, pattern = shape.metadata.get("enum"), shape.metadata.get("pattern")
    if allowed and given not in allowed:
        raise _unsatisfied(path, given, f"Member must satisfy enum value set: [{allowed}]")
    if pattern and not compiled(pattern).fullmatch(given):
        raise _unsatisfied(path, given, f"Member must satisfy regular expression: {pattern}")


def _unsatisfied(path: str, given: object, constraint: str) -> ApiRefused:
    at = ".".join(step[:1].lower() + step[1:] for step in path.split("."))
    return invalid(
        f"1 validation error detected: Value at '{at}' failed to satisfy constraint: {constraint}"
        if given is None
        else f"1 validation error detected: Value {str(given)[:100]!r} at '{at}' failed to "
        f"satisfy constraint: {constraint}"
    )


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    r"""A pattern of a service model, whose kinds of characters (`\p{L}`) Python does not know."""
    return re.compile("".join(_translated(pattern)))


def _translated(pattern: str) -> Iterator[str]:
    in_class = False
    for part in re.findall(r"\\p\{\w+\}|\\.|.", pattern, flags=re.DOTALL):
        if part.startswith(r"\p"):
            yield _ranges(part[3:-1]) if in_class else f"[{_ranges(part[3:-1])}]"
            continue
        in_class = part == "[" or (in_class and part != "]")
        yield part


@cache
def _ranges(kind: str) -> str:
    """Every character of a Unicode general category (or group of them), as ranges of a class."""
    runs = [(first, last) for category, first, last in _runs() if category.startswith(kind)]
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in runs)


@cache
def _runs() -> tuple[tuple[str, int, int], ...]:
    """All characters: neighbours of one category, with the first and the last of them."""
    categories = map(unicodedata.category, map(chr, range(sys.maxunicode + 1)))
    runs, first = [], 0
    for category, run in groupby(categories):
        after = first + sum(1 for _ in run)
        runs.append((category, first, after - 1))
        first = after
    return tuple(runs)
