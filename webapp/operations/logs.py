"""Logging to standard error, as text or as one JSON object a line, each line with its request id."""

from __future__ import annotations

import json
import logging
import logging.config
import re
import time
from datetime import UTC, datetime
from typing import Any

from flask import g, has_app_context

from webapp.config import Settings

# What LogRecord carries by itself; anything else was given by `extra=` and belongs in the line.
_ORDINARY = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "request_id", "taskName"}


# Where Postgres tells the row that broke a rule: names, addresses, the hash of a password.
_DETAIL = re.compile(r"^DETAIL:.*?(?=^(?:HINT|CONTEXT):|^\[SQL:|^$|\Z)", re.MULTILINE | re.DOTALL)


class RequestIdFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = g.get("request_id", "-") if has_app_context() else "-"
        return True


class Formatter(logging.Formatter):
    def formatException(self, exc_info: Any) -> str:
        return _DETAIL.sub("DETAIL:  (not logged)", super().formatException(exc_info))


class JsonFormatter(Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": getattr(record, "request_id", "-"),
        }
        line.update({k: v for k, v in vars(record).items() if k not in _ORDINARY})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class TextFormatter(Formatter):
    """One line a record, in UTC: a line break that was sent cannot forge a second one."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def formatMessage(self, record: logging.LogRecord) -> str:
        return super().formatMessage(record).replace("\n", "\\n").replace("\r", "\\r")


def configure_logs(settings: Settings) -> None:
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "filters": {"request_id": {"()": RequestIdFilter}},
            "formatters": {
                "json": {"()": JsonFormatter},
                "text": {
                    "()": TextFormatter,
                    "format": "%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s",
                },
            },
            "handlers": {
                "stderr": {
                    "class": "logging.StreamHandler",
                    "formatter": settings.log_format,
                    "filters": ["request_id"],
                }
            },
            "root": {"level": settings.log_level, "handlers": ["stderr"]},
            "loggers": {
                "sqlalchemy.engine": {"level": "INFO" if settings.sql_echo else "WARNING"},
                "alembic": {"level": "WARNING"},
            },
        }
    )
