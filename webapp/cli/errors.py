"""Every failure of a command is one line on standard error and exit code 1."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import click
from sqlalchemy.exc import SQLAlchemyError

from webapp.db.diagnosis import diagnose
from webapp.errors import ConfigurationError, DomainError

P = ParamSpec("P")
R = TypeVar("R")


def say_errors(command: Callable[P, R]) -> Callable[P, R]:
    @wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except (DomainError, ConfigurationError) as error:
            field = getattr(error, "field", None)
            raise click.ClickException(f"{field}: {error}" if field else str(error)) from None
        except SQLAlchemyError as error:
            diagnosis = diagnose(error)
            if diagnosis is None:
                raise
            raise click.ClickException(f"{diagnosis.title}. {diagnosis.remedy}") from None

    return wrapper
