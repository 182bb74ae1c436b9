"""Renders mails from templates: Markdown with Jinja, so that one file gives both text and HTML.

A template begins with the line `Subject: ...` and a blank line. The Markdown is the text part of
the mail; the HTML part is made from it. Values are inserted as text: whatever they contain, they
are neither Markdown nor HTML, and have no line breaks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, TemplateError
from markdown_it import MarkdownIt
from markupsafe import Markup

_TEMPLATES = Path(__file__).parent / "templates"
_LAYOUT = "layout.html"
_SUBJECT = "Subject: "

# A backslash before any of these makes it literal (CommonMark 0.31, section 2.4).
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")


class TemplateInvalid(Exception):  # noqa: N818  # named after what is wrong
    """A template cannot be rendered; the message names it and says why."""


class Verbatim(str):
    """A value that is inserted as it is, such as a URL between `<` and `>`."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class RenderedMail:
    """The parts of a mail."""

    subject: str
    text: str
    html: str


class MailTemplates:
    """The templates of the shop: those in `directory`, and for all others the usual ones."""

    def __init__(self, directory: Path | None = None) -> None:
        self._directories = [*([] if directory is None else [directory]), _TEMPLATES]

    def render(self, kind: str, values: Mapping[str, Any]) -> RenderedMail:
        """Render the template of a kind of mail: `order_placed.md` for `ORDER_PLACED`.

        Raises:
            TemplateInvalid: there is an error in the template.
        """
        name = f"{kind.lower()}.md"
        try:
            text = self._as_text.get_template(name).render(values)
            markdown = self._as_markdown.get_template(name).render(values)
            subject, text = _split(text)
            # Safe: the Markdown parser escapes HTML, and the values are escaped as Markdown.
            body = Markup(_markdown().render(_split(markdown)[1]))  # noqa: S704
            layout = self._as_html.get_template(_LAYOUT)
            html = layout.render({**values, "subject": subject, "body": body})
        except (TemplateError, ValueError, TypeError) as error:
            raise TemplateInvalid(f"{name}: {error}") from error
        return RenderedMail(subject, text, html)

    def check(self, kind: str) -> None:
        """Check the syntax of a kind's template, before a mail needs it.

        Raises:
            TemplateInvalid: there is an error in the template.
        """
        name = f"{kind.lower()}.md"
        try:
            self._as_text.get_template(name)
        except TemplateError as error:
            raise TemplateInvalid(f"{name}: {error}") from error

    @cached_property
    def _as_text(self) -> Environment:
        return self._environment(autoescape=False, finalize=_as_text)

    @cached_property
    def _as_markdown(self) -> Environment:
        return self._environment(autoescape=False, finalize=_as_markdown)

    @cached_property
    def _as_html(self) -> Environment:
        return self._environment(autoescape=True)

    def _environment(self, *, autoescape: bool, **options: Any) -> Environment:
        return Environment(
            loader=ChoiceLoader([FileSystemLoader(path) for path in self._directories]),
            autoescape=autoescape,  # noqa: S701  # without it, `finalize` escapes
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            **options,
        )


def message(
    mail: RenderedMail, *, sender: Address, recipient: str, message_id: str, date: datetime
) -> EmailMessage:
    """Return a mail with the headers that mail programs and spam filters expect.

    Raises:
        ValueError: the recipient is not an address.
    """
    message = EmailMessage()
    message["From"] = sender
    message["To"] = Address(addr_spec=recipient)
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(date)
    message["Message-ID"] = message_id
    # No automatic reply, such as one that somebody is on holiday (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    # Every server accepts this, also one without 8BITMIME.
    message.set_content(mail.text, cte="quoted-printable")
    message.add_alternative(mail.html, subtype="html", cte="quoted-printable")
    return message


def _split(rendered: str) -> tuple[str, str]:
    """Return the subject and the body."""
    first, _, body = rendered.partition("\n")
    if not first.startswith(_SUBJECT):
        raise ValueError(f"the first line must begin with {_SUBJECT!r}")
    return first.removeprefix(_SUBJECT).strip(), body.strip() + "\n"


def _as_text(value: object) -> object:
    return " ".join("".join(filter(_is_printable, str(value))).split())


def _as_markdown(value: object) -> object:
    if isinstance(value, Verbatim):
        return value
    return _PUNCTUATION.sub(r"\\\1", str(_as_text(value)))


def _is_printable(character: str) -> bool:
    return character.isprintable() or character.isspace()


def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False})
