"""How gunicorn serves Dossier; what depends on the machine comes from the environment (see README)."""

from __future__ import annotations

import gc
import sys

from webapp.config import Settings
from webapp.errors import ConfigurationError

try:
    # Asked here too: this runs once in the master, so a wrong setting is said once, in one line.
    settings = Settings.from_environment()
except ConfigurationError as error:
    raise SystemExit(f"Dossier does not start: {error}") from None

# Workers inherit the master's modules: forget ours, so that a reload (HUP) serves only new code.
for name in [name for name in sys.modules if name.partition(".")[0] == "webapp"]:
    del sys.modules[name]

wsgi_app = "wsgi:app"
bind = settings.bind
worker_class = "gthread"
workers = settings.web_workers
threads = settings.web_threads
forwarded_allow_ips = ""  # ProxyFix decides which proxy to believe, from PROXY_COUNT
limit_request_line = 8190  # a search in Japanese takes nine bytes a letter
keepalive = 75  # longer than nginx keeps an idle upstream connection, so it is never cut under a request
timeout = 60
graceful_timeout = settings.graceful_timeout_seconds
max_requests = 20_000  # a slow leak never becomes an outage …
max_requests_jitter = 2_000  # … and the workers do not restart together
loglevel = "warning"
accesslog = None  # the application logs each request itself, with its id and without secrets
control_socket_disable = True


def post_worker_init(worker: object) -> None:
    """What was loaded stays for good: the garbage collector need not walk over it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
