"""Shows the network where to look: heads that read the sketch are trained, for the first minutes, to attend to their own patch.

Without it the network has to find out from its velocity errors both where a place is and which state belongs to it.
"""

import torch

from model import PATCHES, WORDS

HEADS = 2  # of each attention to the text: those whose values begin as the sketch


class Looking:
    """An attention processor that computes what diffusers' does, and remembers how far its heads look beside."""

    def __init__(self):
        self.loss = None

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, **_):
        states = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = (
            layer(read).unflatten(2, (attn.heads, -1)).transpose(1, 2)
            for layer, read in ((attn.to_q, hidden_states), (attn.to_k, states), (attn.to_v, states)))
        scores = query @ key.mT * attn.scale
        if encoder_hidden_states is not None:
            told = scores[:, :HEADS].log_softmax(-1).gather(3, self.own(scores))
            self.loss = -told.mean()
        made = (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)
        return attn.to_out[0](made)

    @staticmethod
    def own(scores):
        """The position of the state that belongs to each place of a square."""
        side = int(scores.shape[2] ** 0.5)
        line = torch.arange(side) * PATCHES // side
        places = WORDS + (line[:, None] * PATCHES + line).flatten()
        return places[None, None, :, None].expand(scores.shape[0], HEADS, -1, 1)


def watch(unet):
    """Puts a processor into every attention to the text; gives them."""
    seen = {}
    for name in unet.attn_processors:
        if "attn2" in name:
            seen[name] = Looking()
    unet.set_attn_processor({name: seen.get(name, old) for name, old in unet.attn_processors.items()})
    return list(seen.values())
