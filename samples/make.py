"""Make the sample media again: melodies by additive synthesis, pictures by arithmetic, tags by ffmpeg.

    python samples/make.py [FOLDER]        needs ffmpeg with libmp3lame, libvorbis, libopus; and Pillow

The same versions of ffmpeg and Pillow write the same bytes. Nobody needs this to use or to test Medley: the files are
in the repository, and nothing else reads this script.
"""

import math
import shutil
import subprocess
import sys
import tempfile
import wave
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from PIL import Image

RATE = 22_050
STEPS = {"C": -9, "D": -7, "E": -5, "F": -4, "G": -2, "A": 0, "B": 2}
BITEXACT = ("-fflags", "+bitexact", "-flags:a", "+bitexact")


class Timbre(NamedTuple):
    """Loudness of each harmonic, how fast a note dies (per second), and its tremolo (Hz)."""

    harmonics: tuple[float, ...]
    decay: float
    tremolo: float = 0.0


ORGAN = Timbre((1, 0.5, 0.35, 0.2, 0.1), 0.6, 5.0)
BELL = Timbre((1, 0.05, 0.6, 0.02, 0.4, 0.01, 0.2), 3.5)
PLUCK = Timbre((1, 0.6, 0.4, 0.25, 0.15, 0.1), 5.0)
FLUTE = Timbre((1, 0.15, 0.05), 0.8, 4.5)


class Piece(NamedTuple):
    """A recording: its file, how ffmpeg writes it, its tune (`note octave beats`, words apart), its tags."""

    file: str
    codec: tuple[str, ...]
    tune: str
    bpm: int
    timbre: Timbre
    tags: dict[str, str]


def tags(title: str, artist: str, album: str, year: int, genre: str, track: int) -> dict[str, str]:
    return {
        "title": title,
        "artist": artist,
        "album": album,
        "date": str(year),
        "genre": genre,
        "track": str(track),
    }


PIECES = (
    Piece(
        "morning-train.flac",
        ("-c:a", "flac", "-compression_level", "8", "-sample_fmt", "s16"),
        "C4/.5 E4/.5 G4/.5 C5/.5 B4/.5 G4/.5 E4/.5 D4/.5 C4/2",
        132,
        ORGAN,
        tags("Morning Train", "Paper Lantern Trio", "Timetables", 2024, "Jazz", 1),
    ),
    Piece(
        "cafe-a-minuit.flac",
        ("-c:a", "flac", "-compression_level", "8", "-sample_fmt", "s16"),
        "A4/.5 C5/.5 E5/.5 D5/.5 C5/.5 B4/.5 A4/2",
        112,
        FLUTE,
        tags("Café à minuit", "Zoë & the Örestads", "Été — 夏", 2023, "Chanson", 3),
    ),
    Piece(
        "night-ferry.mp3",
        ("-c:a", "libmp3lame", "-b:a", "64k", "-id3v2_version", "3"),
        "E4/1 G4/.5 A4/.5 B4/1 A4/.5 G4/.5 E4/1 D4/.5 E4/2",
        104,
        ORGAN,
        tags("Night Ferry", "Paper Lantern Trio", "Timetables", 2024, "Jazz", 2),
    ),
    Piece(
        "copper-bells.ogg",
        ("-c:a", "libvorbis", "-q:a", "3"),
        "G5/.5 E5/.5 C5/.5 D5/.5 G4/1 G4/.5 D5/.5 E5/.5 D5/.5 C5/2",
        126,
        BELL,
        tags("Copper Bells", "Ostinato Workshop", "Small Machines", 2021, "Ambient", 4),
    ),
    Piece(
        "small-clock.m4a",
        ("-c:a", "aac", "-b:a", "64k"),
        "C5/.25 G4/.25 C5/.25 G4/.25 D5/.25 G4/.25 E5/.25 G4/.25 C5/.25 G4/.25 C5/.25 G4/.25 C5/1",
        96,
        PLUCK,
        tags("Small Clock", "Ostinato Workshop", "Small Machines", 2021, "Electronic", 1),
    ),
    Piece(
        "harbour-lights.opus",
        ("-c:a", "libopus", "-b:a", "48k"),
        "D4/1 F4/.5 A4/.5 D5/1.5 C5/.5 A4/.5 F4/.5 D4/2",
        100,
        FLUTE,
        tags("Harbour Lights", "Marit Solheim", "Low Water", 2025, "Folk", 7),
    ),
    Piece(
        "two-rivers.wav",
        (
            "-c:a",
            "pcm_s16le",
        ),
        "A4/.5 B4/.5 D5/1 B4/.5 A4/2",
        138,
        PLUCK,
        tags("Two Rivers", "Marit Solheim", "Low Water", 2025, "Folk", 2),
    ),
)


def frequency(note: str) -> float:
    return 440.0 * 2 ** ((STEPS[note[0]] + 12 * (int(note[1]) - 4)) / 12)


def melody(piece: Piece) -> "array[int]":
    """The tune as 16-bit samples; each note rings on under the next."""
    notes = [(frequency(word.split("/")[0]), float(word.split("/")[1])) for word in piece.tune.split()]
    beat = 60 / piece.bpm
    total = int(RATE * beat * sum(beats for _, beats in notes))
    sound = [0.0] * total
    start = 0
    for pitch, beats in notes:
        length = min(total - start, int(RATE * beat * beats * 1.4))
        for i in range(length):
            t = i / RATE
            swell = 1 + 0.15 * math.sin(2 * math.pi * piece.timbre.tremolo * t)
            level = min(1.0, t / 0.012) * math.exp(-piece.timbre.decay * t) * min(1.0, (length - i) / (RATE * 0.05))
            tone = sum(a * math.sin(2 * math.pi * pitch * (n + 1) * t) for n, a in enumerate(piece.timbre.harmonics))
            sound[start + i] += tone * level * swell
        start += int(RATE * beat * beats)
    peak = max(abs(value) for value in sound)
    return array("h", (round(value / peak * 26_000) for value in sound))


def record(piece: Piece, folder: Path, scratch: Path) -> None:
    plain = scratch / "plain.wav"
    with wave.open(str(plain), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(melody(piece).tobytes())
    words = [word for key, value in piece.tags.items() for word in ("-metadata", f"{key}={value}")]
    subprocess.run(
        [
            "ffmpeg",
            "-loglevel",
            "error",
            "-y",
            "-i",
            str(plain),
            *words,
            *BITEXACT,
            *piece.codec,
            str(folder / piece.file),
        ],
        check=True,
    )


Painter = Callable[[float, float], tuple[float, float, float]]


def paint(width: int, height: int, painter: Painter) -> Image.Image:
    """A picture whose colour at (x, y), both from 0 to 1, is what `painter` says."""
    pixels = bytearray()
    for row in range(height):
        for column in range(width):
            colour = painter(column / width, row / height)
            pixels += bytes(max(0, min(255, round(255 * channel))) for channel in colour)
    return Image.frombytes("RGB", (width, height), bytes(pixels))


def mix(a: tuple[float, float, float], b: tuple[float, float, float], t: float) -> tuple[float, float, float]:
    t = max(0.0, min(1.0, t))
    return (a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t)


def dunes(x: float, y: float) -> tuple[float, float, float]:
    """Five ridges under an evening sky and a low sun."""
    colour = mix((0.16, 0.20, 0.42), (0.98, 0.68, 0.45), y * 1.7)
    sun = math.hypot(x - 0.68, (y - 0.42) * 0.67)
    colour = mix((1.0, 0.93, 0.78), colour, (sun - 0.075) * 60)
    for ridge in range(5):
        line = 0.50 + 0.09 * ridge + 0.05 * math.sin(3.1 * x * (1 + 0.35 * ridge) * 2 + ridge * 1.9)
        if y > line:
            colour = mix(mix((0.86, 0.47, 0.36), (0.20, 0.10, 0.20), ridge / 4), (0.10, 0.06, 0.13), (y - line) * 1.2)
    return colour


def orbit(x: float, y: float) -> tuple[float, float, float]:
    """Rings around a point off the middle, in bands of few colours (a PNG stays small)."""
    r = math.hypot(x - 0.42, y - 0.46)
    turn = math.atan2(y - 0.46, x - 0.42)
    band = int(r * 16 + 1.2 * math.sin(turn * 3 + r * 9))
    palette = ((0.07, 0.09, 0.18), (0.13, 0.36, 0.48), (0.93, 0.79, 0.49), (0.85, 0.38, 0.31), (0.95, 0.94, 0.88))
    return palette[band % 5] if r > 0.035 else (0.95, 0.94, 0.88)


def tide(x: float, y: float) -> tuple[float, float, float]:
    """Two waves that meet."""
    wave_height = math.sin(14 * x + 5 * math.sin(3 * y)) + math.sin(11 * y + 4 * math.sin(5 * x))
    return mix((0.02, 0.14, 0.24), mix((0.10, 0.55, 0.60), (0.93, 0.98, 0.94), wave_height / 2), (wave_height + 2) / 3)


def draw(folder: Path) -> None:
    paint(640, 427, dunes).save(folder / "dunes.jpg", quality=84, optimize=True)
    paint(480, 480, orbit).quantize(8).save(folder / "orbit.png", optimize=True)
    paint(480, 320, tide).save(folder / "tide.webp", quality=70, method=6)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for piece in PIECES:
            record(piece, folder, Path(scratch))
    draw(folder)
    shutil.copyfile(folder / "night-ferry.mp3", folder / "night-ferry (copy).mp3")
    # The head of a FLAC file and then noise: the signature is right, and nothing behind it can be read.
    noise = bytes((i * i * 31 + i * 7) % 251 for i in range(3000))
    (folder / "broken-tape.flac").write_bytes(b"fLaC" + noise)


if __name__ == "__main__":
    main()
