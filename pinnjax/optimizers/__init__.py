"""Parameter space: second-order optimisers, each an ordinary optax transform whose update is the whole step."""
