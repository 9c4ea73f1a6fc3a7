"""Writes streamflow-vocabulary.json, the words that the starter was trained on:

    python Scripts/train/vocabulary.py Sources/FlowModels/Resources/starter/streamflow-vocabulary.json

Needs what `glyphs.py` needs (README.md), and Debian's wamerican-small (SCOWL): words that are near a known word in
spelling and mean something else, which are no typing errors. One line per glyph: its name, then its other names and keywords.
"""

import functools
import json
import re
import sys

import captions
import glyphs as data
import scenes

# Words without an image of their own. A prompt may contain them; the model was not trained to draw them.
FUNCTION_WORDS = (
    "a an and are as at be been but by for from has have he her his i in into is it its my near no of off on onto or our "
    "over she so some that the their them then there these they this those to under upon was we were with without you your"
).split()

DICTIONARY = "/usr/share/dict/american-english-small"


def distance(left, right):
    """Insertions, deletions, substitutions and swaps of neighbors."""
    before, last = None, list(range(len(right) + 1))
    for row, letter in enumerate(left):
        made = [row + 1]
        for column, other in enumerate(right):
            cost = min(last[column + 1] + 1, made[column] + 1, last[column] + (letter != other))
            if row and column and letter == right[column - 1] and left[row - 1] == other:
                cost = min(cost, before[column - 1] + 1)
            made.append(cost)
        before, last = last, made
    return last[-1]


@functools.cache
def sound(word):
    for written, heard in (("ph", "f"), ("ck", "k"), ("ks", "x"), ("cs", "x"), ("qu", "kw"), ("ce", "se"), ("ci", "si"),
                           ("c", "k"), ("z", "s"), ("y", "i")):
        word = word.replace(written, heard)
    return re.sub(r"(.)\1+", r"\1", word)


@functools.cache
def letters(word):
    return frozenset(word)


def is_near(word, other):
    """Whether a correction would take one word for the other: the rule of the program (Spelling.swift)."""
    same = word[0] == other[0] or word[:2] == other[1::-1]
    limit = (2 if len(word) <= 6 else 4 if len(word) <= 9 else 6) if same else 2 if len(word) >= 5 else 1
    for left, right, extra in ((word, other, 0), (sound(word), sound(other), 1)):
        most = (limit - extra) // 2
        if abs(len(left) - len(right)) <= most and len(letters(left) ^ letters(right)) <= 2 * most and distance(left, right) <= most:
            return True
    return False


def other_words(known):
    """Words of the language, unknown here, that a correction of typing errors would take for a known one."""
    known = sorted(word for word in known if word.isascii())
    with open(DICTIONARY) as file:
        words = sorted({line.strip().lower() for line in file if line.strip().isascii() and line.strip().isalpha()} - set(known))
    return [word for word in words if 3 <= len(word) <= 40 and any(is_near(word, other) for other in known)]


def vocabulary(glyphs):
    taken, subjects = {name for glyph in glyphs for name in glyph.names + glyph.keywords}, []
    for glyph in glyphs:
        names = list(dict.fromkeys(glyph.names + glyph.keywords))
        plurals = [captions.plural(name) for name in names]
        subjects.append(names + [name for name in dict.fromkeys(plurals) if name not in taken])
        taken.update(plurals)
    assert len({subject[0] for subject in subjects}) == len(subjects), "two glyphs have the same name"
    phrases = [*captions.FILLERS, *(word for words in scenes.SIZE_WORDS.values() for word in words),
               *(word for words in scenes.PLACE_WORDS.values() for word in words),
               *(word for words in scenes.COUNTS.values() for word in words),
               *(word for words in scenes.RELATIONS.values() for word in words),
               *(word for words in scenes.SCENE_WORDS.values() for word in words),
               *(word for words in scenes.STYLE_WORDS.values() for word in words),
               "upside down turned standing on its head", "the one my", "grey stripes dots striped dotted with front"]
    known = {word for phrase in phrases for word in data.plain(phrase.replace("{a}", "").replace("{b}", "").replace("{}", "")).split()}
    ignored = known | set(FUNCTION_WORDS) | {"background"}
    words = {word for subject in subjects for phrase in subject for word in phrase.split()} | ignored
    return {
        "subjectLimit": 2,
        "correctsSpelling": True,
        "template": "{subject} on a {background} background",
        "sizes": [f"{scenes.SIDE}x{scenes.SIDE}"],
        "backgrounds": data.COLOR_NAMES + list(scenes.SCENE_WORDS),
        "ignored": sorted(ignored),
        "otherWords": other_words({word for word in words if len(word) >= 3} | set(data.COLOR_NAMES) | set(scenes.SCENE_WORDS)),
        "subjects": subjects,
    }


def main():
    found = vocabulary(data.load())
    lines = [f' {json.dumps(key)}: {json.dumps(found[key])},' for key in found if key != "subjects"]
    rows = ",\n".join(f"  {json.dumps(subject)}" for subject in found["subjects"])
    with open(sys.argv[1], "w") as file:
        file.write("{\n" + "\n".join(lines) + f'\n "subjects": [\n{rows}\n ]\n}}\n')


if __name__ == "__main__":
    main()
