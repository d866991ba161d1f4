"""What counts as learnt, and as still falling: thresholds that rules share. The others stand where their check is."""

import numpy as np

OURS = "pinnjax"  # the source of a threshold that no paper has
TINY = float(np.finfo(np.float32).tiny)
LEARNT = 0.005  # a term of which less is left is learnt, or about to be
UNFINISHED = 0.02  # a term of which more is left still has to fall
UNLEARNT = 0.3  # a term of which more is left has not been learnt at all
STILL = 0.97  # a loss that keeps more than this share over the second half of the probe has stopped falling
CREEPING = 0.9  # the same of one term, whose loss may creep while another's rises
EVEN = 0.4  # share of the points that carry a loss; below it a few points own it
SOLVED = 0.05  # a residual, in units of what an error of 100 % leaves, or an error, below which there is a solution
