"""What pydantic found wrong, in the words of the person who wrote it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from rowferry.errors import Detail, InvalidInput

_SHOWN = 3

Step = str | int
Context = Mapping[str, Any]

_MESSAGES: dict[str, Callable[[Context], str]] = {
    "missing": lambda _: "is required",
    "enum": lambda context: f"must be one of {_plain(context['expected'])}",
    "literal_error": lambda context: f"must be one of {_plain(context['expected'])}".replace("one of true", "true"),
    "greater_than_equal": lambda context: f"must be at least {context['ge']}",
    "greater_than": lambda context: f"must be greater than {context['gt']}",
    "less_than_equal": lambda context: f"must be at most {context['le']}",
    "less_than": lambda context: f"must be less than {context['lt']}",
    "string_type": lambda _: "must be text",
    "string_unicode": lambda _: "must be valid Unicode text",
    "string_too_short": lambda context: f"must have at least {context['min_length']} character(s)",
    "string_too_long": lambda context: f"must have at most {context['max_length']} character(s)",
    "string_pattern_mismatch": lambda context: f"must look like {context['pattern']}",
    "int_type": lambda _: "must be a whole number",
    "int_parsing": lambda _: "must be a whole number",
    "int_parsing_size": lambda _: "must be a smaller whole number",
    "int_from_float": lambda _: "must be a whole number",
    "float_type": lambda _: "must be a number",
    "float_parsing": lambda _: "must be a number",
    "finite_number": lambda _: "must be a finite number",
    "bool_type": lambda _: "must be true or false",
    "bool_parsing": lambda _: "must be true or false",
    "tuple_type": lambda _: "must be a list",
    "list_type": lambda _: "must be a list",
    "too_short": lambda context: f"must have at least {context['min_length']} item(s)",
    "too_long": lambda context: f"must have at most {context['max_length']} item(s)",
    "model_type": lambda _: "must be an object",
    "model_attributes_type": lambda _: "must be an object",
    "dict_type": lambda _: "must be an object",
    "value_error": lambda context: str(context["error"]),
}
"""pydantic's kind of error to what is said about the field; the field's path stands before it."""


def invalid(error: ValidationError, model: type[BaseModel]) -> InvalidInput:
    """The error of a whole document that is no `model`; it names every bad field, and never shows what was written."""
    found = error.errors(include_input=False)
    details = distinct(explained(problem, problem["loc"], model) for problem in found)
    return InvalidInput(sentence(details), details=details)


def distinct(explanations: Iterable[tuple[str, str]]) -> list[Detail]:
    """One entry for each field, the first that was found."""
    found: dict[str, str] = {}
    for path, text in explanations:
        found.setdefault(path, text)
    return [Detail(path, text) for path, text in found.items() if not _follows(path, text, found)]


def sentence(details: Sequence[Detail]) -> str:
    """All of it in one sentence; the first few where there are many."""
    parts = [f"{detail.path} {detail.message}".strip() for detail in details[:_SHOWN]]
    more = f" (and {len(details) - _SHOWN} more)" if len(details) > _SHOWN else ""
    text = "; ".join(parts) + more + "."
    return text[0].upper() + text[1:] if details and not details[0].path else text


def explained(error: Mapping[str, Any], steps: Sequence[Step], model: Any, document: Any = None) -> tuple[str, str]:
    """A bad field's path, as it was written in the document, and what to change there."""
    path, known = _walk(steps, model)
    written = getattr(model, "written_path", None)
    shown = ".".join(str(step) for step in (written(path, document) if written else path))
    if error["type"] == "extra_forbidden":
        return shown, _unknown(str(steps[-1]), known)
    return shown, message(error)


def message(error: Mapping[str, Any]) -> str:
    """What is wrong with a field; its path stands before it."""
    say = _MESSAGES.get(error["type"])
    return say(error.get("ctx", {})) if say else str(error["msg"])


def _follows(path: str, message: str, found: Iterable[str]) -> bool:
    """Whether a list is only called too short because its items were not right."""
    return message.startswith("must have at least") and any(other.startswith(f"{path}.") for other in found)


def _walk(steps: Sequence[Step], model: Any) -> tuple[list[Step], list[str]]:
    """The path without what pydantic adds for the members of a union, and the fields known at its last step."""
    models = list(_models(model))
    path: list[Step] = []
    known: list[str] = []
    for step in steps:
        if isinstance(step, int):
            path.append(step)
            continue
        fields = {field.alias or name: field.annotation for one in models for name, field in one.model_fields.items()}
        if not fields:
            break
        known = sorted({*fields, *(name for one in models for name in getattr(one, "other_names", ()))})
        path.append(step)
        models = list(_models(fields.get(step)))
    return path, known


def _models(annotation: Any) -> Iterable[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _unknown(name: str, known: Sequence[str]) -> str:
    by_folded = {candidate.lower().replace("_", ""): candidate for candidate in known}
    near = difflib.get_close_matches(name.lower().replace("_", ""), by_folded, n=1, cutoff=0.6)
    if near:
        return f"is not a known field: did you mean {by_folded[near[0]]}"
    return f"is not a known field: known here are {', '.join(known)}" if known else "is not a known field"


def _plain(expected: str) -> str:
    return expected.replace("'", "").replace(" or ", ", ")
