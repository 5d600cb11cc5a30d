"""What an object store says when it cannot or will not, as one line of ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from components.base.addresses import masked
from components.base.errors import InputError, MoodlineError, Unavailable

_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"}
_REFUSED = {
    "AccessDenied", "AllAccessDisabled", "AccountProblem", "InvalidAccessKeyId", "InvalidToken",
    "SignatureDoesNotMatch", "InvalidClientTokenId", "AuthorizationHeaderMalformed", "403", "401",
    "Forbidden", "Unauthorized",
}  # fmt: skip
_CHANGED = {"PreconditionFailed", "ConditionalRequestConflict", "412"}
_AWAY = {
    "SlowDown",
    "ServiceUnavailable",
    "InternalError",
    "RequestTimeout",
    "RequestTimeTooSkewed",
}


class MissingError(InputError):
    """The store has no object of this name."""


class ChangedError(InputError):
    """The object is another one than it was; or there is one, and there was none."""


@contextmanager
def storage_faults(location: Any) -> Iterator[None]:
    """Turn what boto3 raises into one line that begins with the location.

    Raises:
        MissingError: no such object.
        InputError: no such bucket, or nothing that can be asked for.
        Unavailable: there are no credentials, they are refused or have expired, or the store does
            not answer: the fault is no single object's, so none is left out for it.
    """
    from boto3.exceptions import S3UploadFailedError
    from botocore import exceptions as known

    try:
        yield
    except MoodlineError:
        raise
    except known.ClientError as error:
        raise _refusal(location, error.response) from None
    except S3UploadFailedError as error:
        cause = error.__context__
        if isinstance(cause, known.ClientError):
            raise _refusal(location, cause.response) from None
        raise Unavailable(f"{location}: cannot be written: {_line(error)}") from None
    except (
        known.NoCredentialsError, known.PartialCredentialsError, known.ProfileNotFound,
        known.CredentialRetrievalError, known.NoAuthTokenError,
    ) as error:  # fmt: skip
        raise Unavailable(
            f"{location}: there are no credentials for it: {_line(error)}; set AWS_ACCESS_KEY_ID"
            " and AWS_SECRET_ACCESS_KEY, or give the pod a role"
        ) from None
    except (known.ParamValidationError, ValueError) as error:
        raise InputError(f"{location}: cannot be asked for: {_line(error)}") from None
    except known.BotoCoreError as error:
        raise Unavailable(
            f"{location}: the object store does not answer: {_line(error)}; try again later"
        ) from None


def _refusal(location: Any, response: dict[str, Any]) -> InputError | Unavailable:
    """An answer that is none, by its code."""
    given = response.get("Error", {})
    code, words = str(given.get("Code", "")), str(given.get("Message", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    said = ": ".join(filter(None, (code, " ".join(masked(words).split())[:200])))
    if code == "NoSuchBucket":
        return InputError(f"{location}: no such bucket")
    if code in {"NoSuchKey", "404", "NotFound"}:
        return MissingError(f"{location}: no such file")
    if code in _CHANGED:
        return ChangedError(f"{location}: was changed while it was read; start again")
    if code in _EXPIRED:
        return Unavailable(
            f"{location}: the credentials have expired ({said}); renew them and start again:"
            " finished work is not done again"
        )
    if code in _REFUSED or status in (401, 403):
        return Unavailable(
            f"{location}: the object store refuses the credentials ({said}); they need s3:GetObject"
            " and s3:ListBucket there, and s3:PutObject"
            " and s3:DeleteObject for what is kept there"
        )
    if code in _AWAY or status >= 500:
        return Unavailable(f"{location}: the object store cannot now ({said}); try again later")
    return Unavailable(f"{location}: the object store refuses: {said}")


def _line(error: BaseException) -> str:
    return masked(" ".join(str(error).split()))[:300]
