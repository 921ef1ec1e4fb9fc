"""Says whether an audio file is built as its type demands. Tag readers forgive too much: noise behind a right
signature has a title for them, and lasts for days."""

import struct
from typing import BinaryIO

from services.ingest import sniff

_LEAST_BITS_PER_SECOND = 64  # digital silence in the largest FLAC blocks is above this


def flaw(file: BinaryIO, kind: sniff.Kind, size: int, seconds: float | None) -> str | None:
    """Why the file cannot be what it says it is; None when nothing speaks against it."""
    if kind is sniff.FLAC and (reason := _flac(file)):
        return reason
    if kind is sniff.OGG and (reason := _ogg(file)):
        return reason
    if seconds is None:
        return None if kind is sniff.FLAC else "it has no duration"
    if seconds <= 0 or size * 8 / seconds < _LEAST_BITS_PER_SECOND:
        return f"{size} bytes cannot last {seconds:.0f} s"
    return None


def _flac(file: BinaryIO) -> str | None:
    """STREAMINFO first, the blocks of metadata whole, and a frame behind them."""
    file.seek(0)
    start = file.read(10)
    if start[:3] == b"ID3":
        file.seek(10 + ((start[6] & 0x7F) << 21 | (start[7] & 0x7F) << 14 | (start[8] & 0x7F) << 7 | start[9] & 0x7F))
    else:
        file.seek(0)
    if file.read(4) != b"fLaC":
        return "no FLAC stream where one should begin"
    first = True
    while True:
        header = file.read(4)
        if len(header) < 4:
            return "it ends within its metadata"
        last, kind, length = header[0] >> 7, header[0] & 0x7F, int.from_bytes(header[1:], "big")
        block = file.read(length)
        if len(block) < length or kind == 127:
            return "a block of its metadata is broken"
        if first:
            if kind != 0 or length != 34 or int.from_bytes(block[10:13], "big") >> 4 == 0:
                return "it does not begin with STREAMINFO"
            first = False
        if last:
            break
    sync = file.read(2)
    return None if len(sync) == 2 and sync[0] == 0xFF and sync[1] & 0xFC == 0xF8 else "no audio behind its metadata"


def _ogg(file: BinaryIO) -> str | None:
    """The first pages follow each other without a gap."""
    file.seek(0)
    for page in range(3):
        header = file.read(27)
        if len(header) < 27 or header[:4] != b"OggS":
            return f"Ogg page {page} is missing"
        segments = file.read(header[26])
        body = file.read(sum(segments))
        if len(segments) < header[26] or len(body) < sum(segments):
            return f"Ogg page {page} is cut short"
        if (
            _ogg_crc(header[:22] + b"\0\0\0\0" + header[26:] + segments + body)
            != struct.unpack_from("<I", header, 22)[0]
        ):
            return f"Ogg page {page} has a wrong checksum"
        if header[5] & 4:
            return None
    return None


def _table() -> tuple[int, ...]:
    rows = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
        rows.append(value)
    return tuple(rows)


_CRC = _table()


def _ogg_crc(page: bytes) -> int:
    value = 0
    for byte in page:
        value = (value << 8 & 0xFFFFFFFF) ^ _CRC[value >> 24 ^ byte]
    return value
