"""A multilayer perceptron, and what can go wrong with networks."""

import copy

import torch
from torch import nn
from torch.nn import functional as F

from gentoolkit.api import Array, Labels


class Mlp(nn.Module):
    """Two hidden layers with a zero-initialized head; the time as sine and cosine, the condition embedded."""

    def __init__(self, config, spec, needs=frozenset()):
        super().__init__()
        self.amount = config.amount
        self.spec, dims, width = spec, torch.Size(spec.shape).numel(), config.width
        self.x, self.t = nn.Linear(dims, width), nn.Linear(2, width)
        self.c = self.embedding(spec.condition, width)
        self.hidden, self.head = nn.Linear(width, width), nn.Linear(width, dims)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def embedding(self, condition, width):
        match condition:
            case Labels(num_classes, droppable):
                return nn.Embedding(num_classes + droppable, width)
            case Array(shape):
                return nn.Sequential(nn.Flatten(), nn.Linear(torch.Size(shape).numel(), width))

    def time(self, t):
        return torch.stack([torch.sin(3 * t), torch.cos(3 * t)], 1)

    def mix(self, h):
        return F.silu(h)

    def forward(self, x_t, t, condition=None):
        h = self.x(x_t.flatten(1)) + self.t(self.time(t))
        if self.c is not None:
            h = h + self.c(condition)
        return self.head(F.silu(self.hidden(self.mix(h)))).unflatten(1, self.spec.shape)

    def matrix_blocks(self):
        return {"hidden.weight": 1}


class Squeezing(Mlp):
    """Loses the batch axis of a batch of one."""

    def forward(self, x_t, t, condition=None):
        return super().forward(x_t, t, condition).squeeze(0)


class Doubling(Mlp):
    def forward(self, x_t, t, condition=None):
        return super().forward(x_t, t, condition).double()


class BatchNormed(Mlp):
    """Mixes the samples of a batch, but only in training mode."""

    def __init__(self, config, spec, needs=frozenset()):
        super().__init__(config, spec, needs)
        self.norm = nn.BatchNorm1d(config.width)

    def mix(self, h):
        return F.silu(self.norm(h))


class FirstTime(Mlp):
    """Uses the first sample's time for all."""

    def time(self, t):
        return super().time(t[:1].expand(len(t)))


class DeadLayer(Mlp):
    """One layer is cut off by a detach."""

    def mix(self, h):
        return F.silu(h.detach()) + 0 * h.sum()


class Idle(Mlp):
    """Has a parameter that nothing uses."""

    def __init__(self, config, spec, needs=frozenset()):
        super().__init__(config, spec, needs)
        self.unused = nn.Parameter(torch.ones(3))


class Timeless(Mlp):
    def time(self, t):
        return super().time(0 * t)


class LateDeaf(Mlp):
    """Ignores t in the last `amount` of [0, 1]."""

    def time(self, t):
        return super().time(t.clamp(max=1 - self.amount))


class EarlyDeaf(Mlp):
    def time(self, t):
        return super().time(t.clamp(min=self.amount))


class MiddleDeaf(Mlp):
    """Ignores t from 0.5 to 0.5 + amount."""

    def time(self, t):
        return super().time(torch.where((t > 0.5) & (t < 0.5 + self.amount), 0.5, t))


class DeafForTheLast(Mlp):
    """Ignores t for the last label."""

    def forward(self, x_t, t, condition=None):
        last = condition == self.spec.condition.num_classes - 1
        return super().forward(x_t, torch.where(last, 0.5, t), condition)


class FaintPixel(Mlp):
    """Sees one element of x_t only in `amount`."""

    def forward(self, x_t, t, condition=None):
        rows = x_t.flatten(1)
        seen = torch.cat([rows[:, :2], self.amount * rows[:, 2:3], rows[:, 3:]], 1)
        return super().forward(seen.view_as(x_t), t, condition)


class LatePixel(Mlp):
    """Ignores one element of x_t late."""

    def forward(self, x_t, t, condition=None):
        rows = x_t.flatten(1)
        seen = torch.cat([rows[:, :1] * (t < 0.9)[:, None], rows[:, 1:]], 1)
        return super().forward(seen.view_as(x_t), t, condition)


class FaintEntry(Mlp):
    """Sees the last entry of a vector only in `amount`."""

    def forward(self, x_t, t, condition=None):
        return super().forward(x_t, t, torch.cat([condition[:, :-1], self.amount * condition[:, -1:]], 1))


class StillOutput(Mlp):
    """One element of the output is a function of t alone."""

    def forward(self, x_t, t, condition=None):
        rows = super().forward(x_t, t, condition).flatten(1)
        return torch.cat([t[:, None], rows[:, 1:]], 1).view_as(x_t)


class PoleAtEnd(Mlp):
    """Embeds log(1 - t)."""

    def time(self, t):
        return super().time(torch.log1p(-t))


class BatchScaled(Mlp):
    """Depends on the size of the batch."""

    def forward(self, x_t, t, condition=None):
        return super().forward(x_t, t, condition) * (1 + self.amount / len(x_t))


class BiasBeforeNorm(Mlp):
    """The norm subtracts the bias again."""

    def __init__(self, config, spec, needs=frozenset()):
        super().__init__(config, spec, needs)
        self.bias = nn.Parameter(torch.zeros(()))

    def mix(self, h):
        return F.silu(F.layer_norm(h + self.bias, h.shape[1:]))


class Fixed(Mlp):
    """Is cut off in training mode."""

    def mix(self, h):
        return F.silu(h.detach() if self.training else h)


class Blind(Mlp):
    """Treats all labels as the first."""

    def forward(self, x_t, t, condition=None):
        return super().forward(x_t, t, 0 * condition)


class LateBlind(Mlp):
    """Treats all labels as the first late."""

    def forward(self, x_t, t, condition=None):
        return super().forward(x_t, t, torch.where(t > 0.9, 0, condition))


class FewLabels(Mlp):
    """Mistakes the labels from 20 on for each other."""

    def forward(self, x_t, t, condition=None):
        return super().forward(x_t, t, condition.clamp(max=20))


class NoNull(Mlp):
    """Takes the null label for the last class."""

    def forward(self, x_t, t, condition=None):
        return super().forward(x_t, t, condition.clamp(max=self.spec.condition.num_classes - 1))


class NoNullRow(Mlp):
    """Has no embedding for the null label."""

    def embedding(self, condition, width):
        return nn.Embedding(condition.num_classes, width)


class LostFrequencies(Mlp):
    """Random frequencies that the state dict does not have."""

    def __init__(self, config, spec, needs=frozenset()):
        super().__init__(config, spec, needs)
        self.register_buffer("frequency", torch.randn(()), persistent=False)

    def time(self, t):
        return super().time(t * self.frequency)


class SingleTime(Mlp):
    """Embeds the time in float32 whatever comes in."""

    def time(self, t):
        return super().time(t.float()).to(t.dtype)


class AlwaysSingle(Mlp):
    def forward(self, x_t, t, condition=None):
        return super().forward(x_t, t, condition).float()


class SharedCopy(Mlp):
    def __deepcopy__(self, memo):
        return copy.copy(self)


class Overwriting(Mlp):
    def forward(self, x_t, t, condition=None):
        with torch.no_grad():
            t.mul_(1000)
        return super().forward(x_t, t / 1000, condition)


class AlwaysDropping(Mlp):
    """Drops out in eval mode, too."""

    def mix(self, h):
        return F.dropout(F.silu(h), 0.1, training=True)


class Branching(Mlp):
    """Python code that looks at values breaks the graph."""

    def mix(self, h):
        return F.silu(h) if h.sum() > 0 else F.gelu(h)


class ElsewhenCompiled(Mlp):
    """Computes something else when it is compiled."""

    def mix(self, h):
        return F.relu(h) if torch.compiler.is_compiling() else F.silu(h)


class BiasBlocks(Mlp):
    def matrix_blocks(self):
        return {"hidden.bias": 1}


class ThreeBlocks(Mlp):
    def matrix_blocks(self):
        return {"hidden.weight": 3}


class GhostBlocks(Mlp):
    def matrix_blocks(self):
        return {"attention.weight": 1}


class NoBlocks(Mlp):
    matrix_blocks = property()  # as if there were none


class Tokenwise(Mlp):
    """Each element is a token; which of them are wanted makes no difference to their values."""

    def patches(self, x):
        return x.flatten(1)[..., None]

    def forward(self, x_t, t, condition=None, tokens=None):
        output = super().forward(x_t, t, condition)
        return output if tokens is None else self.pick(self.patches(output), tokens)

    def pick(self, patches, tokens):
        return patches.take_along_dim(tokens[..., None], dim=1)


class SortedTokens(Tokenwise):
    def pick(self, patches, tokens):
        return super().pick(patches, tokens.sort(dim=1).values)


class TokensAsWhole(Tokenwise):
    def pick(self, patches, tokens):
        return patches.flatten(1)


class OverlappingPatches(Tokenwise):
    def patches(self, x):
        return torch.cat([x.flatten(1), x.flatten(1)[:, :1]], 1)[..., None]


class NoModule:
    """Not a torch module."""

    def __init__(self, config, spec, needs=frozenset()):
        pass

    def forward(self, x_t, t, condition=None):
        return x_t

    def matrix_blocks(self):
        return {}


class TwoTimes(Mlp):
    """Has a second time, and layers that can be differentiated forward."""

    def __init__(self, config, spec, needs=frozenset()):
        super().__init__(config, spec, needs)
        self.s = nn.Linear(2, config.width) if "second_time" in needs else None

    def forward(self, x_t, t, condition=None, second_time=None):
        if self.s is None:
            return super().forward(x_t, t, condition)
        h = self.x(x_t.flatten(1)) + self.t(self.time(t)) + self.s(self.time(self.second(second_time)))
        if self.c is not None:
            h = h + self.c(condition)
        return self.head(F.silu(self.hidden(self.mix(h)))).unflatten(1, self.spec.shape)

    def second(self, s):
        return s


class IgnoresSecondTime(TwoTimes):
    def second(self, s):
        return 0 * s


class SharesSecondTime(TwoTimes):
    """Uses the mean second time of the batch besides its own."""

    def second(self, s):
        return s + 0.1 * s.mean()


class WrongDerivative(TwoTimes):
    """A function of its own with a derivative that is off by `amount`."""

    def mix(self, h):
        return Scaled.apply(h, self.amount)


class Scaled(torch.autograd.Function):
    """2 h, with a forward derivative of 2 + amount."""

    generate_vmap_rule = False

    @staticmethod
    def forward(h, amount):
        return 2 * h

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.amount = inputs[1]

    @staticmethod
    def backward(ctx, d_out):
        return 2 * d_out, None

    @staticmethod
    def jvp(ctx, d_h, _):
        return (2 + ctx.amount) * d_h
