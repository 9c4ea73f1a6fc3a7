"""The glyphs of Noto Color Emoji, their names and keywords, and the named colours."""

import os
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


def nonsense(rng):
    """A word that means nothing."""
    syllable = lambda: rng.choice("bcdfghjklmnprstvwz") + rng.choice("aeiou") + rng.choice(["", *"lmnrstkxp"])
    return "".join(syllable() for _ in range(rng.randint(1, 3)))
