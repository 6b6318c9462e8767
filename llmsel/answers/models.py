"""models.toml: which models are asked, on which servers, at which prices."""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydantic
from pydantic import Field
from pydantic_core import ErrorDetails

from llmsel._base.errors import InputError, unknown
from llmsel._base.files import read_text
from llmsel._base.terminal import short
from llmsel.answers.prices import Prices
from llmsel.answers.server import Server

OWN = {"messages", "model", "stream"}  # of a request: no parameter may replace them


@dataclasses.dataclass(frozen=True)
class Model:
    """One ``[[model]]`` of models.toml.

    Args:
        name: in the file of answers.
        model: its name on the server; ``name`` if left out.
        server: ``base_url``, ``key`` (an environment variable), ``timeout`` and ``prices``.
        system: instruction ahead of every query, or None.
        parameters: sent with every request, e.g. ``temperature``, ``max_tokens``, ``seed``.
    """

    name: str
    model: str
    server: Server
    system: str | None
    parameters: Mapping[str, Any]

    def messages(self, query: str) -> list[dict[str, str]]:
        """Build the chat for a query."""
        first = [{"role": "system", "content": self.system}] if self.system else []
        return [*first, {"role": "user", "content": query}]


class _Prices(pydantic.BaseModel, extra="forbid", strict=True, allow_inf_nan=False):
    tokens_in: float = Field(alias="in", ge=0)
    tokens_out: float = Field(alias="out", ge=0)


class _Table(pydantic.BaseModel, extra="forbid", strict=True, allow_inf_nan=False):
    name: str = Field(min_length=1)
    model: str | None = None
    base_url: str | None = None
    key: str | None = None
    system: str | None = None
    timeout: float = Field(120, gt=0)
    prices: _Prices | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)

    @pydantic.field_validator("key")
    @classmethod
    def _names_a_variable(cls, key: str | None) -> str | None:
        if key is not None and not re.fullmatch(r"[A-Za-z_]\w*", key):
            raise ValueError("it names an environment variable; keys do not belong into a file")
        return key

    @pydantic.field_validator("parameters")
    @classmethod
    def _fits_into_a_request(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        if OWN & parameters.keys():
            raise ValueError(f"'{min(OWN & parameters.keys())}' cannot be set here")
        try:
            json.dumps(parameters, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"cannot be sent as JSON ({error})") from error
        return parameters

    def build(self) -> Model:
        given = self.prices
        prices = None if given is None else Prices(given.tokens_in, given.tokens_out)
        return Model(
            name=self.name,
            model=self.model or self.name,
            server=Server(self.base_url, self.key, timeout=self.timeout, prices=prices),
            system=self.system,
            parameters=self.parameters,
        )


class _File(pydantic.BaseModel):
    model: list[_Table] = Field(min_length=1)

    @pydantic.model_validator(mode="after")
    def _names_differ(self) -> _File:
        names = [table.name for table in self.model]
        for number, name in enumerate(names, 1):
            if name in names[: number - 1]:
                raise ValueError(f"model {number}: the name '{short(name)}' is given twice")
        return self


def read_models(path: str | Path) -> tuple[Model, ...]:
    """Read models.toml: one ``[[model]]`` per model.

    Raises:
        InputError: no such file, no TOML, no model, or settings that are not as they should be;
            all of them are told at once.
    """
    try:
        content = tomllib.loads(read_text(path))
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"'{path}' is not TOML: {error}.") from error
    if not isinstance(content.get("model"), list) or not content["model"]:
        raise InputError(f"'{path}' has no [[model]] table.")
    try:
        tables = _File.model_validate(content).model
    except pydantic.ValidationError as error:
        faults = "; ".join(
            list(dict.fromkeys(_fault(each).rstrip(".?") for each in error.errors()))[:5]
        )
        raise InputError(f"'{path}', {faults}.") from error
    models = []
    for number, table in enumerate(tables, 1):
        try:
            models.append(table.build())
        except InputError as error:
            raise InputError(f"'{path}', model {number}: {error}") from error
    return tuple(models)


def _fault(found: ErrorDetails) -> str:
    """Say one fault that pydantic found in the words of models.toml; no value is repeated."""
    place = found["loc"]
    said = found["msg"].removeprefix("Value error, ")
    if len(place) < 2:
        return said
    where = f"model {int(place[1]) + 1}"
    if len(place) == 2:
        return f"{where}: not a table of settings"
    setting = str(place[2])
    if setting == "prices":
        return f"{where}: prices are per million tokens, e.g. prices = {{in = 0.5, out = 1.5}}"
    if setting == "api_key":
        return (
            f"{where}: keys do not belong into a file; put it into the environment and name the "
            "variable: key = 'MY_KEY'"
        )
    if found["type"] == "extra_forbidden":
        return f"{where}: {unknown('setting', short(setting), sorted(_Table.model_fields))}"
    if found["type"] == "missing":
        return f"{where}: no '{setting}'"
    return f"{where}: '{short(setting)}': {said[:1].lower()}{said[1:]}"
