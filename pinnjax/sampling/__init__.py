"""Samplers of collocation points: in the program, of fixed shape, their state and key in the step's state."""

from pinnjax.sampling import distances
from pinnjax.sampling.adaptive import rad, rar_d, rar_g
from pinnjax.sampling.box import box, box_faces
from pinnjax.sampling.combined import Difference, Union
from pinnjax.sampling.domains import Domain, Shape
from pinnjax.sampling.growing import growing
from pinnjax.sampling.interfaces import Interface, interfaces
from pinnjax.sampling.polygon import Polygon
from pinnjax.sampling.pools import importance, minibatches
from pinnjax.sampling.r3 import r3
from pinnjax.sampling.sampler import Draw, Sampler, combine, resample
from pinnjax.sampling.sets import grid, quasi, r2
from pinnjax.sampling.shapes import Box, Disk

__all__ = [
    "Box",
    "Difference",
    "Disk",
    "Domain",
    "Draw",
    "Interface",
    "Polygon",
    "Sampler",
    "Shape",
    "Union",
    "box",
    "box_faces",
    "combine",
    "distances",
    "grid",
    "growing",
    "importance",
    "interfaces",
    "minibatches",
    "quasi",
    "r2",
    "r3",
    "rad",
    "rar_d",
    "rar_g",
    "resample",
]
