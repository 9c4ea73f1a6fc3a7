"""Writes streamflow-vocabulary.json, the words that the starter was trained on:

    python Scripts/train/vocabulary.py Sources/FlowModels/Resources/starter/streamflow-vocabulary.json

Needs what `glyphs.py` needs (README.md). One line per glyph: its name, then its other names and keywords.
"""

import json
import sys

import glyphs as data

# Words without an image of their own. A prompt may contain them; the model was not trained to draw them.
FUNCTION_WORDS = (
    "a an and are as at be been but by for from has have he her his i in into is it its my near no of off on onto or our "
    "over she so some that the their them then there these they this those to under upon was we were with without you your"
).split()


def vocabulary(glyphs):
    subjects = [list(dict.fromkeys(glyph.names + glyph.keywords)) for glyph in glyphs]
    assert len({subject[0] for subject in subjects}) == len(subjects), "two glyphs have the same name"
    fillers = {word for filler in data.FILLERS for word in filler.format("").split()}
    return {
        "template": "{subject} on a {background} background",
        "sizes": ["64x64"],
        "backgrounds": data.COLOR_NAMES,
        "ignored": sorted(fillers | set(FUNCTION_WORDS) | {"background"}),
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
