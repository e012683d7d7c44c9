"""In which order are the operations of a Bulk request done, and whom do they mean by bulkIds?

RFC 7644, section 3.7. An operation may refer to what another one creates, wherever it stands; and
creations may refer to each other in a circle (section 3.7.1), which are then one step: all of them
are done, or none.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from scim2_models import (
    BulkOperation,
    ComplexAttribute,
    ConflictException,
    InvalidValueException,
    PatchOp,
    PatchOperation,
    Resource,
)
from scim2_server.bulk import BULK_ID_PREFIX, BulkPlan, BulkStep, resolve_operation

AnyOperation = BulkOperation[Resource[Any]]
Replace = Callable[[str], str]

# A bulkId where a filter compares with it, as in members[value eq "bulkId:ytrewq"].
_COMPARED = re.compile(rf'"{BULK_ID_PREFIX}((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Step(BulkStep):
    """What is done at once: an operation, or a circle of creations (the last one is `index`)."""

    # The positions of the creations, in the order of the request. Empty: there is no circle.
    circle: tuple[int, ...] = ()


class Plan(BulkPlan):
    """The operations of a Bulk request as steps, each after what it refers to."""

    def plan_steps(self) -> list[BulkStep]:
        order = [step.index for step in super().plan_steps()]
        circles = self._circles(order)
        return [Step(index, circles.get(index, ())) for index in order if circles.get(index) != ()]

    def _circles(self, order: list[int]) -> dict[int, tuple[int, ...]]:
        """The circles, by the last of their operations in this order; () for the others of them.

        Kosaraju's way: in the reverse of the order, whoever refers to an operation and was not
        reached yet is in a circle with it.
        """
        referring: dict[int, list[int]] = {index: [] for index in order}
        for index in order:
            for creation in self.dependencies(index):
                referring[creation].append(index)
        circles: dict[int, tuple[int, ...]] = {}
        reached: set[int] = set()
        for last in reversed(order):
            members = _reachable(last, referring, reached)
            reached |= members
            if len(members) > 1 or last in referring[last]:
                circles |= dict.fromkeys(members, ())
                circles[last] = tuple(sorted(members))
        return circles

    @staticmethod
    def references(operation: AnyOperation) -> list[str]:
        found: list[str] = []

        def collect(bulk_id: str) -> str:
            found.append(bulk_id)
            return bulk_id

        _resolved(operation, collect)
        return found

    def resolve(self, step: BulkStep) -> AnyOperation:
        """An operation with the ids of what was created in the place of bulkIds.

        Raises `InvalidValueException` for a bulkId that an earlier creation has, and
        `ConflictException` for one that nothing was created with.
        """
        operation = self.operations[step.index]
        self._refuse_second(step.index, operation)
        return _resolved(operation, self._id)

    def without_circle(self, index: int, circle: Collection[int]) -> AnyOperation:
        """A creation without what refers to those of its circle that are not yet made."""
        awaited = {
            bulk_id
            for other in circle
            if (bulk_id := self.operations[other].bulk_id) not in self.created
        }
        operation = self.operations[index]
        data = _without(operation.data, {f"{BULK_ID_PREFIX}{bulk_id}" for bulk_id in awaited})
        return _resolved(operation.model_copy(update={"data": data}), self._id)

    def forget(self, circle: Iterable[int]) -> None:
        """Nothing of a circle was made after all."""
        for index in circle:
            self.created.pop(self.operations[index].bulk_id or "", None)

    def _refuse_second(self, index: int, operation: AnyOperation) -> None:
        bulk_id = operation.bulk_id
        if operation.method != BulkOperation.Method.post or bulk_id is None:
            return
        if not self.is_creation(index, bulk_id):
            raise InvalidValueException(
                detail=f"the bulkId {bulk_id} belongs to an earlier operation"
            )

    def _id(self, bulk_id: str) -> str:
        if bulk_id not in self.created:
            raise ConflictException(detail=f"nothing was created with the bulkId {bulk_id}")
        return str(self.created[bulk_id].id)


class CircleBroken(Exception):
    """An operation of a circle cannot be done, so none of them is."""

    def __init__(self, operation: AnyOperation, index: int, why: Exception) -> None:
        super().__init__(f"operation {index} of a circle failed")
        self.operation = operation
        self.index = index
        self.why = why

    def told(self, index: int) -> Exception:
        """The error of an operation of the circle."""
        if index == self.index:
            return self.why
        return ConflictException(
            detail="it refers in a circle to the bulkId "
            f"{self.operation.bulk_id}, which could not be created"
        )


@contextmanager
def broken_at(operation: AnyOperation, index: int) -> Iterator[None]:
    """A failure in the block breaks the circle at this operation."""
    try:
        yield
    except Exception as why:
        raise CircleBroken(operation, index, why) from why


def _reachable(start: int, edges: Mapping[int, list[int]], but: Collection[int]) -> set[int]:
    found: set[int] = set()
    waiting = [start]
    while waiting:
        one = waiting.pop()
        if one not in found and one not in but:
            found.add(one)
            waiting.extend(edges[one])
    return found


def _resolved(operation: AnyOperation, replace: Replace) -> AnyOperation:
    """An operation with its bulkIds replaced: in the path, the data, and the filters of a PATCH."""
    resolved = resolve_operation(operation, replace)
    if not isinstance(resolved.data, PatchOp):
        return resolved
    operations = [_with_filter(one, replace) for one in resolved.data.operations or ()]
    data = resolved.data.model_copy(update={"operations": operations})
    return resolved.model_copy(update={"data": data})


def _with_filter(operation: PatchOperation[Any], replace: Replace) -> PatchOperation[Any]:
    # The library replaces only whole values.
    path = operation.path
    if path is None or BULK_ID_PREFIX not in str(path):
        return operation
    meant = _COMPARED.sub(lambda found: f'"{replace(found[1])}"', str(path))
    return operation.model_copy(update={"path": type(path)(meant)})


def _without(value: Any, awaited: Collection[str]) -> Any:
    """A value without what refers to something; None if nothing is left of it."""
    match value:
        case str():
            return None if value in awaited else value
        case list():
            return [kept for one in value if (kept := _without(one, awaited)) is not None] or None
        case ComplexAttribute() if any(_part(value, name) in awaited for name in _names(value)):
            return None
        case BaseModel():
            parts = {name: _part(value, name) for name in _names(value)}
            kept = {name: _without(part, awaited) for name, part in parts.items()}
            return value.model_copy(
                update={name: part for name, part in kept.items() if part != parts[name]}
            )
        case _:
            return value


def _names(model: BaseModel) -> Iterable[str]:
    return type(model).model_fields


def _part(model: BaseModel, name: str) -> Any:
    part = getattr(model, name)
    return part if isinstance(part, str | list | BaseModel) else None
