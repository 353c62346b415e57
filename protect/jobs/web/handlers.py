"""What the page asks its server for: each method answers one address."""

import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from itertools import count
from typing import Any

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from protect.data.photo_captions import Caption, find_caption, one_line, sidecar_texts
from protect.data.photo_files import Unsuited, read_head, read_still
from protect.data.photo_folder import Entry
from protect.jobs.photos.gallery import FOLDER, make_pictures
from protect.jobs.photos.job import reason_of
from protect.jobs.photos.small import SMALL, small_picture
from protect.jobs.web.download import safe_name, zip_pieces
from protect.jobs.web.photos import Photo, Photos
from protect.jobs.web.previews import SHOWN, Part, Preview, Previews
from protect.jobs.web.uploads import TEXT_BYTES, Drop, Refused, Uploads, use_of
from protect.jobs.web.work import Choice, Work, usual
from protect.settings.publish import STRENGTHS, PhotoSettings
from protect.settings.recipe import LANGUAGES
from protect.settings.web import WebSettings

LONGEST_JSON = 16_000_000  # bytes of a request that is no file: names of some hundred thousand photos
LONGEST_CAPTION = 10_000  # characters
DROPS = 20  # the last few drops: texts of older ones cannot be added any more
AT_ONCE = 2  # pictures that are decoded at the same time, so that memory stays bounded


class Handlers:
    """The page's state, and the answers."""

    def __init__(
        self, limits: WebSettings, settings: PhotoSettings, photos: Photos, uploads: Uploads, work: Work
    ) -> None:
        self.limits, self.settings, self.photos, self.uploads, self.work = limits, settings, photos, uploads, work
        self.previews = Previews()
        self.drops: dict[int, Drop] = {}
        self.drop_of: dict[int, Drop] = {}
        self.shown: dict[str, Preview] = {}
        self.numbers = count(1)
        self.limiter: CapacityLimiter | None = None

    def routes(self) -> list[Route]:
        return [
            Route("/state", self.state),
            Route("/drop", self.drop, methods=["POST"]),
            Route("/drop/{drop:int}/{number:int}", self.text, methods=["PUT"]),
            Route("/photos/{id:int}", self.upload, methods=["PUT"]),
            Route("/photos/{id:int}", self.caption, methods=["PATCH"]),
            Route("/photos/{id:int}", self.remove, methods=["DELETE"]),
            Route("/photos/{id:int}/small", self.small),
            Route("/photos/{id:int}/file", self.file),
            Route("/photos/{id:int}/preview", self.preview),
            Route("/previews/{number:str}/{side:str}", self.preview_picture),
            Route("/start", self.start, methods=["POST"]),
            Route("/stop", self.stop, methods=["POST"]),
            Route("/protected.zip", self.everything),
        ]

    async def state(self, request: Request) -> Response:
        """What has changed since a version, and how far the run is."""
        since = self._number(request, "since")
        return JSONResponse(self.photos.since(since) | {"run": self.work.progress.to_json()})

    async def drop(self, request: Request) -> Response:
        """Names of files that are about to come: for each its number, or why it is left out."""
        given = await self._json(request)
        names = given.get("names")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise HTTPException(400, "names: expected a list of texts")
        names = [name.encode("utf-8", "replace").decode() for name in names]
        uses: list[dict[str, Any]] = [dict(use_of(name)) for name in names]
        coming = sum(use["kind"] == "photo" for use in uses)
        if len(self.photos) + coming > self.limits.max_files:
            most = self.limits.max_files
            raise HTTPException(413, f"expected at most {most} photos on the page, got {coming} more; drop fewer")
        number = next(self.numbers)
        drop = self.drops[number] = Drop(self.uploads.folder, number, names)
        for old in list(self.drops)[:-DROPS]:
            del self.drops[old]
        for name, use in zip(names, uses, strict=True):
            if use["kind"] == "photo":
                photo = self.photos.add(name)
                self.drop_of[photo.id] = drop
                use["id"] = photo.id
        return JSONResponse({"drop": number, "files": uses})

    async def text(self, request: Request) -> Response:
        """A text in which captions are looked for."""
        drop = self.drops.get(request.path_params["drop"])
        number = request.path_params["number"]
        if drop is None or number >= len(drop.names):
            raise HTTPException(404, "no such drop")
        data = await self._body(request, TEXT_BYTES)
        try:
            drop.add_text(number, data)
        except Refused as error:
            raise HTTPException(400, str(error)) from None
        return JSONResponse({})

    async def upload(self, request: Request) -> Response:
        """An original, streamed to the disk and looked into."""
        photo = self._photo(request)
        if photo.here:
            raise HTTPException(409, "this photo is here already")
        try:
            sha256 = await self.uploads.receive(photo, request.stream())
        except Refused as error:
            self.photos.change(photo.id, state="failed", reason=str(error))
            raise HTTPException(413, str(error)) from None
        drop = self.drop_of.pop(photo.id, None)
        now = self.photos.uploaded(photo.id, sha256)
        if now is None:  # removed meanwhile, or the same file again
            self.uploads.path(photo).unlink(missing_ok=True)
            return JSONResponse({})
        if now.file != photo.file:
            self.uploads.path(photo).replace(self.uploads.path(now))
        if modified := self._number(request, "modified"):
            os.utime(self.uploads.path(now), ns=(modified * 1_000_000,) * 2)
        await self._in_thread(self._look_into, now, drop)
        return JSONResponse({})

    def _look_into(self, photo: Photo, drop: Drop | None) -> None:
        """Caption and small picture of an original, or why it cannot be protected."""
        path = self.uploads.path(photo)
        entry = drop.entry(photo, path) if drop else Entry(photo.name, path, "photo")
        try:
            caption, marked = self._caption_of(entry, drop.listed if drop else {})
            self.photos.change(photo.id, caption=caption.text)
            self.uploads.small(photo.id).write_bytes(small_picture(path, SMALL, self.settings.max_pixels))
            if marked:
                raise Unsuited("protected already by this tool")
            state = "protected" if photo.record and photo.record.caption_before == caption.text else "ready"
            self.photos.change(photo.id, state=state)
        except Unsuited as error:
            self.photos.change(photo.id, state="skipped", reason=str(error))
        except Exception as error:  # hostile bytes: parsers raise nearly anything
            self.photos.change(photo.id, state="failed", reason=self._plain(reason_of(error)))

    def _caption_of(self, entry: Entry, listed: Mapping[str, str]) -> tuple[Caption, bool]:
        """The caption that `protect photos` would find, and whether the file is protected already."""
        head = read_head(entry.path, self.settings.max_pixels)
        if not head.captions and not _is_jpeg(entry):
            head = read_still(entry.path, self.settings.max_pixels).metadata
        texts = sidecar_texts(entry)
        return find_caption(entry, head, listed, self.settings.caption_from, texts), head.marked

    async def caption(self, request: Request) -> Response:
        """A caption as its user has edited it, or the suggested text that was chosen."""
        photo, given = self._photo(request), await self._json(request)
        if not given or not given.keys() <= {"caption", "wanted"}:
            raise HTTPException(400, "expected the field caption or wanted")
        for name, text in given.items():
            if not isinstance(text, str) or len(text) > LONGEST_CAPTION:
                raise HTTPException(400, f"{name}: expected a text of at most {LONGEST_CAPTION} characters")
        values = {name: one_line(text) for name, text in given.items()}
        changed = any(getattr(photo, name) != text for name, text in values.items())
        state = "ready" if changed and photo.state == "protected" else photo.state
        self.photos.change(photo.id, **values, state=state)
        return JSONResponse({})

    async def remove(self, request: Request) -> Response:
        """Takes a photo off the page, but for one that is being worked on."""
        photo = self._photo(request)
        if photo.state == "working":
            raise HTTPException(409, "this photo is being protected; stop first")
        self.photos.remove(photo.id)
        self.uploads.forget(photo)
        return JSONResponse({})

    async def small(self, request: Request) -> Response:
        """The small picture of the original, or of the protected photo where that is all there is."""
        photo = self._photo(request)
        path = self.uploads.small(photo.id)
        if not path.exists() and photo.record:
            made = await self._in_thread(make_pictures, self.work.out, self.uploads.folder, photo.record)
            path = self.work.out / FOLDER / made.get("small", "")
        if not path.is_file():
            raise HTTPException(404, "no small picture")
        return FileResponse(path, media_type="image/jpeg")

    async def file(self, request: Request) -> Response:
        """A protected photo to download."""
        photo = self._photo(request)
        path = self.work.out / photo.file
        if photo.record is None or not path.is_file():
            raise HTTPException(404, "not protected yet")
        return FileResponse(path, filename=safe_name(photo.name).rpartition("/")[2])

    async def preview(self, request: Request) -> Response:
        """A part of a photo before and after; the two pictures are fetched by the number that is answered."""
        photo = self._photo(request)
        left, top, width, height = (self._number(request, name) for name in ("left", "top", "width", "height"))
        choice = self._choice(request.query_params)
        if not photo.here or photo.state == "waiting":
            raise HTTPException(409, "the original is not here")
        try:
            made = await self._in_thread(self._preview, photo, choice, Part(left, top, width, height))
        except Exception as error:  # hostile bytes: parsers raise nearly anything
            raise HTTPException(422, self._plain(reason_of(error))) from None
        number = str(next(self.numbers))
        self.shown[number] = made
        for old in list(self.shown)[:-SHOWN]:
            del self.shown[old]
        return JSONResponse(made.to_json() | {"number": number})

    def _preview(self, photo: Photo, choice: Choice, part: Part) -> Preview:
        job = self.work.job(choice, dry=True)
        texts = (photo.caption, photo.wanted)
        return self.previews.make(self.uploads.path(photo), *texts, job.protector, job.settings, part)

    async def preview_picture(self, request: Request) -> Response:
        made = self.shown.get(request.path_params["number"])
        side = request.path_params["side"]
        if made is None or side not in ("before", "after"):
            raise HTTPException(404, "no such preview")
        return Response(made.before if side == "before" else made.after, media_type="image/png")

    async def start(self, request: Request) -> Response:
        """Protects what is ready, and anew what was changed."""
        if not self.work.start(self._choice(await self._json(request))):
            raise HTTPException(409, "a run is going on already")
        return JSONResponse({})

    async def stop(self, request: Request) -> Response:
        self.work.stop()
        return JSONResponse({})

    async def everything(self, request: Request) -> Response:
        """All finished photos as one zip."""
        pieces = zip_pieces(self.work.out, self.uploads.folder, self.photos.all())
        headers = {"content-disposition": 'attachment; filename="protected-photos.zip"'}
        return StreamingResponse(pieces, media_type="application/zip", headers=headers)

    def _photo(self, request: Request) -> Photo:
        photo = self.photos.get(request.path_params["id"])
        if photo is None:
            raise HTTPException(404, "no such photo")
        return photo

    def _choice(self, given: Mapping[str, Any]) -> Choice:
        strength, language = given.get("strength"), given.get("language", usual(self.settings).language)
        for name, value, known in (("strength", strength, tuple(STRENGTHS)), ("language", language, LANGUAGES)):
            if value not in known:
                raise HTTPException(400, f"{name}: expected one of {', '.join(known)}")
        return Choice(str(strength), str(language))

    def _number(self, request: Request, name: str) -> int:
        """A whole number of the query, 0 where it is not given."""
        text = request.query_params.get(name, "0")
        if not (text.isascii() and text.isdigit() and len(text) < 16):
            raise HTTPException(400, f"{name}: expected a whole number of 0 or more")
        return int(text)

    async def _json(self, request: Request) -> dict[str, Any]:
        try:
            given = json.loads(await self._body(request, LONGEST_JSON))
        except (ValueError, RecursionError):
            given = None
        if not isinstance(given, dict):
            raise HTTPException(400, "expected a JSON object")
        return given

    async def _body(self, request: Request, most: int) -> bytes:
        body = bytearray()
        pieces: AsyncIterator[bytes] = request.stream()
        async for piece in pieces:
            body += piece
            if len(body) > most:
                raise HTTPException(413, f"expected at most {most} bytes")
        return bytes(body)

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        self.limiter = self.limiter or CapacityLimiter(AT_ONCE)
        return await run_sync(function, *arguments, limiter=self.limiter)

    def _plain(self, reason: str) -> str:
        """A reason without the way to the private folder, and with the option that cures it."""
        return reason.replace(f"{self.uploads.folder}/", "").replace("max_pixels", "--max-pixels")


def _is_jpeg(entry: Entry) -> bool:
    with entry.path.open("rb") as file:
        return file.read(2) == b"\xff\xd8"
