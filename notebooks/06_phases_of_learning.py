# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Phases of learning: when does the error really fall?
#
# Cut a batch into parts $b$, take the gradient $g_b$ of each, and ask whether they agree: the signal-to-noise ratio
#
# $$\mathrm{SNR} = \frac{\| \mathrm{mean}_b\, g_b \|_2}{\| \mathrm{std}_b\, g_b \|_2}.$$
#
# Anagnostopoulos, Toscano, Stergiopulos & Karniadakis (2024) saw three phases in it. *Fitting*: all parts agree, SNR well
# above one. *Diffusion*: they disagree, SNR below one, and training wanders. *Total diffusion*: the SNR rises abruptly, the
# residuals have become even over the points, and the error falls fastest. They report that residual-based attention (RBA)
# brings the last phase forward.
#
# Is it so? Two problems, each with and without RBA, and monitors inside the train step.

# %%
import os

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import pinnjax as pj
from pinnjax import diagnostics, plot
from pinnjax.problems import allen_cahn, helmholtz
