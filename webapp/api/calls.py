"""What a call of the API is: declared once, it is the route, the check of what is sent, and the document.

A room of the API declares its own, in the order in which the page shows them:

>>> calls = Calls("Users")
>>> @calls.get("/users/<id:user_id>", permission=Permission.USERS_READ, answer=UserShown)
... def show_user(user_id: int) -> Answer: ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from inspect import cleandoc
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from webapp.access.permissions import Permission
from webapp.api.bodies import Body, Query


class Shown(BaseModel):
    """What an answer holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Deleted(Shown):
    message: str
    id: int


class FieldProblem(Shown):
    field: str = Field(description="A path into the body such as rows.3.email, or a parameter's name.")
    message: str


class ProblemShown(Shown):
    """RFC 9457."""

    type: str = Field(description="Where this kind of problem is explained.")
    title: str
    status: int
    detail: str = Field(description="What to do about it.")
    request_id: str = Field(description="Under which the log has it.")
    errors: list[FieldProblem] = Field([], description="What is wrong with which field; absent for none.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """``value`` is of the call's ``answer``; ``status`` None is the call's own."""

    value: Shown
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


Run = Callable[..., Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """``run`` gets the ids of the path by their names; and, where they are declared, ``query``, ``body``, and
    ``match``, the version that If-Match names. ``refusals`` are the statuses beyond those that follow from
    the declaration; ``headers`` those of the answer, each with what it says.

    ``prepare`` is slow work on the body, which must not hold a transaction: ``run`` gets what it answers.
    One that ``goes_in_steps``, each a transaction of its own, gets its ``progress``. Where the service
    ``keeps_key`` itself, for good, ``run`` gets the ``key``, or None.
    """

    method: str
    path: str
    permission: Permission
    run: Run
    answer: type[Shown]
    status: int = 200
    query: type[Query] = Query
    body: type[Body] | None = None
    needs_match: bool = False
    refusals: tuple[int, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[Any], Mapping[str, Any]] | None = None
    goes_in_steps: bool = False
    keeps_key: bool = False

    @property
    def takes_key(self) -> bool:
        """Whether Idempotency-Key makes it harmless to send it twice; other methods are so by themselves."""
        return self.method in {"POST", "PATCH"}

    @property
    def name(self) -> str:
        """The endpoint's, and the operation's in the document."""
        return self.run.__name__

    @property
    def summary(self) -> str:
        return self._text.partition("\n")[0]

    @property
    def description(self) -> str:
        return self._text.partition("\n")[2].strip()

    @property
    def _text(self) -> str:
        return cleandoc(self.run.__doc__ or "")


class Answered(NamedTuple):
    """An answer as it is sent."""

    status: int
    headers: Mapping[str, str]
    body: str


def run(call: Call, arguments: Mapping[str, Any]) -> Answered:
    answer = call.run(**arguments)
    return Answered(answer.status or call.status, answer.headers, answer.value.model_dump_json())


class Calls:
    """Those of one room, under one heading."""

    def __init__(self, title: str) -> None:
        self.title = title
        self._calls: list[Call] = []

    def __iter__(self) -> Iterator[Call]:
        return iter(self._calls)

    def add(self, method: str, path: str, **declared: Any) -> Callable[[Run], Run]:
        def declare(run: Run) -> Run:
            self._calls.append(Call(method=method, path=path, run=run, **declared))
            return run

        return declare

    def get(self, path: str, **declared: Any) -> Callable[[Run], Run]:
        return self.add("GET", path, **declared)

    def post(self, path: str, **declared: Any) -> Callable[[Run], Run]:
        return self.add("POST", path, **declared)

    def put(self, path: str, **declared: Any) -> Callable[[Run], Run]:
        return self.add("PUT", path, **declared)

    def patch(self, path: str, **declared: Any) -> Callable[[Run], Run]:
        return self.add("PATCH", path, **declared)

    def delete(self, path: str, **declared: Any) -> Callable[[Run], Run]:
        return self.add("DELETE", path, **declared)
