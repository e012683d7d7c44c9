"""A notice reaches people by mail, and a password never travels in the clear."""

import socketserver
import threading

import pytest

from scim_bridge.connectors.mail import send
from scim_bridge.errors import NotSent
from scim_bridge.settings import Alerts


class _Session(socketserver.StreamRequestHandler):
    """What a mail server without TLS says (RFC 5321, section 4.3.2)."""

    server: "_Server"

    def handle(self) -> None:
        self._say("220 mail.example.com")
        for line in self.rfile:
            word = line.split()[0].upper() if line.split() else b""
            self.server.heard.append(line.decode().strip())
            match word:
                case b"DATA":
                    self._say("354 go on")
                    self._read_message()
                    self._say(f"250 {self.server.answer}")
                case b"QUIT":
                    self._say("221 bye")
                    return
                case b"RCPT" if self.server.answer == "refused":
                    self._say("550 nobody of that name")
                case _:
                    self._say("250 ok")

    def _read_message(self) -> None:
        for line in self.rfile:
            if line == b".\r\n":
                return
            self.server.message += line.decode()

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


class _Server(socketserver.TCPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.heard: list[str] = []
        self.message = ""
        self.answer = "taken"


@pytest.fixture
def server():
    with _Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def settings(server, **more) -> Alerts:
    return Alerts(
        mail_to=("ops@example.com", "on-call@example.com"),
        mail_from="scim-bridge@example.com",
        smtp_server=f"127.0.0.1:{server.server_address[1]}",
        **more,
    )


def test_a_mail_has_everybody_it_is_for(server):
    """From, to, subject and the text."""
    send(settings(server), subject="scim-bridge: something is held", text="12 people, set 3f9a1c20")

    recipients = [line for line in server.heard if line.upper().startswith("RCPT")]
    assert len(recipients) == 2
    assert "Subject: scim-bridge: something is held" in server.message
    assert "To: ops@example.com, on-call@example.com" in server.message
    assert "12 people, set 3f9a1c20" in server.message


def test_a_mail_that_is_not_taken_is_told(server):
    """The alert is then sent again."""
    server.answer = "refused"

    with pytest.raises(NotSent, match="not taken"):
        send(settings(server), subject="x", text="y")


def test_a_password_is_never_sent_in_the_clear(server, tmp_path):
    """A server that offers no TLS gets none."""
    file = tmp_path / "password"
    file.write_text("correct horse")

    with pytest.raises(NotSent):
        send(settings(server, smtp_user="bridge", smtp_password_file=file), subject="x", text="y")

    assert not any(line.upper().startswith("AUTH") for line in server.heard)
