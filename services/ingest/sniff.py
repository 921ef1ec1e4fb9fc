"""Tells what a file is from its bytes. Neither its name nor what a client says of it counts.

Closed: the types of TYPES are the ones that we claim to know; everything else is None, and stored as plain bytes.
"""

import struct
from typing import BinaryIO, Literal, NamedTuple

HEAD = 4096
MOOV = 8 * 1024 * 1024


class Kind(NamedTuple):
    """A type that we know: its mime, its family, what to call it, and the usual ends of names."""

    mime: str
    family: Literal["audio", "image", "video"]
    name: str
    suffixes: tuple[str, ...]


FLAC = Kind("audio/flac", "audio", "FLAC", ("flac",))
MP3 = Kind("audio/mpeg", "audio", "MP3", ("mp3",))
OGG = Kind("audio/ogg", "audio", "Ogg", ("ogg", "oga", "opus"))
WAV = Kind("audio/wav", "audio", "WAV", ("wav", "wave"))
AIFF = Kind("audio/aiff", "audio", "AIFF", ("aif", "aiff", "aifc"))
M4A = Kind("audio/mp4", "audio", "MP4 audio", ("m4a", "m4b"))
MP4 = Kind("video/mp4", "video", "MP4", ("mp4", "m4v", "mov"))
JPEG = Kind("image/jpeg", "image", "JPEG", ("jpg", "jpeg", "jpe"))
PNG = Kind("image/png", "image", "PNG", ("png",))
GIF = Kind("image/gif", "image", "GIF", ("gif",))
WEBP = Kind("image/webp", "image", "WebP", ("webp",))
AVIF = Kind("image/avif", "image", "AVIF", ("avif",))
HEIC = Kind("image/heic", "image", "HEIC", ("heic", "heif"))
BMP = Kind("image/bmp", "image", "BMP", ("bmp",))
TIFF = Kind("image/tiff", "image", "TIFF", ("tif", "tiff"))
TYPES = (FLAC, MP3, OGG, WAV, AIFF, M4A, MP4, JPEG, PNG, GIF, WEBP, AVIF, HEIC, BMP, TIFF)

_ALIASES = {
    "audio/x-flac": FLAC, "audio/mp3": MP3, "audio/x-mp3": MP3, "audio/opus": OGG, "audio/vorbis": OGG,
    "application/ogg": OGG, "audio/x-wav": WAV, "audio/wave": WAV, "audio/vnd.wave": WAV, "audio/x-aiff": AIFF,
    "audio/x-m4a": M4A, "audio/m4a": M4A, "image/jpg": JPEG, "image/pjpeg": JPEG, "image/heif": HEIC,
    "image/x-ms-bmp": BMP,
}  # fmt: skip
_BY_MIME = {kind.mime: kind for kind in TYPES} | _ALIASES
_BY_SUFFIX = {suffix: kind for kind in TYPES for suffix in kind.suffixes}

_PREFIXES = (
    (b"fLaC", FLAC), (b"\xff\xd8\xff", JPEG), (b"\x89PNG\r\n\x1a\n", PNG), (b"GIF87a", GIF), (b"GIF89a", GIF),
    (b"II*\x00", TIFF), (b"MM\x00*", TIFF),
)  # fmt: skip
_OGG_AUDIO = (b"\x01vorbis", b"OpusHead", b"\x7fFLAC", b"Speex   ")
_FORMS = {(b"RIFF", b"WAVE"): WAV, (b"RIFF", b"WEBP"): WEBP, (b"FORM", b"AIFF"): AIFF, (b"FORM", b"AIFC"): AIFF}
_BMP_HEADERS = {12, 16, 40, 52, 56, 64, 108, 124}


def claimed(filename: str | None, mime: str | None) -> Kind | None:
    """The audio or image type that a name or a declared mime promises; of the types that we can recognise."""
    suffix = (filename or "").rpartition(".")[2].lower() if "." in (filename or "") else ""
    declared = (mime or "").partition(";")[0].strip().lower()
    for kind in (_BY_MIME.get(declared), _BY_SUFFIX.get(suffix)):
        if kind is not None and kind.family != "video":
            return kind
    return None


def sniff(file: BinaryIO) -> Kind | None:
    """The type of the bytes of `file`, a seekable file; None when it is none of ours."""
    head = _at(file, 0, HEAD)
    if head.startswith(b"ID3") and len(head) >= 10:
        return _behind_id3(file, head)
    return _signature(head) or _container(file, head) or (MP3 if _mpeg_frames(head) else None)


def _at(file: BinaryIO, position: int, length: int) -> bytes:
    file.seek(position)
    return file.read(length)


def _signature(head: bytes) -> Kind | None:
    for prefix, kind in _PREFIXES:
        if head.startswith(prefix):
            return kind
    form = _FORMS.get((head[:4], head[8:12]))
    if form is not None:
        return form
    if head.startswith(b"BM") and len(head) >= 18 and struct.unpack_from("<I", head, 14)[0] in _BMP_HEADERS:
        return BMP
    if head.startswith(b"OggS") and len(head) > 27:
        packet = head[27 + head[26] :]
        return OGG if packet.startswith(_OGG_AUDIO) else None
    return None


def _behind_id3(file: BinaryIO, head: bytes) -> Kind | None:
    """ID3v2 may stand before more than MP3. A tag with nothing readable behind it still says MP3."""
    size = (head[6] & 0x7F) << 21 | (head[7] & 0x7F) << 14 | (head[8] & 0x7F) << 7 | head[9] & 0x7F
    footer = 10 if head[5] & 0x10 else 0
    body = _at(file, 10 + size + footer, HEAD)
    return FLAC if body.startswith(b"fLaC") else MP3


def _container(file: BinaryIO, head: bytes) -> Kind | None:
    """ISO base media (MP4 and its relatives): by its brands, and by its tracks where brands do not tell."""
    if head[4:8] != b"ftyp":
        return None
    length = max(16, min(struct.unpack_from(">I", head)[0], 256))
    major, brands = head[8:12], {head[i : i + 4] for i in range(16, min(length, len(head)) - 3, 4)} | {head[8:12]}
    if major in (b"avif", b"avis") or (major in (b"mif1", b"msf1") and brands & {b"avif", b"avis"}):
        return AVIF
    if brands & {b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"}:
        return HEIC
    tracks = _tracks(file)
    if b"vide" in tracks:
        return MP4
    return M4A if b"soun" in tracks or major in (b"M4A ", b"M4B ") else MP4


def _tracks(file: BinaryIO) -> set[bytes]:
    """The media types (`soun`, `vide`, …) that the movie box names."""
    file.seek(0, 2)
    end, position = file.tell(), 0
    for _ in range(1024):
        header = _at(file, position, 16)
        if len(header) < 8:
            break
        size, name = struct.unpack(">I4s", header[:8])
        if size == 1 and len(header) == 16:
            size = struct.unpack(">Q", header[8:])[0]
        if name == b"moov":
            moov = _at(file, position, min(size or end, MOOV))
            return {piece[8:12] for piece in moov.split(b"hdlr")[1:]}
        if size < 8:
            break
        position += size
    return set()


_BITRATES = {
    1: {  # MPEG 1, by layer
        1: (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
        2: (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
        3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    },
    2: {  # MPEG 2 and 2.5
        1: (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
        2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
        3: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    },
}
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def _frame_length(header: bytes) -> int | None:
    """Length of the MPEG audio frame (layers 2 and 3) that begins with these four bytes; None when none does."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    bitrate_index, rate_index = header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or layer in (1, 4) or bitrate_index in (0, 15) or rate_index == 3:
        return None
    generation = 1 if version == 3 else 2
    bits = _BITRATES[generation][layer][bitrate_index] * 1000
    factor = 72 if layer == 3 and generation == 2 else 144
    return factor * bits // _RATES[version][rate_index] + (header[2] >> 1 & 1)


def _mpeg_frames(head: bytes, needed: int = 2) -> bool:
    """Two bytes in a row are chance; whole frames in a row are not."""
    position = 0
    for _ in range(needed):
        length = _frame_length(head[position : position + 4])
        if length is None:
            return False
        position += length
    return True
