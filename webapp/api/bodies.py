"""What a program sends → typed values, or all that is wrong with it at once.

JSON is read strictly: what one reader takes for this and another for that is refused (RFC 8259, 4 and 9).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from flask import request
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from webapp.api.problems import MOST_FIELDS, FieldError, Refused
from webapp.errors import N_, Invalid
from webapp.web.language import explain, gettext

DEEPEST = 32
MAX_COMMAS = 10_000  # of them all, in texts too; a thousand rows have five thousand
MAX_KEYS = 100  # of one object
LONGEST_NUMBER = 40
LARGEST_NUMBER = 2**63 - 1
LONGEST_INTEGER = 19  # digits, of a number in a query
_SURROGATE = re.compile("[\ud800-\udfff]")


class Body(BaseModel):
    """What a body may hold: nothing else, and no text for a number."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _name_no_defaults(schema: dict[str, Any]) -> None:
    for described in schema["properties"].values():
        described.pop("default", None)


class Changes(Body):
    """A body of which any field may be left out: change what was sent, by ``model_dump(exclude_unset=True)``.

    What the fields hold otherwise is for no one to see.
    """

    model_config = ConfigDict(json_schema_extra=_name_no_defaults)


class Query(BaseModel):
    """The parameters of an address, which are texts: no other, none twice."""

    model_config = ConfigDict(extra="forbid", frozen=True)


AnyModel = TypeVar("AnyModel", bound=BaseModel)


class Malformed(Exception):
    """Not JSON as it is read here; the message says why, and ``field`` where, if it is about one."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


def read_body(model: type[AnyModel]) -> AnyModel:
    """The request's body; none at all is ``{}`` to a model that requires nothing.

    Raises Refused (400, 415 or 422), and RequestEntityTooLarge.
    """
    if not requires_body(model) and "Content-Type" not in request.headers and not request.get_data():
        return fill(model, {})
    charset = request.mimetype_params.get("charset", "utf-8")
    if request.mimetype != "application/json" or charset.lower() != "utf-8":
        raise Refused(415)
    try:
        value = parse_json(request.get_data())
    except Malformed as error:
        message = gettext(error.message)
        if error.field is not None:
            raise Refused(422, errors=[FieldError(error.field, message)]) from None
        raise Refused(400, message) from None
    return fill(model, value)


def requires_body(model: type[BaseModel]) -> bool:
    return any(described.is_required() for described in model.model_fields.values())


def refuse_body() -> None:
    """For a call that takes none; an empty one is none. Raises Refused (400)."""
    if request.content_length or request.stream.read(1):  # without a length it comes in chunks
        raise Refused(400, gettext(N_("This call takes no body: send it without one.")))


def read_query(model: type[AnyModel]) -> AnyModel:
    """Raises Refused (422)."""
    repeated = [name for name, values in request.args.lists() if len(values) > 1]
    if repeated:
        message = gettext("Send this once.")
        raise Refused(422, errors=[FieldError(name, message) for name in repeated[:MOST_FIELDS]])
    return fill(model, request.args.to_dict())


def fill(model: type[AnyModel], value: object) -> AnyModel:
    """Raises Refused (422) with every field that is wrong."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)[:MOST_FIELDS]
        errors = [FieldError(_path(it["loc"]), _message(it)) for it in details]
        raise Refused(422, errors=errors) from None


# JSON


def parse_json(data: bytes) -> object:
    """Whole numbers as int and others as Decimal, never as float. Raises Malformed."""
    if data.count(b",") > MAX_COMMAS:  # asked first: each value takes a microsecond
        raise Malformed(N_("The body holds too many values."))
    try:
        value = json.loads(
            data.decode(),
            object_pairs_hook=_read_object,
            parse_int=_read_int,
            parse_float=_read_decimal,
            parse_constant=_refuse_constant,
        )
    except UnicodeDecodeError:
        raise Malformed(N_("The body is not UTF-8.")) from None
    except RecursionError:
        raise Malformed(TOO_DEEP) from None
    except ValueError:
        raise Malformed(N_("The body is not JSON.")) from None
    _refuse_oddities(value)
    return value


TOO_DEEP = N_("The body is nested too deeply.")
TOO_LARGE = N_("A number in the body is too large or has too many digits.")


def _read_object(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    if len(pairs) > MAX_KEYS:
        raise Malformed(N_("An object in the body has too many keys."))
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Malformed(N_("An object in the body has the same key twice."))
    return found


def _read_int(text: str) -> int:
    value = int(text) if len(text) <= LONGEST_NUMBER else None
    if value is None or not -LARGEST_NUMBER <= value <= LARGEST_NUMBER:
        raise Malformed(TOO_LARGE)
    return value


def _read_decimal(text: str) -> Decimal:
    try:
        value = Decimal(text) if len(text) <= LONGEST_NUMBER else None
    except InvalidOperation:  # an exponent beyond any
        value = None
    if value is None or abs(value.adjusted()) > LONGEST_INTEGER:
        raise Malformed(TOO_LARGE)
    return value


def _refuse_constant(_text: str) -> object:
    raise Malformed(N_("NaN and Infinity are no numbers of JSON."))


def _refuse_oddities(value: object) -> None:
    """Depth, and characters that no database keeps."""
    waiting: list[tuple[object, tuple[int | str, ...]]] = [(value, ())]
    while waiting:
        part, location = waiting.pop()
        if isinstance(part, str):
            _refuse_characters(part, location)
        elif isinstance(part, dict | list):
            if len(location) >= DEEPEST:
                raise Malformed(TOO_DEEP)
            waiting += ((inner, (*location, key)) for key, inner in _items(part))


def _items(part: dict[str, object] | list[object]) -> Iterable[tuple[int | str, object]]:
    return part.items() if isinstance(part, dict) else enumerate(part)


def _refuse_characters(text: str, location: tuple[int | str, ...]) -> None:
    if "\0" in text or (not text.isascii() and _SURROGATE.search(text)):
        raise Malformed(N_("This text holds NUL or half a character."), field=_path(location))


# Values


def _read_whole(value: object) -> object:
    if isinstance(value, str):
        digits = value.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= LONGEST_INTEGER):
            raise PydanticCustomError("int_parsing", "a whole number")
        return int(value)
    return value


WHOLE = BeforeValidator(_read_whole)  # of a query: digits and nothing else, not even a sign of grouping


def follows(rule: Callable[[str], object]) -> Callable[[str], str]:
    """For AfterValidator: asks the same rule as the service will, so that all fields err at once."""

    def check(value: str) -> str:
        try:
            rule(value)
        except Invalid as error:
            raise PydanticCustomError("ours", "{message}", {"message": explain(error)}) from None
        return value

    return check


# Messages

MESSAGES: Mapping[str, str] = {
    "missing": N_("This is required."),
    "extra_forbidden": N_("There is no such field here."),
    "string_type": N_("Send a text."),
    "bool_type": N_("Send true or false."),
    "bool_parsing": N_("Send true or false."),
    "int_type": N_("Send a whole number."),
    "int_parsing": N_("Send a whole number."),
    "list_type": N_("Send a list."),
    "model_type": N_("Send an object."),
    "dict_type": N_("Send an object."),
    "enum": N_("Choose one of: %(choices)s."),
    "literal_error": N_("Choose one of: %(choices)s."),
    "greater_than_equal": N_("Send at least %(least)s."),
    "less_than_equal": N_("Send at most %(most)s."),
    "string_too_short": N_("This text is too short: its least length is %(least)s."),
    "string_too_long": N_("Use at most %(most)s characters."),
    "too_short": N_("Send at least %(least)s."),
    "too_long": N_("Send at most %(most)s."),
}


UNFIT = N_("This value does not fit here.")

# What Pydantic calls the numbers of a refusal → what the messages call them.
_NUMBERS = {"ge": "least", "min_length": "least", "le": "most", "max_length": "most", "expected": "choices"}


def _message(error: ErrorDetails) -> str:
    if error["type"] == "ours":
        return error["msg"]
    params = {_NUMBERS.get(name, name): value for name, value in error.get("ctx", {}).items()}
    if "choices" in params:
        params["choices"] = str(params["choices"]).replace("'", "").replace(" or ", ", ")
    return gettext(MESSAGES.get(error["type"], UNFIT), **params)


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(map(str, location)) or "body"
