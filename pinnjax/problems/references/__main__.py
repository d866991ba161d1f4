"""Make the stored references anew."""

from pinnjax.problems.references.store import make

if __name__ == "__main__":
    make()
