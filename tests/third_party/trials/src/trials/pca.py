"""A codec: principal components, scaled to variance 1."""

from gentoolkit.api import CodecConfig, Component, DataSpec, hookimpl


class PcaConfig(CodecConfig):
    components: int = 4

    def spec(self, spec):
        return DataSpec((self.components,))  # the core adds the condition


def pca(config, spec):
    import torch

    class Pca(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mean", torch.zeros(spec.shape).flatten())
            self.register_buffer("axes", torch.eye(config.components, len(self.mean)))

        def fit(self, chunks):
            x = torch.cat([*chunks]).flatten(1)
            variances, vectors = torch.linalg.eigh(x.double().T.cov())
            axes = (vectors * vectors[0].sign() * variances.sqrt()).T.flip(0)  # signs that do not depend on the chunks
            self.mean, self.axes = x.mean(0), axes[: config.components].float()

        def encode(self, x):
            return (x.flatten(1) - self.mean) @ self.axes.pinverse()

        def decode(self, z):
            return (z @ self.axes + self.mean).view(-1, *spec.shape)

    return Pca()


@hookimpl
def gentoolkit_components():
    return [Component("pca", PcaConfig, f"{__name__}:pca", {"components": 2}, traits=frozenset({"lossy"}))]
