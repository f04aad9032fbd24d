"""gentoolkit: change one part of a generative model, keep the rest honest."""
