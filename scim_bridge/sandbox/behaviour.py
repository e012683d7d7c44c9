"""How does this sandbox behave, and which fixed names and secrets does it go by?

The secrets are published on purpose: they protect nothing but make-believe people.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

REGION = "us-east-1"
ACCESS_KEY = "sandbox"
SECRET_KEY = "sandbox-secret"  # noqa: S105 - published, see above
BEARER_TOKEN = "sandbox-token"  # noqa: S105 - published, see above
SIGNING_SERVICE = "identitystore"
TENANT = "5a4db0c5-0b0c-4f5e-9d53-0123456789ab"
IDENTITY_STORE_ID = "d-0123456789"
INSTANCE_ARN = "arn:aws:sso:::instance/ssoins-0123456789abcdef"


class UnknownBehaviour(ValueError):
    """A behaviour that the sandbox does not have, or a value it cannot take."""


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """What the sandbox accepts, and where AWS's open questions are decided."""

    strict_disabled: bool = False
    # Authenticated SCIM calls per second; None never throttles.
    throttle: float | None = None
    signing_service: str = SIGNING_SERVICE
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY
    bearer_token: str = BEARER_TOKEN
    region: str = REGION

    def changed(self, changes: Mapping[str, object]) -> "Behaviour":
        """This behaviour with `changes` made; raises UnknownBehaviour, naming a wrong one."""
        for name, value in changes.items():
            _check(name, value)
        return replace(self, **changes)  # type: ignore[arg-type]  # just checked


def _check(name: str, value: object) -> None:
    match name:
        case "strict_disabled":
            fits, wanted = isinstance(value, bool), "true or false"
        case "throttle":
            fits, wanted = _is_rate(value), "a number of calls per second above 0, or null"
        case _ if name in asdict(Behaviour()):
            fits, wanted = isinstance(value, str) and value != "", "a non-empty string"
        case _:
            known = ", ".join(asdict(Behaviour()))
            raise UnknownBehaviour(f"{name}: there is no such behaviour; there are {known}")
    if not fits:
        raise UnknownBehaviour(f"{name}: must be {wanted}")


def _is_rate(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value is None or (is_number and value > 0)  # type: ignore[operator]  # a number
