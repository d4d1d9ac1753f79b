"""A web app with nothing but Python's standard library."""

import os
import platform
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from page import page


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        started = time.monotonic()
        path = self.path.split("?")[0]
        if path == "/healthz":
            status, kind, body = 200, "text/plain", "ok\n"
        elif path == "/":
            status, kind, body = 200, "text/html; charset=utf-8", page(os.environ, platform.python_version())
        else:
            status, kind, body = 404, "text/plain", "Not found\n"
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)
        print(f"{self.command} {path} {status} {(time.monotonic() - started) * 1000:.0f}ms", flush=True)

    do_HEAD = do_GET

    def log_message(self, *args):
        """One line a request is enough: see do_GET."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main():
    port = int(os.environ.get("PORT", "3000"))
    server = Server(("", port), Handler)

    def stop(*_):
        # The platform asks an instance to stop by SIGTERM. shutdown() waits for the loop that this signal interrupts.
        print("stopping", flush=True)
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    print(f"listening on port {port}", flush=True)
    server.serve_forever(poll_interval=0.1)
    server.server_close()


if __name__ == "__main__":
    main()
