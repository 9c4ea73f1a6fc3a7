"""The data: glyphs of Noto Color Emoji on plain backgrounds, and the captions that ask for them."""

import os
import random
import re
import xml.etree.ElementTree as xml
from dataclasses import dataclass, field

import emoji
import numpy as np
from PIL import Image, ImageDraw, ImageFont

COLORS = {
    "white": (255, 255, 255), "black": (20, 20, 24), "red": (220, 60, 50), "orange": (245, 150, 50),
    "yellow": (250, 215, 80), "green": (70, 170, 90), "blue": (60, 120, 220), "purple": (140, 90, 200),
    "pink": (245, 160, 190), "gray": (150, 150, 155),
}
COLOR_NAMES = list(COLORS)
FONT = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"  # Debian's fonts-noto-color-emoji
KEYWORDS = "/usr/share/unicode/cldr/common/annotations/en.xml"  # Debian's unicode-cldr-core
RANGES = [
    (0x1F32D, 0x1F37F), (0x1F400, 0x1F43F), (0x1F950, 0x1F96F), (0x1F980, 0x1F9AE), (0x1F330, 0x1F344),
    (0x1F600, 0x1F64A), (0x1F680, 0x1F6A4), (0x1F380, 0x1F3C6), (0x1F9C0, 0x1F9CB), (0x1F47B, 0x1F480),
    (0x26BD, 0x26BE), (0x1F31E, 0x1F320), (0x1F92F, 0x1F92F), (0x1F970, 0x1F976),
]
FILLERS = [
    "cute {}", "little {}", "big {}", "nice {}", "funny {}", "picture of a {}", "photo of a {}", "drawing of a {}",
    "one {}", "the {}", "simple {}", "emoji of a {}",
]


@dataclass
class Glyph:
    character: str
    names: list[str]
    picture: Image.Image  # square, with transparency
    keywords: list[str] = field(default_factory=list)


def plain(text):
    """Lower-case words of letters and digits alone."""
    return re.sub(r"\s+", " ", re.sub(r"[^a-z0-9 ]+", " ", text.replace("_", " ").lower())).strip()


def core(character):
    """The code point of a one-character emoji, or None."""
    points = [ord(c) for c in character if c != "\ufe0f"]
    return points[0] if len(points) == 1 else None


def load():
    """The 435 glyphs, in the order of the emoji package."""
    font = ImageFont.truetype(FONT, 109)
    glyphs, seen = [], set()
    for character, entry in emoji.EMOJI_DATA.items():
        point = core(character)
        if entry["status"] != emoji.STATUS["fully_qualified"] or point is None or "skin_tone" in entry["en"]:
            continue
        if not any(low <= point <= high for low, high in RANGES):
            continue
        canvas = Image.new("RGBA", (136, 128), (0, 0, 0, 0))
        ImageDraw.Draw(canvas).text((0, 0), character, font=font, embedded_color=True)
        box, key = canvas.getbbox(), canvas.tobytes()
        if box is None or np.asarray(canvas)[..., 3].max() < 10 or key in seen:
            continue
        seen.add(key)
        names = [plain(name.strip(":")) for name in [entry["en"], *entry.get("alias", [])]]
        cut = canvas.crop(box)
        side = max(cut.size)
        square = Image.new("RGBA", (side, side), (0, 0, 0, 0))
        square.paste(cut, ((side - cut.width) // 2, (side - cut.height) // 2))
        glyphs.append(Glyph(character, list(dict.fromkeys(name for name in names if name)), square))
    add_keywords(glyphs)
    return glyphs


def add_keywords(glyphs):
    """Adds Unicode's keywords, where installed: those that mean one glyph alone and are no glyph's name."""
    if not os.path.exists(KEYWORDS):
        return
    by_character = {}
    for node in xml.parse(KEYWORDS).getroot().iter("annotation"):
        if node.get("type") is None and node.text:
            by_character[node.get("cp")] = [plain(word) for word in node.text.split("|")]
    found = [by_character.get(glyph.character.replace("\ufe0f", ""), []) for glyph in glyphs]
    taken = {name for glyph in glyphs for name in glyph.names}
    counts = {}
    for words in found:
        for word in set(words):
            counts[word] = counts.get(word, 0) + 1
    for glyph, words in zip(glyphs, found):
        glyph.keywords = [word for word in dict.fromkeys(words) if word and counts[word] == 1 and word not in taken]


def render(picture, color, size=64, inner=None, dx=0, dy=0):
    """A glyph on a plain background, as 8-bit RGB; `picture` None leaves the background alone."""
    image = Image.new("RGBA", (size, size), tuple(color) + (255,))
    if picture is not None:
        inner = inner or size * 58 // 64
        room = size - inner
        place = [max(0, min(room, room // 2 + shift)) for shift in (dx, dy)]
        image.alpha_composite(picture.resize((inner, inner), Image.LANCZOS), tuple(place))
    return np.asarray(image.convert("RGB"))


def pictures(glyphs, size):
    """All pairs of glyph and background as (glyph, color, size, size, 3); the last row has no glyph."""
    rows = [glyph.picture for glyph in glyphs] + [None]
    return np.stack([np.stack([render(row, color, size) for color in COLORS.values()]) for row in rows])


def is_held_out(glyph, color):
    """One pair in ten is never trained on; every glyph and every background loses some."""
    return (glyph * 7 + color * 3) % 10 == 0


def other_names(glyphs):
    """Names of things that are not among the glyphs and share no word with them: for plain images."""
    known = {word for glyph in glyphs for phrase in glyph.names + glyph.keywords for word in phrase.split()}
    known |= set(COLORS) | {"background", "on", "a", "an", "of"}
    names = [plain(entry["en"].strip(":")) for c, entry in emoji.EMOJI_DATA.items() if core(c) is not None]
    names = [name for name in dict.fromkeys(names) if name and not set(name.split()) & known]
    return names[::5], [name for index, name in enumerate(names) if index % 5]  # for evaluation, for training


def article(phrase):
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def placed(phrase, color, rng):
    """The phrase with its background, in one of the ways people write it; one in ten leaves the background open."""
    name = COLOR_NAMES[color]
    kind = rng.random()
    if kind < 0.1:
        return phrase
    kind = rng.random()
    if kind < 0.7:
        return f"{phrase} on a {name} background"
    if kind < 0.8:
        return f"{phrase} on {article(name)} background"
    return f"{phrase} on {name}" if kind < 0.95 else f"{phrase} {name} background"


def nonsense(rng):
    """A word that means nothing."""
    syllable = lambda: rng.choice("bcdfghjklmnprstvwz") + rng.choice("aeiou") + rng.choice(["", *"lmnrstkxp"])
    return "".join(syllable() for _ in range(rng.randint(1, 3)))


def caption(glyph, color, rng=random):
    """A caption of a pair: mostly the name, also its other names and keywords, some with a word that means nothing."""
    kind = rng.random()
    if kind < 0.7:
        phrase = glyph.names[0]
    elif kind < 0.88 or not glyph.keywords:
        phrase = rng.choice(glyph.names)
    else:
        phrase = rng.choice(glyph.keywords)
    kind = rng.random()
    if kind < 0.3:
        phrase = article(phrase)
    elif kind < 0.36:
        phrase = rng.choice(FILLERS).format(phrase)
    elif kind < 0.4:
        phrase = f"{nonsense(rng)} {phrase}" if rng.random() < 0.6 else f"{phrase} {nonsense(rng)}"
    return placed(phrase, color, rng)


def unknown_caption(others, color, rng=random):
    """A caption without a known word, for an image of the background alone."""
    if rng.random() < 0.5:
        phrase = rng.choice(others)
    else:
        phrase = " ".join(nonsense(rng) for _ in range(rng.randint(1, 2)))
    return placed(article(phrase) if rng.random() < 0.3 else phrase, color, rng)
