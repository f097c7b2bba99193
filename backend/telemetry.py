"""How the service speaks to its operators: JSON lines on standard output, no user data, no local variables."""

import structlog


def configure_logging() -> None:
    """One JSON object a line, with time, level and a plain traceback where there is one."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(),
        cache_logger_on_first_use=True,
    )
