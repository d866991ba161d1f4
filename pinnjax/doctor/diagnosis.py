"""What the doctor says: checks with values, thresholds and sources, and for each pathology the line to change."""

import dataclasses
import io
import types
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from pinnjax import nn, point_weights, sampling, term_weights
from pinnjax.doctor.evidence import SHORT, Evidence

if TYPE_CHECKING:  # `import pinnjax` does without rich: who reads a report imports it
    import rich.console
    import rich.table
    import rich.text


NOT_SOLVED = "not solved"
SPACES = types.SimpleNamespace(nn=nn, point_weights=point_weights, sampling=sampling, term_weights=term_weights)
OPTIONS = {"optimizer", "term_weights", "point_weights", "sampler"}


class Check(NamedTuple):
    """One measurement against its threshold.

    Attributes:
        pathology: what it is called when the threshold is crossed.
        about: what was measured, on which term.
        value: dimensionless unless `about` says otherwise.
        threshold: where the pathology begins; above it, unless `below`.
        source: of the measure and the threshold; "pinnjax" where no paper has one.
        harm: whether it would do harm: a threshold may be crossed by a term that is learnt.
        message: what is wrong, in a sentence.
        remedy: the line to change, as code; a comment where no code helps.
        below: whether values below the threshold are the bad ones.
    """

    pathology: str
    about: str
    value: float
    threshold: float
    source: str
    harm: bool
    message: str
    remedy: str
    below: bool = False

    @property
    def crossed(self) -> bool:
        """Whether the value is beyond the threshold; of a threshold of zero, whether it is not zero, or is."""
        return bool(self.value < self.threshold if self.below else self.value > self.threshold)

    @property
    def found(self) -> bool:
        """Whether the pathology is there."""
        return self.crossed and bool(self.harm)


@dataclasses.dataclass(frozen=True, repr=False)
class Diagnosis:
    """The doctor's findings.

    Attributes:
        checks: all that was measured against a threshold, root causes first.
        unmeasured: `{measurement: why it is missing}`.
        evidence: the measurements themselves.
    """

    checks: tuple[Check, ...]
    unmeasured: dict[str, str]
    evidence: Evidence

    @property
    def findings(self) -> tuple[Check, ...]:
        """The pathologies found, root causes first: cure the first, and look again."""
        return tuple(check for check in self.checks if check.found)

    @property
    def pathology(self) -> str | None:
        """Name of the first finding; None when there is none."""
        return self.findings[0].pathology if self.findings else None

    @property
    def verdict(self) -> str:
        """One of three: a pathology; solved to about so much, and how that is known; not solved, without a reason."""
        if self.pathology == NOT_SOLVED:
            return f"Not solved, and I do not know why: {self.findings[0].message}."
        if self.findings:
            name = self.findings[0].pathology
            return f"{name[:1].upper()}{name[1:]}: {self.findings[0].message}."
        if self.evidence.error is not None:
            return f"Solved to {self.evidence.error:.1g}, by the exact solution."
        if self.evidence.steps < SHORT:
            return f"No pathology in {self.evidence.steps} steps, which are too few to say whether it is being solved."
        if self.evidence.relative:
            left = max(self.evidence.relative.values())
            return f"Solved to about {left:.0g}, which is what the residuals leave of those of an error of 100 %."
        return "No pathology; whether it is solved is not known, since the size of the field is not."

    def treated(self) -> dict[str, Any]:
        """The change of the first finding as options: of `pinnjax.train_step`, or of this function for a second look.

        Returns:
            `{argument: value}`, e.g. `{"term_weights": ...}`; empty where nothing was found.

        Raises:
            ValueError: when no argument alone cures it: a condition that is wrong, points that are missing, a network
                that has to be made anew, or a problem for `pinnjax.solve`.

        Example:
            >>> import jax, jax.numpy as jnp, pinnjax as pj
            >>> terms = {"pde": lambda u, x: 1e3 * (pj.diff(u, 0)(x) - 1), "bc": lambda u, x: u(x)}
            >>> batch = {"pde": jnp.linspace(0, 1, 32)[:, None], "bc": jnp.zeros((1, 1))}
            >>> model = pj.nn.MLP(1, "scalar", width=8, depth=1, rngs=pj.nn.Rngs(0))
            >>> found = pj.diagnose(terms, model, batch, steps=100)
            >>> print(found.pathology, *found.treated())
            loss-balance crisis term_weights
            >>> train = pj.train_step(terms, optax.adam(1e-3), **found.treated())
        """
        if not self.findings:
            return {}
        change = self.findings[0].remedy
        names = {"pj": SPACES, "optax": optax, "jnp": jnp, "jax": jax}
        found = {} if change.startswith("solution = ") else eval(f"dict(\n{change}\n)", names)
        if not found or not set(found) <= OPTIONS:
            raise ValueError(
                f"treated: {self.pathology!r} is not cured by an option of pinnjax.train_step; expected a change by "
                f"hand: {change}"
            )
        return found

    def print(self, console: "rich.console.Console | None" = None) -> None:
        """Print the report."""
        import rich.console

        console = rich.console.Console() if console is None else console
        for line in self.lines():
            console.print(line, soft_wrap=True)
        console.print(self.table())

    def table(self) -> "rich.table.Table":
        """Measured values beside their thresholds."""
        import rich.table

        table = rich.table.Table(title=f"After {self.evidence.steps} steps of training")
        for name in ("measured", "value", "threshold", "source", "verdict"):
            table.add_column(name, justify="right" if name in ("value", "threshold") else "left")
        for check in self.checks:
            table.add_row(
                check.about,
                f"{check.value:.3g}",
                f"{'<' if check.below else '>'} {check.threshold:.3g}",
                check.source,
                _verdict(check),
            )
        return table

    def lines(self) -> "list[rich.text.Text]":
        """The findings in words, each with its change; then what was not measured."""
        import rich.text

        lines = [rich.text.Text(self.verdict, "bold red" if self.findings else "bold green")]
        for i, check in enumerate(self.findings):
            lines.append(rich.text.Text(f"{i + 1}. {check.pathology}: ", "bold red").append(check.message, "default"))
            lines.append(rich.text.Text("   change: ").append(check.remedy, "bold"))
        if len(self.findings) > 1:
            lines.append(rich.text.Text("The first is the likely root of the others: change that, and look again."))
        for name, why in self.unmeasured.items():
            lines.append(rich.text.Text(f"Not measured: {name}: {why}", "dim"))
        return lines

    def __str__(self) -> str:
        """The report as plain text."""
        import rich.console

        text = io.StringIO()
        self.print(rich.console.Console(file=text, width=140, force_jupyter=False))
        return text.getvalue()

    def __repr__(self) -> str:
        """The verdict; the evidence is long."""
        return f"<Diagnosis after {self.evidence.steps} steps: {self.verdict}>"

    def as_dict(self) -> dict:
        """The report as numbers and strings, for JSON."""
        return {
            "steps": self.evidence.steps,
            "pathology": self.pathology,
            "verdict": self.verdict,
            "checks": [check._asdict() | {"found": check.found} for check in self.checks],
            "unmeasured": self.unmeasured,
        }


def _verdict(check: Check) -> "rich.text.Text":
    import rich.text

    if check.found:
        return rich.text.Text(check.pathology, "bold red")
    return rich.text.Text("crossed, without harm" if check.crossed else "sound", "green")
