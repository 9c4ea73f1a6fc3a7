"""Draws scenes: the glyphs where the layout puts them, on backgrounds."""

import math

import torch
import torch.nn.functional as functional

import glyphs as data
from scenes import (
    CELLS, GRADIENT_X, GRADIENT_Y, HUE, OPEN_A, OPEN_B, OPEN_C, SCENE_A, SCENE_B, SHADE, SHADOWS, SIDE, SLOTS,
    layout, normal_to_uniform, spread,
)


class Painter:
    """The glyphs at several sizes, premultiplied, and the backgrounds."""

    def __init__(self, glyphs):
        rows = []
        for glyph in glyphs:
            picture = glyph.picture.resize((SIDE, SIDE), 1)
            rows.append(torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).view(SIDE, SIDE, 4))
        full = torch.stack(rows).permute(0, 3, 1, 2).float() / 255
        full[:, :3] *= full[:, 3:]
        self.levels = [full, functional.avg_pool2d(full, 2), functional.avg_pool2d(full, 4)]
        self.soft = functional.avg_pool2d(full[:, 3:], 16)
        line = (torch.arange(SIDE) + 0.5) / SIDE
        self.y, self.x = torch.meshgrid(line, line, indexing="ij")
        self.colors = torch.tensor(list(data.COLORS.values())).float() / 255
        generator = torch.Generator().manual_seed(5)
        self.stars = torch.rand(26, 3, generator=generator)

    def warp(self, index, place, level=None, offset=(0.0, 0.0)):
        """Things drawn where their places say: (count, 4 or 1, side, side)."""
        count = len(index)
        c, s = torch.cos(place[:, 3]), torch.sin(place[:, 3])
        size = place[:, 2]
        dx, dy = 2 * (place[:, 0] + offset[0]) - 1, 2 * (place[:, 1] + offset[1]) - 1
        matrix = torch.zeros(count, 2, 3)
        matrix[:, 0, 0], matrix[:, 0, 1] = c / size, s / size
        matrix[:, 1, 0], matrix[:, 1, 1] = -s / size, c / size
        matrix[:, :, 2] = -(matrix[:, :, :2] @ torch.stack([dx, dy], 1)[:, :, None])[..., 0]
        grid = functional.affine_grid(matrix, (count, 1, SIDE, SIDE), align_corners=False)
        source = self.levels[level] if level is not None else self.soft
        return functional.grid_sample(source[index], grid, align_corners=False)

    def backdrops(self, scenes, z, open_color=None):
        made = torch.empty(len(scenes), 3, SIDE, SIDE)
        kinds = [part.backdrop or "open" for part in scenes]
        for kind in set(kinds):
            rows = [row for row, other in enumerate(kinds) if other == kind]
            colors = torch.stack([self.colors[scenes[row].color or 0] for row in rows])[:, :, None, None]
            if kind == "open" and open_color:
                made[rows] = torch.tensor(open_color)[:, None, None]
                continue
            made[rows] = getattr(self, kind)(z[rows][:, :, None, None, None], colors)
        return made.clamp(0, 1)

    def light(self, z, limit=2.0):
        """Shade and gradient: a factor a pixel."""
        shade = (1 + spread(z[:, SHADE], 0.16)).clamp(max=limit)
        return shade * (1 + spread(z[:, GRADIENT_X], 0.16) * (self.x - 0.5) + spread(z[:, GRADIENT_Y], 0.16) * (self.y - 0.5))

    def open(self, z, colors):
        wheel = torch.tensor([0.0, 2.1, 4.2])[:, None, None]
        depth = 0.5 + 0.5 * normal_to_uniform(z[:, OPEN_C])
        color = (0.55 + 0.4 * torch.cos(torch.atan2(z[:, OPEN_A], z[:, OPEN_B]) + wheel)) * depth + (1 - depth) * 0.95
        return color * (1 + spread(z[:, GRADIENT_X], 0.16) * (self.x - 0.5) + spread(z[:, GRADIENT_Y], 0.16) * (self.y - 0.5))

    def plain(self, z, colors):
        return colors * self.light(z)

    def marked(self, mark, z, colors):
        other = torch.where(colors.mean(1, keepdim=True) > 0.75, colors * 0.8, colors + (1 - colors) * 0.35)
        return torch.lerp(colors, other, mark) * self.light(z)

    def stripes(self, z, colors):
        return self.marked((torch.sin(self.y * 16 * math.pi) * 2).clamp(-1, 1) * 0.5 + 0.5, z, colors)

    def dots(self, z, colors):
        u, v = (self.x * CELLS) % 1 - 0.5, (self.y * CELLS) % 1 - 0.5
        return self.marked((((0.27 - (u * u + v * v).sqrt()) * 16).clamp(-1, 1) * 0.5 + 0.5), z, colors)

    def ramp(self, *stops):
        """From top to bottom through some colours."""
        stops = torch.tensor(stops)
        place = self.y * (len(stops) - 1)
        first = place.floor().long().clamp(max=len(stops) - 2)
        return torch.lerp(stops[first], stops[first + 1], (place - first)[..., None]).permute(2, 0, 1)

    def sky(self, z, colors):
        cloud = torch.zeros(len(z), 1, SIDE, SIDE)
        for number, cx, cy in ((SCENE_A, 0.25, 0.2), (SCENE_B, 0.75, 0.33)):
            cx = cx + spread(z[:, number], 0.25)
            for ox, oy, r in ((-0.09, 0.02, 0.06), (0, 0, 0.09), (0.1, 0.02, 0.065)):
                far = (((self.x - cx - ox) / r) ** 2 + ((self.y - cy - oy) / (r * 0.8)) ** 2).sqrt()
                cloud = torch.maximum(cloud, (1.5 - far).mul(2).clamp(0, 1))
        ground = self.ramp([0.25, 0.55, 0.93], [0.75, 0.89, 0.99])
        return (ground * (1 - 0.85 * cloud) + 0.85 * cloud) * (1 + spread(z[:, SHADE], 0.16)).clamp(max=1.05)

    def grass(self, z, colors):
        line = 0.55 + spread(z[:, SCENE_A], 0.12) + 0.02 * torch.sin(self.x * 7 + 3 * spread(z[:, SCENE_B], 1.0))
        below = ((self.y - line) * 40).clamp(0, 1)
        green = torch.tensor([0.3, 0.68, 0.27])[:, None, None] * (1.15 - 0.35 * self.y)
        air = torch.tensor([0.6, 0.82, 0.97])[:, None, None].expand_as(green)
        return torch.lerp(air, green, below) * (1 + spread(z[:, SHADE], 0.16)).clamp(max=1.08)

    def night(self, z, colors):
        shift = spread(z[:, SCENE_A], 0.5)
        stars = torch.zeros(len(z), 1, SIDE, SIDE)
        for x, y, r in self.stars.tolist():
            far = ((self.x - (x + shift) % 1) ** 2 + (self.y - y) ** 2).sqrt() * SIDE
            stars = torch.maximum(stars, (1.4 - far / (0.8 + r)).clamp(0, 1))
        ground = self.ramp([0.03, 0.04, 0.16], [0.13, 0.13, 0.36])
        return ground + stars * (0.95 - ground)

    def sea(self, z, colors):
        wave = torch.sin(self.y * 12 * math.pi + 1.2 * torch.sin(self.x * 9 + 3 * spread(z[:, SCENE_A], 1.0)))
        ground = self.ramp([0.35, 0.75, 0.9], [0.03, 0.25, 0.55]) + 0.06 * (wave * 3).clamp(0, 1) * (1 - 0.6 * self.y)
        return ground * (1 + spread(z[:, SHADE], 0.16)).clamp(max=1.08)

    def sunset(self, z, colors):
        cx = 0.5 + spread(z[:, SCENE_A], 0.3)
        sun = ((0.12 - ((self.x - cx) ** 2 + (self.y - 0.75) ** 2).sqrt()) * 40).clamp(0, 1)
        ground = self.ramp([0.32, 0.2, 0.5], [0.93, 0.4, 0.35], [1.0, 0.78, 0.4]).expand(len(z), -1, -1, -1)
        return torch.lerp(ground, torch.tensor([1.0, 0.93, 0.7])[:, None, None].expand_as(ground), sun)

    def paint(self, scenes, z, placed=None, open_color=None):
        """Images from -1 to 1: (count, 3, side, side)."""
        index, place = placed or layout(scenes, z)
        image = self.backdrops(scenes, z, open_color)
        for slot in range(SLOTS):
            rows = (index[:, slot] >= 0).nonzero()[:, 0]
            if not len(rows):
                continue
            here, where = index[rows, slot], place[rows, slot]
            shadows = torch.where(where[:, 3].sin().abs() > 0.1, SHADOWS[1], SHADOWS[0])[:, None, None, None]
            shadow = self.warp(here, where, None, (0.0, 0.05)) * shadows
            image[rows] *= 1 - shadow
            thing = torch.empty(len(rows), 4, SIDE, SIDE)
            levels = torch.where(where[:, 2] > 0.62, 0, torch.where(where[:, 2] > 0.3, 1, 2))
            for level in range(3):
                chosen = (levels == level).nonzero()[:, 0]
                if len(chosen):
                    thing[chosen] = self.warp(here[chosen], where[chosen], level)
            thing = self.styled(thing, [scenes[row].style for row in rows.tolist()], z[rows])
            image[rows] = image[rows] * (1 - thing[:, 3:]) + thing[:, :3]
        return image.clamp(0, 1) * 2 - 1

    def styled(self, thing, styles, z):
        """Hue turned about the gray axis, and the styles."""
        angle = spread(z[:, HUE], 0.22)
        c, s = torch.cos(angle), torch.sin(angle)
        third, root = 1 / 3, math.sqrt(1 / 3)
        rotation = torch.stack([
            torch.stack([c + third * (1 - c), third * (1 - c) - root * s, third * (1 - c) + root * s], -1),
            torch.stack([third * (1 - c) + root * s, c + third * (1 - c), third * (1 - c) - root * s], -1),
            torch.stack([third * (1 - c) - root * s, third * (1 - c) + root * s, c + third * (1 - c)], -1)], -2)
        color = torch.einsum("nij,njhw->nihw", rotation, thing[:, :3]).clamp(min=0)
        thing = torch.cat([torch.minimum(color, thing[:, 3:]), thing[:, 3:]], 1)
        for row, style in enumerate(styles):
            if style == "gray":
                thing[row, :3] = thing[row, :3].mul(torch.tensor([0.3, 0.59, 0.11])[:, None, None]).sum(0, keepdim=True)
            elif style == "pixel":
                small = functional.avg_pool2d(thing[row:row + 1], 8)
                small[:, :3] = torch.where(small[:, 3:] > 0.5, small[:, :3] / small[:, 3:].clamp(min=0.01), 0.0)
                small[:, 3:] = (small[:, 3:] > 0.5).float()
                thing[row] = functional.interpolate(small, scale_factor=8, mode="nearest")[0]
            elif style == "outline":
                straight = thing[row, :3] + (1 - thing[row, 3:])
                gray = straight.mean(0, keepdim=True)
                both = torch.cat([gray, thing[row, 3:]])[None]
                dx = functional.pad(both[..., 2:] - both[..., :-2], (1, 1))
                dy = functional.pad(both[..., 2:, :] - both[..., :-2, :], (0, 0, 1, 1))
                edge = functional.max_pool2d((dx.square() + dy.square()).sqrt().amax(1, keepdim=True), 3, 1, 1)[0]
                ink = ((edge - 0.12) * 4).clamp(0, 1)
                thing[row] = torch.cat([0.1 * ink.expand(3, -1, -1), ink])
        return thing
