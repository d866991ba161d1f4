"""Arguments in, exit code out."""

import argparse
import importlib
import pathlib
import sys
from collections.abc import Sequence

import pinnjax

PROBLEM = (
    "see `pinnjax list problems`; or module:factory, a function without arguments that returns your own: a "
    "pinnjax.problems.Problem of terms, points and (or None) the exact solution, or the arguments of pinnjax.diagnose; "
    "`pinnjax solve` also takes those of pinnjax.solve, which needs no recipe (see `pinnjax new`)"
)
STEPS = "the others have their own (default: the recipe's)"
DTYPE = "float32 or float64 (default: the recipe's, or float32; float64 for second-order optimisers)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; a wrong argument is one sentence on standard error and exit code 2."""
    options = parser().parse_args(arguments)
    import matplotlib

    matplotlib.use("Agg")  # pictures go to files
    try:
        if options.cache is not None:
            _keep_programs(options.cache)
        return importlib.import_module(f"pinnjax.cli.{options.module}").run(options)
    except (ValueError, OSError) as error:
        print(f"pinnjax: {error}", file=sys.stderr)
        return 2


def _keep_programs(folder: str) -> None:
    """Let JAX write what it compiles into a folder, and read what is there."""
    import jax

    if not folder:
        raise ValueError("--cache is empty; expected a folder for compiled programs")
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def parser() -> argparse.ArgumentParser:
    """Every command with its options."""
    parser = argparse.ArgumentParser(
        prog="pinnjax", description="Train physics-informed neural networks that do not fail."
    )
    parser.add_argument("--version", action="version", version=f"pinnjax {pinnjax.__version__}")
    parser.add_argument(
        "--cache",
        metavar="DIR",
        help="before the command: keep compiled programs there for the next time",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    lister = commands.add_parser("list", help="what there is")
    lister.set_defaults(module="listing")
    lister.add_argument(
        "what",
        nargs="?",
        default="all",
        metavar="WHAT",
        help="problems, methods, term-weights, point-weights, optimizers, samplers, networks, monitors, models, "
        "studies or pages (default: all); what is in brackets is not for the command line",
    )

    solver = commands.add_parser("solve", help="train on a problem and compare with the published figures")
    solver.set_defaults(module="solving")
    solver.add_argument("problem", metavar="PROBLEM", help=PROBLEM)
    solver.add_argument(
        "--method",
        metavar="M",
        help="a recipe of the problem, all, or windows of time (default: its fail-and-cure pair)",
    )
    solver.add_argument("--term-weights", metavar="RULE", help="NAME or NAME:option=value,...; see `pinnjax list`")
    solver.add_argument("--point-weights", metavar="RULE", help="likewise; the points are then drawn once and kept")
    solver.add_argument(
        "--optimizer",
        metavar="NAME",
        help="NAME or NAME:option=value,...; see `pinnjax list optimizers`. Second-order methods come after 1000 steps "
        "of the recipe's own optimiser, on points drawn anew every 250 steps, with term weights held, in float64",
    )
    solver.add_argument("--model", metavar="NAME", help="network; see `pinnjax list models`")
    solver.add_argument("--steps", type=int, metavar="N", help="number of steps, of the last phase; " + STEPS)
    solver.add_argument("--seconds", type=float, metavar="S", help="end each run after S seconds, compilation included")
    solver.add_argument("--until", type=float, metavar="T", help="last time of --method windows, in its units")
    solver.add_argument("--seed", type=int, default=0, metavar="N", help="of network and points (default: 0)")
    solver.add_argument("--dtype", metavar="T", help=DTYPE)
    solver.add_argument(
        "--json", metavar="FILE", help="write the results: an object, or a list when several methods ran"
    )
    solver.add_argument("--out", metavar="DIR", help="write plots of field, error, losses and weights")
    solver.add_argument("--report", metavar="FILE", help="write one HTML page with tables, figures and a diagnosis")
    solver.add_argument("--checkpoint", metavar="DIR", help="save to and resume from this folder")

    maker = commands.add_parser("new", help="write a file to start from, an equation of your own for `pinnjax solve`")
    maker.set_defaults(module="making")
    maker.add_argument("name", metavar="NAME", help="of the module: NAME.py is written here; solve it as NAME:equation")

    racer = commands.add_parser("race", help="train with several rules side by side, over several seeds each")
    racer.set_defaults(module="racing")
    racer.add_argument("problem", metavar="PROBLEM", help=PROBLEM)
    racer.add_argument(
        "--term-weights",
        metavar="RULES",
        help="comma-separated, each NAME or NAME:option=value,...; or all (default: the problem's methods as they are)",
    )
    racer.add_argument("--point-weights", metavar="RULES", help="likewise; with both, every pair is raced")
    racer.add_argument(
        "--optimizers",
        metavar="NAMES",
        help="comma-separated, as --optimizer of `pinnjax solve`; they race by the clock, --seconds each (default: 60)",
    )
    racer.add_argument("--method", metavar="M", help="the recipe that these are put into (default: the first)")
    racer.add_argument("--seeds", type=int, metavar="K", help="number of seeds, 0 to K-1 (default: 3)")
    racer.add_argument("--steps", type=int, metavar="N", help="number of steps, of the last phase; " + STEPS)
    racer.add_argument("--seconds", type=float, metavar="S", help="end each method after S seconds, with compilation")
    racer.add_argument("--dtype", metavar="T", help=DTYPE)
    racer.add_argument("--json", metavar="FILE", help="write errors, losses and weights of every seed")
    racer.add_argument("--out", metavar="DIR", help="write the plot race_PROBLEM.png")

    reproducer = commands.add_parser("reproduce", help="make published tables and figures anew, and check their claims")
    reproducer.set_defaults(module="reproducing")
    reproducer.add_argument("study", metavar="NAME", help="see `pinnjax list studies`; or all")
    reproducer.add_argument("--quick", action="store_true", help="one seed and fewer steps, some minutes for all")
    reproducer.add_argument(
        "--out", default="reproduced", metavar="DIR", help="where results, JSON and plots go (default: reproduced)"
    )

    pager = commands.add_parser("page", help="train, and write one HTML file with sliders that needs no kernel")
    pager.set_defaults(module="paging")
    pager.add_argument("page", metavar="NAME", help="see `pinnjax list pages`")
    pager.add_argument("--quick", action="store_true", help="fewer seeds and shorter runs")
    pager.add_argument("--out", metavar="FILE", help="where it goes (default: NAME.html)")

    doctor = commands.add_parser("diagnose", help="train for a short while, say what is wrong and which line to change")
    doctor.set_defaults(module="diagnosing")
    doctor.add_argument("problem", metavar="PROBLEM", help=PROBLEM)
    doctor.add_argument("--method", metavar="M", help="a recipe of the problem (default: its failing one)")
    doctor.add_argument("--steps", type=int, default=1000, metavar="N", help="of training (default: 1000)")
    doctor.add_argument("--seed", type=int, default=0, metavar="N", help="of network and points (default: 0)")
    doctor.add_argument("--strict", action="store_true", help="exit with code 1 when a pathology is found")
    doctor.add_argument("--json", metavar="FILE", help="write the checks")

    scorer = commands.add_parser("scoreboard", help="pinnjax.solve on every problem, beside what a user would pick")
    scorer.set_defaults(module="scoring")
    scorer.add_argument("--problems", metavar="NAMES", help="comma-separated (default: all, new ones included)")
    scorer.add_argument(
        "--contestants", metavar="NAMES", help="solve, adam, adam_lbfgs, comma-separated (default: all)"
    )
    scorer.add_argument("--seconds", type=float, metavar="S", help="for each run, with compilation (default: 120)")
    scorer.add_argument("--seeds", type=int, metavar="K", help="number of seeds, 0 to K-1 (default: 1)")
    scorer.add_argument("--json", metavar="FILE", help="write the results after each run; goes on with what is there")
    scorer.add_argument("--out", metavar="DIR", help="write the picture scoreboard.png")

    bencher = commands.add_parser("bench", help="measure costs as ratios in one run")
    bencher.set_defaults(module="benching")
    bencher.add_argument(
        "what",
        metavar="WHAT",
        help="step, derivatives, balancers, points, monitors, optimizers, compile, scaling, seeds, windows or devices",
    )
    bencher.add_argument("--rounds", type=int, default=15, metavar="N", help="interleaved repetitions (default: 15)")
    bencher.add_argument("--json", metavar="FILE", help="write the figures")
    bencher.add_argument("--plot", metavar="FILE", help="write the picture, of scaling")

    return parser
