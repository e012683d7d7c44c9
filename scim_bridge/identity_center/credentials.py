"""By what does Identity Center know the bridge, and what to do when it does not?"""

import os
import threading
from collections.abc import Callable
from typing import Any, Protocol

import botocore.session
from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection
from requests_aws4auth import AWS4Auth

from scim_bridge.errors import DoorClosed, Unavailable
from scim_bridge.settings import IdentityCenter

# What requests calls to authenticate a prepared request.
Auth = Callable[[Any], Any]


class Authority(Protocol):
    """One kind of authentication (``[identity_center] auth``)."""

    # What an operator can do when Identity Center answers 401 or 403.
    @property
    def remedy(self) -> str: ...

    def auth(self) -> Auth:
        """What authenticates the next request; read anew for each, so it is never stale.

        :raises DoorClosed: there are no credentials, or they cannot be renewed.
        :raises Unavailable: who gives out credentials does not answer.
        """
        ...

    def renew(self, refused: Auth) -> bool:
        """Look again after a refusal; whether there is something else to try at once.

        ``refused`` is what authenticated the call: by now another call may have renewed.
        """
        ...


def authority(settings: IdentityCenter, keys: "Keys | None" = None) -> Authority:
    """The kind of authentication the settings ask for at the SCIM endpoint."""
    return BearerToken(settings) if settings.auth == "bearer" else Signature(settings, keys)


class Signer(AWS4Auth):  # type: ignore[misc]  # requests-aws4auth has no types
    """Signs a request, and knows with which key."""

    def __init__(self, key: ReadOnlyCredentials, region: str | None, service: str) -> None:
        super().__init__(key.access_key, key.secret_key, region, service, session_token=key.token)
        self.key = key


class Keys:
    """The AWS credentials of botocore's chain, one for all doors.

    So environment variables, profiles, assumed roles, web identities and instance profiles work
    and are refreshed before they expire.
    """

    def __init__(self, settings: IdentityCenter) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._credentials: Credentials | None = None

    def frozen(self) -> ReadOnlyCredentials:
        """One consistent set of keys, refreshed if they are about to expire.

        :raises DoorClosed: there are none, or they cannot be renewed.
        :raises Unavailable: who gives them out does not answer.
        """
        try:
            with self._lock:
                if self._credentials is None:
                    self._credentials = self._resolved()
                credentials = self._credentials
            return credentials.get_frozen_credentials()
        except (HTTPClientError, NoConnection) as error:
            raise Unavailable(f"AWS credentials cannot be fetched: {_kind(error)}") from error
        # A refresh that gives expired credentials again is a RuntimeError of botocore.
        except (BotoCoreError, ClientError, RuntimeError) as error:
            raise DoorClosed(
                f"AWS credentials cannot be had: {_kind(error)}. {self._where()}"
            ) from error

    def forget(self) -> None:
        """Read the whole chain again next time, so that a mended file needs no restart."""
        with self._lock:
            self._credentials = None

    def _resolved(self) -> Credentials:
        credentials = self._session().get_credentials()
        if credentials is None:
            raise DoorClosed(f"there are no AWS credentials. {self._where()}")
        return credentials

    def _session(self) -> botocore.session.Session:
        file, profile = self._settings.credentials_file, self._settings.profile
        # A named file or profile is meant: botocore lets a named profile win over the environment.
        session = botocore.session.Session(profile=profile or ("default" if file else None))
        if file is not None:
            session.set_config_variable("credentials_file", str(file))
        session.set_config_variable("region", self._settings.region)
        return session

    def _where(self) -> str:
        file, profile = self._settings.credentials_file, self._settings.profile
        if file is None and profile is None:
            return (
                "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, identity_center.profile or "
                "identity_center.credentials_file, or run where a role is given."
            )
        return f"Profile {profile or 'default'} was looked for in {file or 'the files of AWS'}."


class Signature:
    """Signature Version 4. After a refusal the chain of credentials is read again.

    ``service`` and ``region`` are those the call is signed for, if not the SCIM endpoint's.
    """

    def __init__(
        self,
        settings: IdentityCenter,
        keys: Keys | None = None,
        *,
        service: str | None = None,
        region: str | None = None,
    ) -> None:
        self._keys = keys or Keys(settings)
        self._service = service
        self._signed_for = service or settings.signing_service
        self._region = region or settings.region

    @property
    def remedy(self) -> str:
        checks = (
            "Check the access key and its secret, that a temporary key has not expired, that the "
            f"clock is right, region ({self._region})"
        )
        if self._service is not None:
            return f"{checks}, and that the region is enabled for the account."
        return (
            f"{checks} and signing_service ({self._signed_for}). AWS documents only the bearer "
            "token on the SCIM "
            'endpoint: where the keys are right, set auth = "bearer" in [identity_center] and give '
            "it the access token of automatic provisioning."
        )

    def auth(self) -> Signer:
        return Signer(self._keys.frozen(), self._region, self._signed_for)

    def renew(self, refused: Auth) -> bool:
        self._keys.forget()
        return isinstance(refused, Signer) and bool(self._keys.frozen() != refused.key)


class BearerToken:
    """The access token of automatic provisioning, from a file or an environment variable.

    The file is read for every call, so that a rotated token needs no restart.
    """

    def __init__(self, settings: IdentityCenter) -> None:
        self._settings = settings

    @property
    def remedy(self) -> str:
        expires = self._settings.bearer_token_expires
        noted = f" (noted as ending on {expires})" if expires else ""
        return (
            f"The access token has expired{noted}, was deleted, or belongs to another tenant than "
            "scim_endpoint; tokens end after one year. Make a new one in the console under "
            "Settings, Automatic provisioning, and put it "
            f"{self._place()}. If the token is right, check that the instance lets the bridge's "
            "address in."
        )

    def auth(self) -> Auth:
        token = self._token()

        def authenticate(request: Any) -> Any:
            request.headers["Authorization"] = f"Bearer {token}"
            return request

        return authenticate

    def renew(self, refused: Auth) -> bool:
        return False

    def _token(self) -> str:
        token = self._read().strip()
        if not token:
            raise DoorClosed(
                f"there is no access token for Identity Center: put it {self._place()}"
            )
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise DoorClosed(
                "the access token for Identity Center holds characters that no token has: put it, "
                f"and nothing else, {self._place()}"
            )
        return token

    def _read(self) -> str:
        file = self._settings.bearer_token_file
        if file is None:
            return os.environ.get(self._settings.bearer_token_env or "", "")
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DoorClosed(
                f"the access token cannot be read from {file}: {_kind(error)}"
            ) from error

    def _place(self) -> str:
        if self._settings.bearer_token_file is not None:
            return f"into {self._settings.bearer_token_file} (no restart is needed)"
        if self._settings.bearer_token_env is not None:
            return f"into the environment variable {self._settings.bearer_token_env}, and restart"
        return "into a file that identity_center.bearer_token_file names"


def _kind(error: Exception) -> str:
    """What went wrong, without what a library's message may repeat."""
    match error:
        case OSError():
            return error.strerror or type(error).__name__
        case ClientError():
            return str(error.response.get("Error", {}).get("Code", "refused"))
        case _:
            return type(error).__name__
