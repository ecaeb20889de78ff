"""A multipart form → the file in it and its text fields.

`multipart` needs a third of the time that werkzeug's own parser needs for a photo, and keeps
it in memory where that would write to a temporary file.
"""

from __future__ import annotations

import io

from multipart import MultipartError, MultipartParser, ParserLimitReached

_MOST_PARTS = 16
LONGEST_TEXT = 64 * 1024  # bytes


class FormError(ValueError):
    """The form is broken, or has no such file."""


class FormTooLargeError(ValueError):
    """More parts or longer texts than a form has here."""


def read_form(body: bytes, boundary: str, file: str) -> tuple[bytes, dict[str, str]]:
    """Return the file named `file` and the texts of a multipart/form-data body.

    Of parts with the same name the first counts. Raises `FormError` or `FormTooLargeError`.
    """
    parser = MultipartParser(
        io.BytesIO(body),
        boundary,
        len(body),
        part_limit=_MOST_PARTS,
        spool_limit=len(body),
        memory_limit=len(body),
    )
    files: dict[str, bytes] = {}
    texts: dict[str, str] = {}
    try:
        for part in parser:
            if part.filename is not None:
                files.setdefault(part.name, part.raw)
            elif part.size > LONGEST_TEXT:
                raise FormTooLargeError(f"{part.name!r} is longer than {LONGEST_TEXT} bytes")
            else:  # not by the charset that the client declares: some codecs take seconds
                texts.setdefault(part.name, part.raw.decode())
    except ParserLimitReached as error:
        raise FormTooLargeError(f"the form is over a limit: {error}") from error
    except (MultipartError, UnicodeDecodeError) as error:
        raise FormError(f"the form is broken: {error}") from error
    if file not in files:
        raise FormError(f"the form has no file named {file!r}")
    return files[file], texts
