"""How does a notice reach people by mail?"""

import smtplib
import ssl
from email.message import EmailMessage

from scim_bridge.errors import NotSent
from scim_bridge.settings import Alerts

# How long the server may take for each step, in seconds.
TIMEOUT = 10.0


def send(settings: Alerts, *, subject: str, text: str) -> None:
    """Send a mail to `mail_to`, over TLS wherever the server offers it.

    A password is sent over TLS only. Raises `NotSent`.
    """
    host, _, port = str(settings.smtp_server).rpartition(":")
    try:
        with smtplib.SMTP(host, int(port), timeout=TIMEOUT) as server:
            if server.has_extn("starttls") or settings.smtp_password_file is not None:
                server.ehlo()
                server.starttls(context=ssl.create_default_context())
            if settings.smtp_password_file is not None:
                password = settings.smtp_password_file.read_text(encoding="utf-8").strip()
                server.login(settings.smtp_user or "", password)
            server.send_message(_message(settings, subject, text))
    except (OSError, smtplib.SMTPException) as error:
        raise NotSent(f"the mail was not taken by {settings.smtp_server} ({error})") from error


def _message(settings: Alerts, subject: str, text: str) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = settings.mail_from
    message["To"] = ", ".join(settings.mail_to)
    message.set_content(text)
    return message
