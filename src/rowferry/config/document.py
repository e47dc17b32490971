"""A stream config in a file, as YAML or JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from rowferry.errors import InvalidInput


class _Loader(yaml.SafeLoader):
    """Values only, no objects; a field that is written twice is an error and not the last one's."""


def read_document(file: Path) -> dict[str, Any]:
    """The file's document; InvalidInput, with the place, when it holds none."""
    try:
        document = yaml.load(file.read_text(encoding="utf-8"), _Loader)  # noqa: S506  it is a safe one
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {(error.strerror or type(error).__name__).lower()}.") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file} is not in UTF-8: see its byte {error.start}.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f": see line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise InvalidInput(f"{file} is not valid YAML{place}.") from error
    except RecursionError as error:
        raise InvalidInput(f"{file} is nested too deeply.") from error
    if not isinstance(document, dict):
        raise InvalidInput(f"{file} must hold a stream config: name, mode, source and target.")
    return document


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, Any]:
    loader.flatten_mapping(node)
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise InvalidInput(f"The name of a field must be text: see line {key_node.start_mark.line + 1}.")
        if key in found:
            raise InvalidInput(f"The field {key!r} is written twice: see line {key_node.start_mark.line + 1}.")
        found[key] = loader.construct_object(value_node, deep=True)
    return found


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
