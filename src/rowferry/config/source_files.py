"""Files as a source: which of a folder or of a bucket, and how their text is divided."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from rowferry.config.fields import Key, Name, Prefix, Spec, Words


class SourceCsv(Spec):
    """The dialect of CSV files; what is left out is told from them. `nullText`: what stands, unquoted, for NULL."""

    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    quote: str | None = Field(default=None, min_length=1, max_length=1)
    header: bool | None = None
    null_text: Words = ""

    @model_validator(mode="after")
    def _two_signs(self) -> Self:
        for name, sign in (("delimiter", self.delimiter), ("quote", self.quote)):
            if sign is not None and sign in "\r\n\0":
                raise ValueError(f"{name} cannot be a line end or NUL: choose another character")
        if self.delimiter is not None and self.delimiter == self.quote:
            raise ValueError("delimiter and quote are the same character: choose two")
        return self


class SourceFiles(Spec):
    """Files under a folder: names, globs, or folders that end with a slash; without `paths` all tables of the folder.

    `basePath` is the connection's folder or one below it.
    """

    base_path: Name
    paths: tuple[Name, ...] = ()
    csv: SourceCsv = SourceCsv()

    @model_validator(mode="after")
    def _below(self) -> Self:
        for path in self.paths:
            if path.startswith(("/", "~")) or "\\" in path or ".." in path.split("/"):
                raise ValueError(f"path {path!r} leads out of basePath: name what lies below it")
        if ".." in self.base_path.split("/"):
            raise ValueError("basePath must have no .. in it")
        return self


class SourceS3(Spec):
    """Objects of a bucket: folders that end with a slash, keys or globs of keys, or those that a manifest lists.

    A prefix is one table, or a place of tables; `csv` is as for files.
    """

    bucket: Name
    prefixes: tuple[Prefix, ...] = ()
    objects: tuple[Key, ...] = ()
    manifest_path: Key | Literal[""] = ""
    csv: SourceCsv = SourceCsv()

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.manifest_path and (self.prefixes or self.objects):
            raise ValueError("manifestPath goes without prefixes and objects")
        if not (self.manifest_path or self.prefixes or self.objects):
            raise ValueError("needs prefixes, objects or manifestPath")
        for prefix in self.prefixes:
            if not prefix.endswith("/"):
                raise ValueError(f"prefix {prefix!r} must end with /: a single object belongs under objects")
        for key in (*self.objects, self.manifest_path):
            if key.endswith("/"):
                raise ValueError(f"{key!r} must not end with /: a folder belongs under prefixes")
        for key in (*self.prefixes, *self.objects, self.manifest_path):
            if {".", "..", ""} & set(key.strip("/").split("/")) and key.strip("/"):
                raise ValueError(f"{key!r} must have no empty part, no . and no .. in it")
        return self
