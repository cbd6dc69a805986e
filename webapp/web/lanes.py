"""Sign-ins in a lane of their own, so that pages do not stand in line behind them.

Gunicorn's threads take requests in the order of their arrival. Sixty clients that sign in again and again are
in front of every page then, however cheap it is to refuse them. So the first line of a request is looked at
before it is given to a thread: sign-ins wait for a few threads that take nothing else.
"""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

# With a blank or a query behind it; where a proxy writes the whole address, it is found as well.
SIGN_IN = b"/auth/login"
MAX_LOOKED_AT = 128  # bytes
# One for each place to hash in, and one that refuses.
MAX_THREADS = 3
REST_SECONDS = 0.01


class LanedWorker(ThreadWorker):  # type: ignore[misc]
    """What gunicorn calls gthread, with two lanes."""

    def init_process(self) -> None:
        self.sign_in_pool = ThreadPoolExecutor(MAX_THREADS, "sign-in")
        super().init_process()

    def enqueue_req(self, conn: TConn) -> None:
        """Give the request to a thread of its lane; wait for its first bytes without one."""
        try:
            head = conn.sock.recv(MAX_LOOKED_AT, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            if not conn.initialized and not conn.data_ready:
                self._await_data(conn)
                return
            head = b""
        except OSError:
            head = b""
        line = head.partition(b"\r\n")[0]
        if line.startswith(b"POST") and SIGN_IN in line:
            job = self.sign_in_pool.submit(self._rest_after, conn)
        else:
            job = self.tpool.submit(self.handle, conn)
        job.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))

    def _rest_after(self, conn: TConn) -> Any:
        """Answer it, and leave the processor to pages for a moment before the next one of this lane."""
        result = self.handle(conn)
        time.sleep(REST_SECONDS)
        return result

    def _await_data(self, conn: Any) -> None:
        """As gunicorn itself does with a connection that says nothing for long."""
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + self.cfg.keepalive
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))
