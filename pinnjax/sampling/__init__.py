"""Samplers of collocation points: in the program, of fixed shape, their state and key in the step's state."""

from pinnjax.sampling.box import box, box_faces
from pinnjax.sampling.sampler import Sampler, resample

__all__ = ["Sampler", "box", "box_faces", "resample"]
