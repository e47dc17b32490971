"""What an object store says when it cannot, in the words of `rowferry.errors`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from obstore import exceptions

from rowferry.errors import ConnectionFailed, ConnectionLost, RowferryError, WriteFailed

_REFUSALS: tuple[tuple[str, type[RowferryError], str], ...] = (
    (r"<Code>NoSuchBucket<", ConnectionFailed, "There is no bucket {bucket}: create it, or correct its name."),
    (r"<Code>InvalidBucketName<", ConnectionFailed, "{bucket} cannot be a bucket's name: correct it."),
    (r"<Code>InvalidAccessKeyId<", ConnectionFailed, "The object store does not know the access key: correct it."),
    (r"<Code>SignatureDoesNotMatch<", ConnectionFailed, "The secret key does not fit the access key: correct it."),
    (r"<Code>(ExpiredToken|InvalidToken|TokenRefreshRequired)<", ConnectionFailed, "The session token has expired."),
    (r"<Code>RequestTimeTooSkewed<", ConnectionFailed, "This machine's clock is wrong: the object store refuses it."),
    (
        r"<Code>(PermanentRedirect|AuthorizationHeaderMalformed|IllegalLocationConstraintException)<|\b301 ",
        ConnectionFailed,
        "The bucket {bucket} lies in another region: correct the connection's region or endpoint.",
    ),
    (
        r"<Code>KMS\.|<Code>InvalidStorageClass<",
        WriteFailed,
        "The object store refuses how {bucket} is written: check serverSideEnc, kmsKeyId and storageClass.",
    ),
    (
        r"\b40[13] |PermissionDenied|Unauthenticated",
        ConnectionFailed,
        "The object store forbids it: let the key list, read, write and delete in {bucket}.",
    ),
    (r"\b404 ", ConnectionFailed, "There is no bucket {bucket}: create it, or correct its name."),
    (r"\b(5\d\d|429) ", ConnectionLost, "The object store at {endpoint} is busy or ill."),
    (r"timed? ?out|deadline", ConnectionLost, "The object store at {endpoint} took too long to answer."),
    (r"certificate|tls", ConnectionFailed, "The certificate of {endpoint} cannot be verified: correct the endpoint."),
    (r"HTTP error|error sending|credential|connect", ConnectionLost, "The object store at {endpoint} does not answer."),
)
"""What stands in the store's answer, the first that fits, and what is said of it."""


@contextmanager
def asking(bucket: str, endpoint: str) -> Iterator[None]:
    """Translate what goes wrong while the store is asked; that an object is not there passes through."""
    try:
        yield
    except (RowferryError, FileNotFoundError, exceptions.AlreadyExistsError):
        raise
    except (exceptions.BaseError, OSError, ValueError) as error:
        raise translated(str(error), bucket, endpoint) from error


def translated(text: str, bucket: str, endpoint: str) -> RowferryError:
    """What the store's answer means."""
    for pattern, kind, said in _REFUSALS:
        if re.search(pattern, text, re.IGNORECASE):
            return kind(said.format(bucket=bucket, endpoint=endpoint))
    return WriteFailed(f"The object store at {endpoint} did not do what it was asked for in {bucket}.")
