"""What does scim2-tester say, the checks of the makers of the scim2 libraries?"""

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

from scim2_client import BaseSyncSCIMClient
from scim2_models import EnterpriseUser, ResourceType, SchemaExtension, ScimProvider
from scim2_tester import CheckConfig, CheckResult, Status, checkers
from scim2_tester.utils import CheckContext

from conformance.result import Exchange, Outcome, Result
from conformance.target import Answer, Target

OUTCOMES = {
    Status.SUCCESS: Outcome.passed,
    Status.COMPLIANT: Outcome.passed,
    Status.ACCEPTABLE: Outcome.passed,
    Status.DEVIATION: Outcome.warned,
    Status.ERROR: Outcome.failed,
    Status.CRITICAL: Outcome.failed,
    Status.SKIPPED: Outcome.skipped,
}
OF_DISCOVERY: tuple[Callable[[CheckContext], list[CheckResult]], ...] = (
    checkers.service_provider_config_endpoint_methods,
    checkers.resource_types_schema_validation,
    checkers.access_invalid_resource_type,
    checkers.resource_types_endpoint_methods,
    checkers.access_schema_by_id,
    checkers.core_schemas_validation,
    checkers.access_invalid_schema,
    checkers.schemas_endpoint_methods,
)
OF_A_RESOURCE: tuple[Callable[[CheckContext, Any], list[CheckResult]], ...] = (
    checkers.object_creation,
    checkers.object_query,
    checkers.object_query_without_id,
    checkers.object_query_with_attributes,
    checkers.object_list_with_attributes,
    checkers.search_with_attributes,
    checkers.object_replacement,
    checkers.object_deletion,
    checkers.check_add_attribute,
    checkers.check_remove_attribute,
    checkers.check_replace_attribute,
)
# What values an extension of a server's own takes, no suite can know.
KNOWN_EXTENSIONS = frozenset({str(EnterpriseUser.__schema__)})
# How a check names its section.
_SECTION = re.compile(r"RFC (\d{4}) Section ([\d.]*\d)|RFC (\d{4}) <\d+#section-([\d.]*\d)")
# More requests than these are of no help to whoever reads about a failure.
_SHOWN = 6


class Tester:
    """scim2-tester over HTTP, check by check, with what each one sent."""

    name = "tester"
    about = "scim2-tester: discovery, every attribute created, read, replaced and patched"

    def number(self) -> int | None:
        return None

    def run(self, target: Target, run: str) -> Iterator[Result]:
        """Its own order: what the server says of itself first, since the rest is made from that."""
        target.exchanges()
        watched = _Watched(target)
        context = CheckContext(_Client(target), watched)
        told = yield from self._answered(
            watched, checkers.service_provider_config_endpoint(context)
        )
        types = yield from self._answered(watched, checkers.query_all_resource_types(context))
        schemas = yield from self._answered(watched, checkers.query_all_schemas(context))
        for resource_type in types or ():
            yield from self._answered(
                watched, checkers.query_resource_type_by_id(context, resource_type)
            )
        for check in OF_DISCOVERY:
            yield from self._answered(watched, check(context))
        if not (told and types and schemas):
            yield self._not_described("what its discovery endpoints publish is not usable")
            return
        yield from self._left_out(types)
        try:
            described = ScimProvider.from_discovery(schemas, list(map(_common, types)), told)
        except Exception as error:
            # Whatever keeps the libraries from making models of it is the server's failure.
            yield self._not_described(str(error))
            return
        context.client.provider = described
        yield from self._answered(watched, checkers.random_url(context))
        for resource_type in described.resource_types:
            yield from self._of_a_resource(context, watched, resource_type)

    def _left_out(self, types: list[ResourceType]) -> Iterator[Result]:
        for resource_type in types:
            for extension in resource_type.schema_extensions or ():
                if not _is_checked(extension):
                    yield Result(
                        suite=self.name,
                        name=f"{resource_type.name}: {extension.schema_}",
                        clause="RFC 7643 3.3",
                        outcome=Outcome.skipped,
                        reason="An extension of this server's own: only it knows what it takes",
                    )

    def _of_a_resource(
        self, context: CheckContext, watched: "_Watched", resource_type: ResourceType
    ) -> Iterator[Result]:
        model = context.client.provider.model_for(resource_type)
        if model is None:
            yield self._not_described(f"no schema belongs to the resource type {resource_type.id}")
            return
        for check in OF_A_RESOURCE:
            yield from self._answered(watched, check(context, model), of=f"{resource_type.name}: ")

    def _answered(
        self, watched: "_Watched", found: list[CheckResult], *, of: str = ""
    ) -> Any:  # a generator that returns what a discovery check found, or None
        """A check's results, each with the requests that were sent for it."""
        for one, exchanges in zip(found, watched.shares(len(found)), strict=True):
            yield Result(
                suite=self.name,
                name=f"{of}{(one.title or 'check').replace('_', ' ')}",
                clause=clause(one.description or ""),
                outcome=OUTCOMES[one.status],
                reason=one.reason or "",
                exchanges=exchanges[-_SHOWN:],
            )
        return found[0].data if found and found[0].status is Status.SUCCESS else None

    def _not_described(self, reason: str) -> Result:
        return Result(
            suite=self.name,
            name="models are made from the server's schemas",
            clause="RFC 7643 7",
            outcome=Outcome.failed,
            reason=f"No resource can be checked: {reason}",
        )


def _common(resource_type: ResourceType) -> ResourceType:
    """A resource type without extensions that only this server knows."""
    kept = [one for one in resource_type.schema_extensions or () if _is_checked(one)]
    return resource_type.model_copy(update={"schema_extensions": kept})


def _is_checked(extension: SchemaExtension) -> bool:
    """What is required cannot be left out, whoever thought of it."""
    return bool(extension.required) or str(extension.schema_) in KNOWN_EXTENSIONS


def clause(description: str) -> str:
    """The section that a check's description names first."""
    found = _SECTION.search(description)
    if found is None:
        return "scim2-tester"
    rfc, section = (part for part in found.groups() if part)
    return f"RFC {rfc} {section}"


class _Watched(CheckConfig):
    """The tester's settings, which it looks up whenever it comes to a result.

    So this knows which requests were sent for which result; the tester itself does not tell.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._shares: list[tuple[Exchange, ...]] = []
        super().__init__()

    @property
    def raise_exceptions(self) -> bool:
        self._shares.append(self._target.exchanges())
        return False

    @raise_exceptions.setter
    def raise_exceptions(self, value: bool) -> None:
        """A dataclass sets its fields."""

    def shares(self, results: int) -> list[tuple[Exchange, ...]]:
        """The requests sent for each of a check's results, since this was last asked."""
        # What comes last is the tester tidying up.
        self._target.exchanges()
        shares, self._shares = self._shares, []
        if len(shares) == results:
            return shares
        # It broke off, and what it had found until then is lost.
        return [tuple(exchange for share in shares for exchange in share)] * results


class _Answer:
    """An answer as scim2-client reads it."""

    def __init__(self, answer: Answer) -> None:
        self.status_code = answer.status
        self.headers = answer.headers
        self.text = answer.text
        self.json = answer.json


class _Client(BaseSyncSCIMClient):
    """scim2-client over the target, so that everything is recorded and removed."""

    def __init__(self, target: Target) -> None:
        super().__init__()
        self._target = target

    def _stays_under_base_url(self, endpoint: str) -> bool:
        """The target sends nothing elsewhere, so an address is either below its own or a path."""
        return "://" not in endpoint or endpoint.startswith(f"{self._target.url}/")

    def request(
        self,
        method: str,
        url: str,
        *,
        params: dict[str, Any] | None = None,
        json: Any = None,
        headers: dict[str, str] | None = None,
        **_: Any,
    ) -> Any:
        query = f"?{urlencode(params, doseq=True)}" if params else ""
        path = url if "://" in url else f"/{url.lstrip('/')}"
        return _Answer(self._target.send(method, f"{path}{query}", json, headers=headers))
