"""Who of the directory goes to a target? All, or those whom the target's filter matches."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from scim2_models import InvalidFilterException, Resource, ScimFilter
from scim2_models.path import Comparison, Present, ValuePath
from sqlalchemy import ColumnElement, true

from scim_bridge.directory import filters
from scim_bridge.directory.entitlements import USER_EXTENSION
from scim_bridge.directory.tables import users
from scim_bridge.directory.write import Write
from scim_bridge.errors import SettingProblem, SettingsError

# What is not in a person's own document: a change of it would not be noticed as one of theirs.
_ELSEWHERE = ("id", "groups", "meta", USER_EXTENSION.lower())


class Audience:
    """The people who go to a target, by a SCIM filter over the user. None: everybody."""

    def __init__(
        self,
        given: str | None = None,
        *,
        model: type[Resource[Any]] | None = None,
        setting: str = "",
    ) -> None:
        """Raises `SettingsError` for a filter that cannot be used, naming the setting."""
        self.given = given
        self._filter: ScimFilter[Any] | None = None
        self._model = model
        self.is_all = given is None
        if given is not None and model is not None:
            self._filter, self._condition = _compiled(given, model, setting)

    def condition(self) -> ColumnElement[bool]:
        """The rows of `users` that go there."""
        return true() if self.is_all else self._condition

    def admits(self, document: Mapping[str, Any]) -> bool:
        """Whether the person of a document goes there."""
        if self._filter is None or self._model is None:
            return True
        return bool(self._filter.match(self._model.model_validate(document)))

    def seen(self, write: Write) -> Write:
        """A write as the target sees it: who does not go there is not active there.

        So that to leave the filter is to leave the target, and to come back is to return.
        """
        if self.is_all or write.kind != "user":
            return write
        return replace(write, before=self._there(write.before), after=self._there(write.after))

    def _there(self, document: dict[str, Any] | None) -> dict[str, Any] | None:
        if document is None or self.admits(document):
            return document
        return {**document, "active": False}


EVERYBODY = Audience()


def _compiled(
    given: str, model: type[Resource[Any]], setting: str
) -> tuple[ScimFilter[Any], ColumnElement[bool]]:
    try:
        parsed: ScimFilter[Any] = ScimFilter[model](given)  # type: ignore[valid-type]
        _refuse_what_is_elsewhere(parsed)
        return parsed, filters.condition(parsed, model, users)
    except InvalidFilterException as error:
        problem = SettingProblem(where=setting, what=f"cannot be used: {error.detail}")
        raise SettingsError([problem]) from error


def _refuse_what_is_elsewhere(parsed: ScimFilter[Any]) -> None:
    for node in filters.nodes(parsed.ast):
        if not isinstance(node, Comparison | Present | ValuePath):
            continue
        path = str(node.attr_path).lower()
        if path.startswith(_ELSEWHERE[-1]) or path.partition(".")[0] in _ELSEWHERE:
            raise InvalidFilterException(
                detail=f"{node.attr_path} is not an attribute of the person alone; ask for "
                "attributes such as userType or department"
            )
