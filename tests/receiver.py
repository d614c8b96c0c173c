"""A receiver of webhooks on a real port: it answers as it is told to, and keeps what it was sent."""

import base64
import hashlib
import hmac
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, slots=True)
class Message:
    """What came: headers by lower-case name, and the body's bytes."""

    path: str
    headers: dict[str, str]
    body: bytes
    at_s: float

    def is_signed_with(self, secret: str) -> bool:
        """Return whether the signature is right, computed as the scheme's text says."""
        key = base64.b64decode(secret.split("_", 1)[1])
        signed = b".".join((self.headers["webhook-id"].encode(), self.headers["webhook-timestamp"].encode(), self.body))
        expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
        fresh = abs(time.time() - int(self.headers["webhook-timestamp"])) < 300
        return fresh and self.headers["webhook-signature"].split(" ") == [f"v1,{expected}"]


@dataclass(slots=True)
class Receiver:
    """Where it listens, what it answers next (the last for ever), and what came."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    came: list[Message] = field(default_factory=list)
    pause_s: float = 0.0
    body: bytes = b"thanks"

    def wait_for(self, n: int, seconds: float = 60) -> list[Message]:
        """Return what came once it is so many messages."""
        until = time.monotonic() + seconds
        while len(self.came) < n:
            assert time.monotonic() < until, f"{len(self.came)} of {n} messages came"
            time.sleep(0.02)
        return self.came


@contextmanager
def receiving(*answers: int, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """Yield a receiver that listens on this machine."""
    receiver = Receiver(answers=list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status = receiver.answers.pop(0) if len(receiver.answers) > 1 else receiver.answers[0]
            headers = {k.lower(): v for k, v in self.headers.items()}
            receiver.came.append(Message(self.path, headers, body, time.monotonic()))
            time.sleep(receiver.pause_s)
            try:
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("location", f"{receiver.url}/elsewhere")
                self.send_header("content-length", str(len(receiver.body)))
                self.end_headers()
                self.wfile.write(receiver.body)
            except OSError:
                pass  # the sender did not wait for all of it

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        receiver.url = f"{'http' if tls is None else 'https'}://localhost:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield receiver
        server.shutdown()
        thread.join()
