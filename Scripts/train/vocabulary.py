"""Writes streamflow-vocabulary.json, the words that the starter was trained on:

    python Scripts/train/vocabulary.py Sources/FlowModels/Resources/starter/streamflow-vocabulary.json

Needs what `glyphs.py` needs (README.md), and Debian's wamerican-small (SCOWL): words that are near a known word in
spelling and mean something else, which are no typing errors. One line per glyph: its name, then its other names and keywords.
"""

import json
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


def other_words(known):
    """Words of the language, unknown here, that a correction of typing errors would take for a known one."""
    known = {word for word in known if word.isascii()}
    letters = {word: sum(1 << (ord(letter) - 97) for letter in set(word) if letter.isalpha()) for word in known}
    with open(DICTIONARY) as file:
        words = sorted({line.strip().lower() for line in file if line.strip().isascii() and line.strip().isalpha()} - known)
    found = []
    for word in words:
        if not 3 <= len(word) <= 14:
            continue
        limit = 1 if len(word) <= 6 else 2 if len(word) <= 9 else 3
        own = sum(1 << (ord(letter) - 97) for letter in set(word))
        for other, theirs in letters.items():
            most = limit if other[0] == word[0] else 1
            if abs(len(word) - len(other)) <= most and (own ^ theirs).bit_count() <= 2 * most and distance(word, other) <= most:
                found.append(word)
                break
    return found


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
