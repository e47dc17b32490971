"""What an object store says when it cannot, in the words of `rowferry.errors`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from obstore import exceptions

from rowferry.errors import ConnectionFailed, ConnectionLost, RowferryError, WriteFailed

_REFUSALS: tuple[tuple[str, type[RowferryError], str], ...] = (
    (
        r"//169\.254\.(169\.254|170\.2)\b",
        ConnectionFailed,
        "There are no keys for the object store: write credentials into the connection, or set AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY for the server.",
    ),
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
    (
        r"certificate|UnknownIssuer|NotValidForName",
        ConnectionFailed,
        "The certificate of {endpoint} cannot be verified: correct the connection's endpoint.",
    ),
    (
        r"InvalidContentType|WRONG_VERSION_NUMBER",
        ConnectionFailed,
        "The object store at {endpoint} does not speak TLS: write its endpoint with http://, or another port.",
    ),
    (
        r"dns error|Name or service not known|Failed to resolve|name resolution",
        ConnectionLost,
        "There is no machine of that name at {endpoint}: correct the connection's endpoint or region.",
    ),
    (r"timed ?out|deadline has", ConnectionLost, "The object store at {endpoint} took too long to answer."),
    (
        r"HTTP error|error sending|credential|connect",
        ConnectionLost,
        "The object store at {endpoint} does not answer: see that it runs, or correct the connection's endpoint.",
    ),
)
"""What stands in the store's answer, the first that fits, and what is said of it."""


@contextmanager
def asking(bucket: str, endpoint: str) -> Iterator[None]:
    """Translate what goes wrong while the store is asked; that an object is there, is not there or is another one
    passes through.
    """
    try:
        yield
    except (RowferryError, FileNotFoundError, exceptions.AlreadyExistsError, exceptions.PreconditionError):
        raise
    except (exceptions.BaseError, OSError, ValueError) as error:
        raise translated(str(error), bucket, endpoint) from error


def translated(text: str, bucket: str, endpoint: str) -> RowferryError:
    """What the store's answer means."""
    for pattern, kind, said in _REFUSALS:
        if re.search(pattern, text, re.IGNORECASE):
            return kind(said.format(bucket=bucket, endpoint=endpoint))
    return WriteFailed(f"The object store at {endpoint} did not do what it was asked for in {bucket}.")
