"""Structured logs: one JSON object a line, or text on a terminal; never an object's body."""

import logging
import sys

import structlog

from securetenant.api import text as texts


def configure(*, style: str = "auto", level: str = "INFO") -> None:
    """Send every record, also of libraries, through one formatter to standard output.

    ``style`` is json, text, or auto: text on a terminal, JSON in a pipe.
    """
    text = style == "text" or (style == "auto" and sys.stdout.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _escape,
                *(
                    [structlog.dev.ConsoleRenderer()]
                    if text
                    else [
                        structlog.processors.format_exc_info,
                        structlog.processors.JSONRenderer(),
                    ]
                ),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # kopf tells at INFO about every event of every object.
    logging.getLogger("kopf").setLevel(logging.WARNING)
    # It says at each start that the operator handles signals, as it should.
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)


def _escape(
    _logger: structlog.typing.WrappedLogger, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Show what does not print as text; a traceback keeps its lines."""
    return {
        key: texts.escape(value)
        if isinstance(value, str) and key not in ("exception", "stack")
        else value
        for key, value in event.items()
    }
