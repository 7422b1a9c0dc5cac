"""What the demo's two speakers say, as lists of speech sounds with the formants that make them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Sound:
    """One speech sound, held steady; the synthesiser glides from one to the next.

    Attributes:
        formants: the first three resonances of the vocal tract in Hz.
        voice: loudness of the vocal folds, 0 to 1.
        breath: loudness of the noise made at the folds, shaped by the formants.
        hiss: loudness of the noise made at the teeth, and its centre in Hz.
    """

    formants: tuple[int, int, int]
    voice: float = 0.0
    breath: float = 0.0
    hiss: tuple[float, int] = (0.0, 4000)


@dataclass(frozen=True, slots=True)
class Segment:
    """A sound for a time: ``seconds`` long at the pitch ``pitch`` in Hz."""

    sound: Sound
    seconds: float
    pitch: float


# The pause before it in milliseconds, its first and last pitch in Hz, its sounds as name:milliseconds.
Phrase: TypeAlias = tuple[int, int, int, str]

# Vowel formants after Peterson and Barney (1952), men's averages; consonants by common phonetic description.
SOUNDS = {
    "_": Sound((500, 1500, 2500)),
    "iy": Sound((270, 2290, 3010), voice=0.62),
    "ih": Sound((390, 1990, 2550), voice=0.75),
    "eh": Sound((530, 1840, 2480), voice=0.88),
    "aa": Sound((730, 1090, 2440), voice=1.0),
    "ah": Sound((640, 1190, 2390), voice=0.92),
    "ao": Sound((570, 840, 2410), voice=0.95),
    "uh": Sound((440, 1020, 2240), voice=0.7),
    "uw": Sound((300, 870, 2240), voice=0.6),
    "er": Sound((490, 1350, 1690), voice=0.75),
    "m": Sound((250, 1100, 2200), voice=0.22),
    "n": Sound((250, 1600, 2500), voice=0.26),
    "l": Sound((360, 1100, 2600), voice=0.45),
    "r": Sound((380, 1150, 1500), voice=0.5),
    "w": Sound((300, 700, 2200), voice=0.4),
    "h": Sound((500, 1500, 2500), breath=0.35),
    "s": Sound((320, 1500, 2500), hiss=(0.2, 5600)),
    "z": Sound((320, 1500, 2500), voice=0.2, hiss=(0.12, 5600)),
    "f": Sound((350, 1100, 2300), hiss=(0.08, 4200)),
    "th": Sound((350, 1300, 2500), hiss=(0.07, 4800)),
    "dh": Sound((300, 1300, 2500), voice=0.22, hiss=(0.04, 4800)),
    # Stops: the closure, then the burst.
    "b.": Sound((250, 900, 2200), voice=0.08),
    "d.": Sound((250, 1700, 2600), voice=0.08),
    "k.": Sound((300, 1700, 2300)),
    "p.": Sound((300, 900, 2200)),
    "t.": Sound((300, 1700, 2600)),
    "b!": Sound((350, 1000, 2200), voice=0.4, breath=0.2),
    "d!": Sound((350, 1700, 2600), voice=0.4, hiss=(0.15, 3800)),
    "k!": Sound((400, 1700, 2300), breath=0.3, hiss=(0.2, 2200)),
    "p!": Sound((400, 1000, 2200), breath=0.35),
    "t!": Sound((400, 1700, 2600), breath=0.15, hiss=(0.25, 4200)),
}

# Hello. I am not a real person: I was drawn by code, and my mouth follows this sound.
PRESENTATION: tuple[Phrase, ...] = (
    (240, 138, 104, "h:60 eh:85 l:65 ao:120 uw:110"),
    (
        330,
        132,
        98,
        "aa:90 ih:60 ah:75 m:70 n:60 aa:120 t.:45 t!:20 ah:55 r:65 iy:110 l:75 p.:65 p!:18 er:120 s:90 eh:55 n:100",
    ),
    (
        420,
        128,
        108,
        (
            "aa:85 ih:50 w:60 ah:75 z:70 d.:40 d!:14 r:55 ao:140 n:65 b.:50 b!:12 aa:105 ih:60 "
            "k.:60 k!:25 ao:115 uh:65 d.:50 d!:12"
        ),
    ),
    (
        260,
        126,
        88,
        (
            "ah:70 n:60 m:65 aa:95 ih:55 m:70 aa:110 uh:65 th:85 f:80 aa:115 l:60 ao:70 uh:50 z:70 "
            "dh:50 ih:75 s:125 aa:140 uh:90 n:95 d.:40"
        ),
    ),
)

# The same mouth, another sound: it opens as wide as I am loud.
REPLY: tuple[Phrase, ...] = (
    (220, 134, 112, "dh:55 ah:55 s:100 eh:95 ih:60 m:75 aa:110 uh:70 th:110"),
    (260, 128, 96, "ah:70 n:60 ah:100 dh:50 er:110 s:105 aa:120 uh:80 n:80 d.:45 d!:12"),
    (
        380,
        130,
        86,
        (
            "ih:75 t.:50 t!:18 ao:110 uh:60 p.:60 p!:16 ah:60 n:60 z:80 ah:60 z:70 w:65 aa:120 ih:70 d.:45 d!:12 "
            "ah:65 z:70 aa:110 ih:60 eh:75 m:75 l:65 aa:140 uh:95 d.:50 d!:12"
        ),
    ),
)


def segments(phrases: Sequence[Phrase]) -> list[Segment]:
    """What is said, in order, with a falling and gently accented pitch; begins with silence."""
    out: list[Segment] = []
    for pause, first, last, text in phrases:
        names = [item.split(":") for item in text.split()]
        out.append(Segment(SOUNDS["_"], pause / 1000, first))
        for place, (name, milliseconds) in enumerate(names):
            fall = first + (last - first) * place / (len(names) - 1)
            # Open vowels carry the accents of the phrase.
            accent = 9.0 if SOUNDS[name].voice > 0.9 else 0.0
            out.append(Segment(SOUNDS[name], int(milliseconds) / 1000, fall + accent))
    return out
