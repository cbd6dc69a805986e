"""How gunicorn serves Dossier; what depends on the machine comes from the environment (see README)."""

from __future__ import annotations

import gc
import importlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from webapp.config import Settings

# A reload (HUP) reads this file again: forget our modules, so that it serves only new code.
gc.unfreeze()
ours = [name for name in sys.modules if name.partition(".")[0] in {"wsgi", "webapp"}]
former = [sys.modules.pop(name) for name in ours]

# Loaded here, once: workers are forked with it, so that one that takes another's place answers at once, and
# with the code, the templates and the migrations that the others have. It has asked nothing of the database
# yet, and no thread runs.
app: Flask = importlib.import_module("wsgi").app
importlib.import_module("webapp.web.preload").preload_files(app)
importlib.import_module("webapp.operations.health").newest_migration()
importlib.import_module("webapp.users.guessing").load_digests()
settings: Settings = app.extensions["settings"]

# Caches of the typing module still hold a few former functions, and each of them all that its module named.
for module in former:
    vars(module).clear()

# What is loaded stays for good: the garbage collector need not walk over it again and again, and so writes
# nothing to the memory that workers share.
gc.collect()
gc.freeze()
gc.set_threshold(10_000, 20, 20)

wsgi_app = "wsgi:app"
bind = settings.bind
worker_class = "webapp.operations.lanes.LanedWorker"  # gthread, with sign-ins apart
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
