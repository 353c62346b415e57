"""What goes wrong with object storage, each in one line: no credentials, no rights, or a fault that passes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from protect.files import PlanError


@dataclass(frozen=True)
class Driver:
    """How one kind of storage is reached: fsspec's name, the extra that installs it, where credentials come from."""

    protocol: str
    extra: str
    credentials: str


AWS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run where an instance role gives them"
GOOGLE = "GOOGLE_APPLICATION_CREDENTIALS, or run gcloud auth application-default login"
AZURE = "AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN"
DRIVERS = {
    "s3": Driver("s3", "s3", AWS),
    "s3a": Driver("s3", "s3", AWS),
    "gs": Driver("gs", "gcs", GOOGLE),
    "gcs": Driver("gs", "gcs", GOOGLE),
    "az": Driver("az", "azure", AZURE),
    "abfs": Driver("az", "azure", AZURE),
    "memory": Driver("memory", "", ""),
}
# What drivers raise; by name, since a driver is imported only where it is used.
NO_CREDENTIALS = frozenset(
    (
        "NoCredentialsError",
        "PartialCredentialsError",
        "CredentialRetrievalError",
        "ProfileNotFound",
        "TokenRetrievalError",
        "DefaultCredentialsError",
    )
)
REFUSED = frozenset(("PermissionError", "ClientAuthenticationError"))
PASSING = frozenset(
    (
        "OSError",
        "TimeoutError",
        "HttpError",
        "HTTPClientError",
        "ClientError",
        "AzureError",
        "IncompleteRead",
        "ClientConnectionError",
        "ClientPayloadError",
    )
)
SECRETS = (
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_CONNECTION_STRING",
    "AZURE_STORAGE_CLIENT_SECRET",
)


class StorageError(PlanError):
    """Storage that cannot be used as it was asked for; trying again does not help."""


class Transient(OSError):
    """A fault that may pass: a server that is busy, a connection that broke. Trying again may help."""


@contextmanager
def reaching(url: str) -> Iterator[None]:
    """Calls of a driver: raises FileNotFoundError, FileExistsError, StorageError or Transient, whatever it raises."""
    try:
        yield
    except (FileNotFoundError, FileExistsError, IsADirectoryError, StorageError, Transient):
        raise
    except Exception as error:
        kinds = {kind.__name__ for kind in type(error).__mro__}
        driver = DRIVERS[url.partition("://")[0]]
        if kinds & set(NO_CREDENTIALS) or (
            driver.protocol == "az" and "Must provide either a connection" in str(error)
        ):
            raise StorageError(f"{url}: expected credentials, found none; set {driver.credentials}") from None
        if kinds & REFUSED:
            raise StorageError(
                f"{url}: expected leave to read or write there, found it refused ({shown(error)}); check the rights "
                f"of these credentials, or set others: {driver.credentials}"
            ) from None
        if kinds & PASSING:
            raise Transient(f"{url}: {shown(error)}") from error
        raise


def shown(error: BaseException) -> str:
    """What an error says, in one line and without any secret of the environment."""
    text = " ".join(str(error).split())[:300] or type(error).__name__
    for name in SECRETS:
        if secret := os.environ.get(name):
            text = text.replace(secret, f"${name}")
    return text
