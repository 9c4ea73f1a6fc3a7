"""Captions of scenes, as people type them: names, synonyms, plurals, word order, capitals, typing errors."""

import random

import glyphs as data
import scenes
from glyphs import article

LETTERS = "abcdefghijklmnopqrstuvwxyz"
IRREGULAR = {"mouse": "mice", "sheep": "sheep", "fish": "fish", "leaf": "leaves", "wolf": "wolves", "goose": "geese",
             "tooth": "teeth", "foot": "feet", "man": "men", "woman": "women", "person": "people", "child": "children",
             "deer": "deer", "shrimp": "shrimp", "sushi": "sushi", "knife": "knives", "loaf": "loaves", "ox": "oxen"}
FILLERS = ["cute {}", "nice {}", "funny {}", "picture of {}", "photo of {}", "drawing of {}", "image of {}", "emoji of {}",
           "icon of {}", "a picture of {}", "an image of {}", "beautiful {}", "colorful {}"]


def plural(phrase):
    head, _, last = phrase.rpartition(" ")
    if " of " in phrase:  # slices of pizza
        first, rest = phrase.split(" of ", 1)
        return f"{plural(first)} of {rest}"
    if last in IRREGULAR:
        last = IRREGULAR[last]
    elif last.endswith(("s", "x", "ch", "sh", "z")):
        last += "" if last.endswith("s") and not last.endswith("ss") else "es"
    elif last.endswith("y") and last[-2:-1] not in "aeiou":
        last = last[:-1] + "ies"
    else:
        last += "s"
    return f"{head} {last}".strip()


def mistyped(phrase, rng):
    """One typing error in the longest words: a letter left out, doubled, exchanged with its neighbour, or another."""
    words = phrase.split()
    places = [index for index, word in enumerate(words) if len(word) > 3]
    if not places:
        return phrase
    index = rng.choice(places)
    word, at, kind = words[index], rng.randrange(1, len(words[index])), rng.random()
    if kind < 0.3:
        word = word[:at] + word[at + 1:]
    elif kind < 0.5:
        word = word[:at] + word[at - 1] + word[at:]
    elif kind < 0.8:
        word = word[:at - 1] + word[at] + word[at - 1] + word[at + 1:]
    else:
        word = word[:at] + rng.choice(LETTERS) + word[at + 1:]
    words[index] = word
    return " ".join(words)


def name(glyph, rng):
    kind = rng.random()
    if kind < 0.62:
        return glyph.names[0]
    if kind < 0.82 or not glyph.keywords:
        return rng.choice(glyph.names)
    return rng.choice(glyph.keywords)


def backdrop(made, rng):
    if made.backdrop in scenes.SCENE_WORDS:
        return rng.choice(scenes.SCENE_WORDS[made.backdrop])
    color = data.COLOR_NAMES[made.color]
    color = "grey" if color == "gray" and rng.random() < 0.3 else color
    if made.backdrop == "plain":
        return rng.choice([f"on a {color} background"] * 5 + [
            f"on {article(color)} background", f"on {color}", f"on {color}", f"{color} background",
            f"in front of a {color} background", f"with a {color} background"])
    return rng.choice([f"on {color} {made.backdrop}", f"on a {color} background with {made.backdrop}",
                       f"with {color} {made.backdrop}", f"on {article(color)} {made.backdrop[:-1]}ed background"
                       if made.backdrop == "stripes" else f"on {article(color)} dotted background"])


def caption(made, glyphs, unknown, rng=random, typing=True):
    """A caption of the scene; one without glyphs is asked for by a word that nothing is known of."""
    if not made.glyphs:
        phrase = rng.choice(unknown) if rng.random() < 0.5 else data.nonsense(rng)
        phrase = article(phrase) if rng.random() < 0.4 else phrase
    elif len(made.glyphs) == 1:
        phrase = single(made, name(glyphs[made.glyphs[0]], rng), rng)
    elif made.relation == "row":
        many = plural(name(glyphs[made.glyphs[0]], rng))
        phrase = f"{rng.choice(scenes.COUNTS[len(made.glyphs)])} {many}"
    else:
        first, second = (name(glyphs[index], rng) for index in made.glyphs)
        if rng.random() < 0.85:
            first, second = article(first), article(second)
        phrase = rng.choice(scenes.RELATIONS[made.relation]).format(a=first, b=second)
    if made.backdrop:
        words = backdrop(made, rng)
        phrase = f"{words}, {phrase}" if words.startswith(("on", "in", "at", "under")) and rng.random() < 0.04 else f"{phrase} {words}"
    kind = rng.random() if typing else 1
    if kind < 0.14:
        phrase = mistyped(phrase, rng)
    elif kind < 0.18:
        phrase = f"{phrase} {data.nonsense(rng)}"
    elif kind < 0.22:
        phrase += rng.choice([".", "!", ", please", ", high quality", ", detailed"])
    return phrase


def single(made, phrase, rng):
    if made.size:
        phrase = f"{rng.choice(scenes.SIZE_WORDS[made.size])} {phrase}"
    if made.upside_down and rng.random() < 0.4:
        phrase = f"upside down {phrase}"
        told = True
    else:
        told = not made.upside_down
    kind = rng.random()
    if kind < 0.55:
        phrase = article(phrase)
    elif kind < 0.62:
        phrase = f"{rng.choice(['the', 'one', 'my'])} {phrase}"
    elif kind < 0.72:
        phrase = rng.choice(FILLERS).format(article(phrase) if rng.random() < 0.5 else phrase)
    if made.style:
        phrase = rng.choice(scenes.STYLE_WORDS[made.style]).format(phrase)
    if not told:
        phrase = f"{phrase} {rng.choice(['upside down', 'turned upside down', 'standing on its head'])}"
    if made.place:
        phrase = f"{phrase} {rng.choice(scenes.PLACE_WORDS[made.place])}"
    return phrase
