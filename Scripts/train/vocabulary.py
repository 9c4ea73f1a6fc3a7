"""Writes streamflow-vocabulary.json, the words that the starter was trained on:

    python Scripts/train/vocabulary.py Sources/FlowModels/Resources/starter/streamflow-vocabulary.json

Needs what `glyphs.py` needs (README.md). One line per glyph: its name, then its other names and keywords.
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
    return {
        "template": "{subject} on a {background} background",
        "sizes": [f"{scenes.SIDE}x{scenes.SIDE}"],
        "backgrounds": data.COLOR_NAMES + list(scenes.SCENE_WORDS),
        "ignored": sorted(known | set(FUNCTION_WORDS) | {"background"}),
        "subjects": subjects,
    }


def main():
    found = vocabulary(data.load())
    lines = [f' {json.dumps(key)}: {json.dumps(found[key])},' for key in ("template", "sizes", "backgrounds", "ignored")]
    rows = ",\n".join(f"  {json.dumps(subject)}" for subject in found["subjects"])
    with open(sys.argv[1], "w") as file:
        file.write("{\n" + "\n".join(lines) + f'\n "subjects": [\n{rows}\n ]\n}}\n')


if __name__ == "__main__":
    main()
