"""Requests that the object library does not make: buckets as such, and uploads that were begun and never ended.

Signed as AWS Signature Version 4 has it, which every such store understands.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

import requests

from rowferry.config.connection import S3Spec
from rowferry.connectors.s3.bucket import address_of, keys_of, path_style, region_of
from rowferry.connectors.s3.failures import translated
from rowferry.errors import InvalidInput

_EMPTY = hashlib.sha256(b"").hexdigest()
_WAIT = (5, 30)


class SignedRequests:
    """Asks the store of a connection whose keys are known; InvalidInput when they are not."""

    def __init__(self, spec: S3Spec) -> None:
        keys = keys_of(spec.credentials)
        if keys is None:
            raise InvalidInput("Buckets are only listed with keys in the connection: name its bucket, or its keys.")
        self._access, self._secret, self._token = keys
        self._region = region_of(spec)
        self._path_style = path_style(spec)
        self._endpoint = address_of(spec)

    def ask(self, method: str, bucket: str = "", key: str = "", **query: str) -> ElementTree.Element | None:
        """What the store answers, None where that is nothing; its refusals are those of `failures`."""
        base = urlsplit(self._endpoint)
        host, path = base.netloc, f"/{bucket}/{key}" if bucket else "/"
        if bucket and not self._path_style:
            host, path = f"{bucket}.{host}", f"/{key}"
        path = quote(path if key else path.rstrip("/") or "/", safe="/-_.~")
        words = "&".join(f"{quote(name, safe='-_.~')}={quote(query[name], safe='-_.~')}" for name in sorted(query))
        url = f"{base.scheme}://{host}{path}" + (f"?{words}" if words else "")
        try:
            answer = requests.request(method, url, headers=self._headers(method, host, path, words), timeout=_WAIT)
        except requests.exceptions.RequestException as error:
            raise translated(str(error), bucket, self._endpoint) from error
        if not answer.ok:
            raise translated(f"{answer.status_code} {answer.text}", bucket, self._endpoint)
        return ElementTree.fromstring(answer.content) if answer.content else None  # noqa: S314  the store is trusted

    def names(self, answer: ElementTree.Element | None, place: str) -> Iterator[Mapping[str, str]]:
        """The elements of that name in an answer, each as its children's texts."""
        for element in answer.iter() if answer is not None else ():
            if element.tag.rpartition("}")[2] == place:
                yield {child.tag.rpartition("}")[2]: child.text or "" for child in element}

    def _headers(self, method: str, host: str, path: str, query: str) -> dict[str, str]:
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        headers = {"host": host, "x-amz-content-sha256": _EMPTY, "x-amz-date": moment}
        if self._token:
            headers["x-amz-security-token"] = self._token
        names = ";".join(sorted(headers))
        lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        request = "\n".join([method, path, query, lines, names, _EMPTY])
        scope = f"{moment[:8]}/{self._region}/s3/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(request.encode()).hexdigest()])
        key = f"AWS4{self._secret}".encode()
        for word in scope.split("/"):
            key = hmac.digest(key, word.encode(), "sha256")
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        credential = f"Credential={self._access}/{scope}, SignedHeaders={names}, Signature={signature}"
        return {**headers, "authorization": f"AWS4-HMAC-SHA256 {credential}"}
