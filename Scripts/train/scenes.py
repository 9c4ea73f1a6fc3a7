"""The data: scenes of one to four glyphs on a background, their captions, and the noise that stands for what a caption leaves open.

A scene is drawn from two sources: the caption's words, and K numbers z of the standard normal distribution, which give
what the words leave open (position, upright or leaning, hue, shade, gradient, an open background). The
same numbers are entries of the noise that the sample begins with (`couple`). So the noise stays standard normal, each
image has noise of its own, and the flow between the two is nearly straight, as reflow (Liu et al., arXiv:2209.03003)
would make it, without a model to make the pairs.
"""

import math
import random
from dataclasses import dataclass, field

import torch

import glyphs as data

SIDE = 128  # of an image, in pixels
CELLS = 8  # a patch of 16 pixels: positions of things differ by whole patches, so that one is copied, not drawn anew
K = 13  # numbers of a scene
X, Y, LEAN, LEAN2, HUE, SHADE, GRADIENT_X, GRADIENT_Y, OPEN_A, OPEN_B, OPEN_C, SCENE_A, SCENE_B = range(K)
SLOTS = 4
VARIANTS = 2  # of a thing: upright, leaning
LEANING = 0.22  # radians
LEANING_SIZE = 0.84  # a leaning thing is smaller
SHADOWS = (0.24, 0.1)  # of upright and leaning things
BASE = {1: 0.74, 2: 0.47, 3: 0.42, 4: 0.4}  # the size of each of 1 to 4 things, in sides of the image
SIZES = {"": 0.0, "tiny": -0.5, "small": -0.34, "big": 0.16, "huge": 0.26}  # added to the base
SIZE_WORDS = {
    "tiny": ["tiny", "very small", "teeny"], "small": ["small", "little", "mini"], "big": ["big", "large", "great"],
    "huge": ["huge", "giant", "very big", "close-up of"],
}
PLACES = {
    "": (0, 0), "left": (-1, 0), "right": (1, 0), "top": (0, -1), "bottom": (0, 1),
    "top left": (-1, -1), "top right": (1, -1), "bottom left": (-1, 1), "bottom right": (1, 1),
}
PLACE_WORDS = {
    "left": ["on the left", "at the left", "on the left side"], "right": ["on the right", "at the right", "on the right side"],
    "top": ["at the top", "at the upper edge"], "bottom": ["at the bottom", "at the lower edge"],
    "top left": ["in the top left corner", "top left", "in the upper left", "in the corner"],
    "top right": ["in the top right corner", "top right", "in the upper right"],
    "bottom left": ["in the bottom left corner", "bottom left", "in the lower left"],
    "bottom right": ["in the bottom right corner", "bottom right", "in the lower right"],
}
COUNTS = {2: ["two", "2", "a pair of"], 3: ["three", "3"], 4: ["four", "4"]}
RELATIONS = {
    "left": ["{a} left of {b}", "{a} to the left of {b}", "{b} right of {a}", "{b} to the right of {a}", "{a} and {b}",
             "{a} and {b}", "{a} with {b}", "{a} next to {b}", "{a} beside {b}"],
    "above": ["{a} above {b}", "{a} over {b}", "{b} below {a}", "{b} under {a}", "{a} on top of {b}"],
}
BACKDROPS = ["plain", "stripes", "dots", "sky", "grass", "night", "sea", "sunset"]
SCENE_WORDS = {
    "sky": ["in the sky", "on a sky background", "in a blue sky", "flying in the sky"],
    "grass": ["on grass", "on the grass", "in the grass", "in a meadow", "on a grass background"],
    "night": ["at night", "in the night", "under the stars", "on a night background", "in space"],
    "sea": ["in the sea", "on a sea background", "on the sea", "in the water", "in the ocean", "under water"],
    "sunset": ["at sunset", "in the sunset", "on a sunset background", "in the evening"],
}
STYLES = ["", "pixel", "outline", "gray"]
STYLE_WORDS = {
    "pixel": ["pixel art {}", "{} as pixel art", "pixelated {}", "{}, pixel style"],
    "outline": ["outline of {}", "line drawing of {}", "sketch of {}", "{}, outline style"],
    "gray": ["black and white {}", "gray {}", "grayscale {}", "{} in black and white"],
}


@dataclass
class Scene:
    """What a caption says; what it leaves open is None or ''."""
    glyphs: list[int] = field(default_factory=list)
    size: str = ""
    place: str = ""
    relation: str = ""  # of two: left, above
    upside_down: bool = False
    style: str = ""
    backdrop: str = ""  # '' is open
    color: int | None = None  # of plain, stripes and dots


def scene(count_of_glyphs, rng=random):
    """A scene as people ask for them."""
    made, kind = Scene(), rng.random()
    pick = lambda: rng.randrange(count_of_glyphs)
    if kind < 0.62:
        made.glyphs = [pick()]
        if rng.random() < 0.28:
            made.size = rng.choice(list(SIZES)[1:])
        if rng.random() < 0.2:
            made.place = rng.choice(list(PLACES)[1:])
        made.upside_down = rng.random() < 0.05
        if rng.random() < 0.12:
            made.style = rng.choice(STYLES[1:])
    elif kind < 0.86:
        made.glyphs = [pick(), pick()]
        made.relation = "left" if rng.random() < 0.7 else "above"
    elif kind < 0.96:
        made.glyphs = [pick()] * rng.choice([2, 3, 3, 4])
        made.relation = "row"
    set_backdrop(made, rng)
    return made


def set_backdrop(made, rng):
    kind = rng.random()
    if kind < 0.15:
        return
    made.backdrop = "plain" if kind < 0.69 else rng.choice(BACKDROPS[1:])
    if made.backdrop in ("plain", "stripes", "dots"):
        made.color = rng.randrange(len(data.COLORS))


def is_held_out(made):
    """One pair of things or of thing and colour in ten is never trained on."""
    if len(made.glyphs) == 2 and made.relation != "row":
        return (made.glyphs[0] * 7 + made.glyphs[1] * 3) % 10 == 0
    return bool(made.glyphs) and made.color is not None and data.is_held_out(made.glyphs[0], made.color)


# Drawing, a batch at a time


def normal_to_uniform(z):
    return 0.5 * (1 + torch.erf(z / math.sqrt(2)))


def spread(z, width):
    """Evenly from -width to width."""
    return (2 * normal_to_uniform(z) - 1) * width


def leans(z, second=False):
    return bool(z[LEAN2 if second else LEAN] >= 0)


def steps(number, room):
    """A whole number of patches from -room to room."""
    return min(2 * room, int(normal_to_uniform(number).item() * (2 * room + 1))) - room


def move(made, z):
    """By how many patches the numbers move a scene's things, all of them together: (dx, dy)."""
    if len(made.glyphs) == 1:
        dx, dy = PLACES[made.place]
        free = 0 if made.size in ("big", "huge") else 1
        return 0 if dx else steps(z[X], free), 0 if dy else steps(z[Y], free)
    return steps(z[X], int(made.relation == "above")), steps(z[Y], int(made.relation == "left"))


def middles(made):
    """Where a caption alone puts the middle of each thing, in sides of the image."""
    total = len(made.glyphs)
    if total == 1:
        size = BASE[1] + SIZES[made.size] * BASE[1]
        reach = (2 if size >= 0.65 else 4 if size < 0.5 else 3) / (2 * CELLS)
        dx, dy = PLACES[made.place]
        return [(0.5 + dx * reach, 0.5 + dy * reach)]
    if made.relation == "left":
        return [(0.25, 0.5), (0.75, 0.5)]
    if made.relation == "above":
        return [(0.5, 0.25), (0.5, 0.75)]
    around = {2: [(-.25, 0), (.25, 0)], 3: [(-.25, .22), (.25, .22), (0, -.24)],
              4: [(-.25, -.25), (.25, -.25), (-.25, .25), (.25, .25)]}[total]
    return [(0.5 + x, 0.5 + y) for x, y in around]


def turns(made, z):
    """Whether each of a scene's things leans."""
    two = made.relation in ("left", "above")
    return [leans(z, two and slot == 1) for slot in range(len(made.glyphs))]


def layout(scenes, z):
    """Of each scene's up to four things: glyph (-1: none), x, y, size in sides of the image, tilt in radians."""
    count = len(scenes)
    index = torch.full((count, SLOTS), -1, dtype=torch.long)
    place = torch.zeros(count, SLOTS, 4)
    for row, made in enumerate(scenes):
        total = len(made.glyphs)
        if not total:
            continue
        index[row, :total] = torch.tensor(made.glyphs)
        size = BASE[total] + (SIZES[made.size] * BASE[1] if total == 1 else 0)
        values, (dx, dy) = [], move(made, z[row])
        for (x, y), lean in zip(middles(made), turns(made, z[row])):
            values.append((x + dx / CELLS, y + dy / CELLS, size * (LEANING_SIZE if lean else 1),
                           LEANING * lean + (math.pi if made.upside_down else 0.0)))
        place[row, :total] = torch.tensor(values)
    return index, place


def owner(made):
    """Which thing each patch of an image belongs to: (CELLS, CELLS)."""
    line = torch.arange(CELLS) >= CELLS // 2
    lower, right = torch.meshgrid(line, line, indexing="ij")
    lower, right, total = lower.long(), right.long(), len(made.glyphs)
    if made.relation == "left" or total == 2 and made.relation == "row":
        return right
    if made.relation == "above":
        return lower
    return {3: torch.where(lower == 1, right, 2), 4: 2 * lower + right}.get(total, torch.zeros_like(lower))


def patches_seen(scenes, z):
    """Which patch of which variant's plain arrangement each of the image's patches shows: (count, patches)."""
    line = torch.arange(CELLS)
    row_of, column_of = torch.meshgrid(line, line, indexing="ij")
    seen = torch.zeros(len(scenes), CELLS * CELLS, dtype=torch.long)
    for index, made in enumerate(scenes):
        (dx, dy), whose, kind = move(made, z[index]), owner(made), torch.zeros_like(row_of)
        for slot, lean in enumerate(turns(made, z[index])):
            kind[whose == slot] = int(lean)
        y, x = row_of - dy, column_of - dx
        seen[index] = (kind * CELLS * CELLS + y.clamp(0, CELLS - 1) * CELLS + x.clamp(0, CELLS - 1)).flatten()
    return seen


# The noise that stands for the numbers: all channels of the four corners, in the order of reading


def corners(channels, side):
    """Where the K numbers are in a latent, as (channel, row, column)."""
    return [(number % channels, *((0, 0), (0, side - 1), (side - 1, 0), (side - 1, side - 1))[number // channels])
            for number in range(K)]


def couple(noise, z):
    """Noise whose entries at the corners are z."""
    made = noise.clone()
    for number, (channel, row, column) in enumerate(corners(*noise.shape[1:3])):
        made[:, channel, row, column] = z[:, number]
    return made


def numbers(noise):
    """The z of noise."""
    return torch.stack([noise[:, channel, row, column] for channel, row, column in corners(*noise.shape[1:3])], 1)
