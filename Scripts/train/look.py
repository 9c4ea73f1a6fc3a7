"""Shows the network where to look, for the first minutes.

One head of each attention to the text learns which patch of the sketch the image shows at their position, and heads of
the self-attentions that come first learn to look at the corner, where the numbers are that the caption leaves open
(scenes.py). Without it the network has to find both out from its velocity errors.
"""

import torch

from model import WORDS

HEADS = 1  # of each attention to the text: whose values begin as the sketch


class Looking:
    """An attention processor that computes what diffusers' does, and remembers how far its heads look beside."""

    def __init__(self, targets):
        self.loss, self.targets = None, targets

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, **_):
        states = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = (
            layer(read).unflatten(2, (attn.heads, -1)).transpose(1, 2)
            for layer, read in ((attn.to_q, hidden_states), (attn.to_k, states), (attn.to_v, states)))
        scores = query @ key.mT * attn.scale
        wanted = self.targets()
        if wanted is not None:
            told = scores[:, :wanted.shape[1]].float().log_softmax(-1)
            self.loss = -told.gather(3, wanted[..., None].expand(len(scores), -1, scores.shape[2], 1)).mean()
        made = (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)
        return attn.to_out[0](made)


class Watch:
    """Puts a processor into every attention that is to be shown where to look."""

    def __init__(self, unet):
        self.seen = None  # (count, 64): the patch that each position shows; None while no head is shown
        self.processors, made = [], {}
        for name, old in unet.attn_processors.items():
            if "attn2" in name and not name.startswith("down"):
                made[name] = Looking(self.patches)
            elif "attn1" in name and name.startswith("down"):
                made[name] = Looking(self.corner)
            else:
                made[name] = old
                continue
            self.processors.append(made[name])
        unet.set_attn_processor(made)

    def patches(self):
        return None if self.seen is None else (WORDS + self.seen)[:, None].expand(-1, HEADS, -1)

    def corner(self):
        """The position of the noise's numbers."""
        return None if self.seen is None else torch.zeros(len(self.seen), HEADS, self.seen.shape[1], dtype=torch.long)

    def loss(self):
        return torch.stack([processor.loss for processor in self.processors]).mean()
