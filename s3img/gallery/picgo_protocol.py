"""PicGo's and PicList's upload protocol, so that editors' plugins for them put pictures into the bucket.

``POST /upload`` with ``{"list": ["/path/a.png"]}`` or a form with ``files``; the answer is ``{"success": true,
"result": ["https://…"]}``. What fails is answered as PicGo does, with status 200 and ``"success": false``, because
plugins read the text only then; a request that is refused has a status of its own.
"""

from __future__ import annotations

import hmac
import json
import re
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import msgspec
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser
from werkzeug.wrappers import Request, Response

from s3img.errors import DECODE_ERRORS, S3ImgError
from s3img.gallery.loopback import is_for_loopback, is_from_an_editor, is_from_elsewhere

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

    from s3img.uploads import Uploader

MOST_PICTURES: Final = 100  # in one request
MOST_JSON: Final = 1 << 20
MOST_FORM: Final = 1 << 30  # bytes of all pictures of a form; each has the bound of the upload policy besides

_FILE: Final = re.compile(r"(?i)file://[^/?#]*([^?#]*)")

NO_CLIPBOARD: Final = (
    "this server does not read the clipboard: paste the picture into the editor, which then sends a file, or save it "
    "and run: s3img upload FILE"
)


class PicGoServer:
    """Take pictures from editors of this machine; a WSGI application.

    Pages of the web are refused by ``Host``, ``Origin``, ``Sec-Fetch-Site`` and content type. With a ``token``,
    requests need it as ``Authorization: Bearer``, ``X-PicGo-Secret`` or in the query as ``secret`` or ``key``.
    ``clipboard`` returns the picture that a request without any means; without one such a request is refused.
    """

    def __init__(
        self,
        uploader: Uploader,
        *,
        token: str = "",
        log: Callable[[str], None] | None = None,
        clipboard: Callable[[], bytes] | None = None,
    ) -> None:
        self._uploader = uploader
        self._token = token
        self._log = log
        self._clipboard = clipboard

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        return self.respond(Request(environ))(environ, start_response)

    def respond(self, request: Request) -> Response:
        """Answer a request; what is wrong with it is said in the answer."""
        if refused := self.refusal(request):
            return refused
        if request.path == "/heartbeat":
            return answer(result="alive")
        if request.path == "/upload" and request.method == "POST":
            return self.upload(request)
        if request.path == "/delete":
            return failure("s3img removes nothing on request of an editor. Run: s3img rm KEY", 403)
        return failure("there is nothing here: send pictures to POST /upload", 404)

    def refusal(self, request: Request) -> Response | None:
        """Refuse what does not come from a program of this machine, None for what does."""
        environ = request.environ
        if not is_for_loopback(environ):
            return failure("only 127.0.0.1 and localhost are names of this server", 403)
        if is_from_elsewhere(environ) and not is_from_an_editor(environ):
            return failure("pages of the web may not upload", 403)
        if not self._token:
            return None
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        given = [bearer.strip() if scheme.lower() == "bearer" else "", request.headers.get("X-PicGo-Secret", "")]
        given += [request.args.get("secret", ""), request.args.get("key", "")]
        if any(hmac.compare_digest(one.encode(), self._token.encode()) for one in given):
            return None
        return failure("the token is missing or wrong", 401)

    def upload(self, request: Request) -> Response:
        """Store the pictures of a request and answer with their addresses, in its order."""
        try:
            if request.mimetype == "application/json":
                pictures: list[tuple[str, IO[bytes] | Path]] = [*paths_of(request)]
            elif request.mimetype == "multipart/form-data":
                pictures = [*files_of(request)]
            elif not request.mimetype and not request.content_length:
                pictures = []
            else:
                return failure("send application/json or multipart/form-data", 415)
        except ValueError as error:
            return failure(str(error), 400)
        except RequestEntityTooLarge:
            return failure("the request is too large", 413)
        if not pictures:  # what is in the clipboard, as PicGo understands it
            return self.upload_clipboard()
        if len(pictures) > MOST_PICTURES:
            for _, source in pictures:
                if not isinstance(source, Path):  # the temporary file of a form
                    source.close()
            return failure(f"a request may have at most {MOST_PICTURES} pictures", 413)
        return self.store(pictures)

    def upload_clipboard(self) -> Response:
        """Store the picture in the clipboard."""
        if self._clipboard is None:
            return failure(NO_CLIPBOARD, 400)
        try:
            return self.store([("clipboard.png", BytesIO(self._clipboard()))])
        except S3ImgError as error:
            return failure(str(error), 200)

    def store(self, pictures: Iterable[tuple[str, IO[bytes] | Path]]) -> Response:
        """Store each picture; one that can't be used keeps none of the others from it."""
        saved, problems = [], []
        for name, source in pictures:
            try:
                with source.open("rb") if isinstance(source, Path) else source as opened:
                    saved.append(self._uploader.save(opened, filename=name))
            except OSError as error:
                problems.append(f"{name}: can't be read: {error.strerror}")
            except S3ImgError as error:
                problems.append(f"{name}: {error}")
        if self._log:
            self._log(f"picgo: {len(saved)} stored, {len(problems)} failed")
        urls = [one.url for one in saved]
        if problems:
            return failure("; ".join(problems), 200, result=urls)
        # PicList's field.
        full = [
            {"fileName": one.filename, "imgUrl": one.url, "width": one.width, "height": one.height} for one in saved
        ]
        return answer(result=urls, fullResult=full)


def paths_of(request: Request) -> Iterable[tuple[str, Path]]:
    """Yield (name, file) of the list of a JSON request; raise ValueError for what is not a list of local files."""
    request.max_content_length = MOST_JSON
    body = request.get_data()
    if not body.strip():
        return
    try:
        found = msgspec.json.decode(body)
    except DECODE_ERRORS as error:
        raise ValueError(f"the body is not JSON: {error}") from None
    names = found.get("list", []) if isinstance(found, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError('the body should be {"list": ["/path/of/a/picture.png"]}')
    for name in names:
        if re.match(r"(?i)(https?|ftp|data):", name):
            # What a server fetches for others may lie in a network that they can't reach.
            raise ValueError(f"{name[:200]}: s3img fetches nothing from the web here: save the picture first")
        of_url = _FILE.match(name)
        path = Path(unquote(of_url[1], errors="surrogateescape") if of_url else name)
        if not path.is_absolute() or "\0" in str(path):
            raise ValueError(f"{name[:200]}: a whole path is needed")
        try:
            is_file = path.is_file()
        except OSError as error:  # a name that is too long, a folder that may not be read
            raise ValueError(f"{name[:200]}: can't be read: {error.strerror}") from None
        if not is_file:
            raise ValueError(f"{name[:200]}: there is no such file")
        yield path.name, path


def files_of(request: Request) -> Iterable[tuple[str, IO[bytes]]]:
    """Yield (name, content) of the files of a form, whatever their fields are called; large ones are on disk."""
    parser = FormDataParser(
        max_content_length=MOST_FORM, max_form_memory_size=MOST_JSON, max_form_parts=2 * MOST_PICTURES
    )
    _, _, files = parser.parse_from_environ(request.environ)
    for file in (one for name in files for one in files.getlist(name)):
        if file.filename:
            yield file.filename, file.stream


def answer(status: int = HTTPStatus.OK, *, success: bool = True, **fields: Any) -> Response:  # noqa: ANN401 - JSON
    """Return an answer as JSON that no page may read and nothing may keep."""
    text = json.dumps({"success": success, **fields})
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return Response(text, status, headers, content_type="application/json; charset=utf-8")


def failure(message: str, status: int, *, result: list[str] | None = None) -> Response:
    """Return an answer that says what is wrong; plugins look for the text in either of two fields."""
    return answer(status, success=False, result=result or [], message=message, msg=message)
