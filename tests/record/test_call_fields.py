"""The types for applications have the fields of the model, so that neither can grow alone."""

from __future__ import annotations

from datetime import datetime
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import pytest
from pydantic import BaseModel

from llmvitals.record import call, call_fields

MODELS = [call.CallEvent, call.Guardrail, call.Retrieval, call.Tool, call.Embedding]
PAIRS = [(model, getattr(call_fields, f"{model.__name__.removesuffix('Event')}Fields")) for model in MODELS]
FIELDS = dict(PAIRS)


def plain(hint: Any) -> Any:
    """A type of the model as applications know it: without bounds, and with dicts in place of models."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return plain(args[0])
    if origin in (Union, UnionType):
        return Union[tuple(plain(arg) for arg in args)]  # noqa: UP007 - the members are known at run time
    if origin in (dict, list):
        return origin[tuple(plain(arg) for arg in args)]
    return FIELDS[hint] if isinstance(hint, type) and issubclass(hint, BaseModel) else hint


@pytest.mark.parametrize(("model", "fields"), PAIRS)
def test_names_required_ones_and_types_are_those_of_the_model(model: type[BaseModel], fields: Any) -> None:
    needed = {name for name, info in model.model_fields.items() if info.is_required()}
    assert (fields.__required_keys__, fields.__optional_keys__) == (needed, set(model.model_fields) - needed)
    types = {name: plain(hint) for name, hint in get_type_hints(model, include_extras=True).items()}
    expected = {name: types[name] for name in model.model_fields}
    if model is call.CallEvent:
        expected["ts"] = datetime | str | int  # JSON has no times: they are written as text
    assert get_type_hints(fields) == expected


def test_no_type_is_without_a_model() -> None:
    assert {name for name in vars(call_fields) if name.endswith("Fields")} == {
        fields.__name__ for fields in FIELDS.values()
    }
