"""Which attributes does an object have, and what does each take? The schemas, by name.

Names and URNs have no case (RFC 7643, section 2.1), so they are looked up in lower case.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, lru_cache
from typing import cast

from scim2_models import BaseModel, Mutability, Resource

# A path as RFC 7644, section 3.5.2, has it, once its schema is taken off: attribute, filter of a
# multi-valued one, sub-attribute.
_PATH = re.compile(
    r"(?P<attribute>[^\[\].:\s]+)(?P<filter>\[.*\])?(?:\.(?P<sub>[^\[\].:\s]+))?", re.S
)


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """What one attribute takes."""

    name: str
    several: bool
    boolean: bool
    read_only: bool
    # It takes a string, and no reference or one of a few words.
    text: bool = False
    # Of a complex attribute, or of an extension.
    shape: "Shape | None" = None


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The attributes of a resource, an extension or a complex attribute."""

    # None: a complex attribute.
    schema: str | None
    attributes: Mapping[str, Attribute]
    extensions: Mapping[str, "Shape"]

    def attribute(self, name: str) -> Attribute | None:
        """An attribute by its name, or an extension by its URN."""
        key = name.lower()
        if found := self.attributes.get(key):
            return found
        extension = self.extensions.get(key)
        if extension is None:
            return None
        return Attribute(
            name=cast(str, extension.schema),
            several=False,
            boolean=False,
            read_only=False,
            shape=extension,
        )

    @cached_property
    def as_written(self) -> Mapping[str, Attribute]:
        """The attributes and extensions by their names as the schemas write them."""
        extensions = (str(extension.schema) for extension in self.extensions.values())
        found = {name: cast(Attribute, self.attribute(name)) for name in extensions}
        return {attribute.name: attribute for attribute in self.attributes.values()} | found

    @property
    def schemas(self) -> dict[str, "Shape"]:
        """The resource's own schema and its extensions, by their URNs in lower case."""
        return ({self.schema.lower(): self} if self.schema else {}) | dict(self.extensions)

    def target(self, path: str) -> "Target | None":
        """What a path leads to. None: to nothing that these schemas have."""
        holder, rest = self._apart(path)
        if not rest:
            return Target(shape=holder, attribute=None, filtered=False)
        found = _PATH.fullmatch(rest)
        attribute = holder.attribute(found["attribute"]) if found else None
        if found is None or attribute is None:
            return None
        filtered = found["filter"] is not None
        if found["sub"] is None:
            return Target(shape=holder, attribute=attribute, filtered=filtered)
        if attribute.shape is None:
            return None
        sub = attribute.shape.attribute(found["sub"])
        return Target(shape=attribute.shape, attribute=sub, filtered=False) if sub else None

    def _apart(self, path: str) -> tuple["Shape", str]:
        """The schema that a path begins with, and the rest of it."""
        lowered = path.lower()
        for urn, shape in self.schemas.items():
            if lowered == urn:
                return shape, ""
            if lowered.startswith(f"{urn}:"):
                return shape, path[len(urn) + 1 :]
        return self, path


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a path leads: to an attribute of an object, or to the object itself."""

    shape: Shape
    # None: the whole resource or extension.
    attribute: Attribute | None
    # The path picks values of a multi-valued attribute.
    filtered: bool


@lru_cache(maxsize=64)
def shape_of(model: type[BaseModel]) -> Shape:
    """The shape of a model of scim2-models."""
    names = model.__scim_info__.alias_to_field
    extensions = model.get_extension_models() if issubclass(model, Resource) else {}
    return Shape(
        schema=str(model.__schema__) if hasattr(model, "__schema__") else None,
        attributes={
            name.lower(): _attribute(model, name, field)
            for name, field in names.items()
            if field not in model.__scim_info__.extensions
        },
        extensions={urn.lower(): shape_of(extension) for urn, extension in extensions.items()},
    )


def _attribute(model: type[BaseModel], name: str, field: str) -> Attribute:
    root = model.get_field_root_type(field)
    is_complex = isinstance(root, type) and issubclass(root, BaseModel)
    return Attribute(
        name=name,
        several=model.get_field_multiplicity(field),
        boolean=root is bool,
        text=root is str,
        read_only=model.get_field_annotation(field, Mutability) is Mutability.read_only,
        shape=shape_of(cast("type[BaseModel]", root)) if is_complex else None,
    )


def canonical_values(model: type[BaseModel], field: str) -> frozenset[str] | None:
    """The values that a schema suggests for an attribute, in lower case. None: any."""
    root = model.get_field_root_type(field)
    if isinstance(root, type) and issubclass(root, Enum):
        return _lowered(str(member.value) for member in root)
    return None


def _lowered(values: Iterable[str]) -> frozenset[str]:
    return frozenset(value.lower() for value in values)
