"""The command line: options, what is done in which order, and exit codes."""

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from sklearn.datasets import load_diabetes

from sklearn_sgdopt import __version__
from sklearn_sgdopt._cli.comparison import compare, print_coefficients
from sklearn_sgdopt._cli.messages import (
    InputError,
    WorkError,
    counted,
    one_line,
    printable,
    quoted,
    say,
    say_all,
)
from sklearn_sgdopt._cli.outputs import (
    check_destination,
    check_matplotlib,
    check_skops,
    picture_format,
    save_model,
    save_picture,
)
from sklearn_sgdopt._cli.sources import STANDARD_INPUT, read_table
from sklearn_sgdopt._cli.table import Samples, Wanted, samples_of

DONE, FAILED, MISUSED = 0, 1, 2
PICTURE = Path("loss_curves.png")
SEPARATOR_NAMES = {"tab": "\t", "\\t": "\t", "space": " ", "comma": ",", "semicolon": ";"}
OF_A_FILE = (
    "target",
    "ignore",
    "drop_missing",
    "sep",
    "decimal",
)  # options without sense for the built-in data
EPILOG = (
    "Exit code: 0 if all was done, 1 if training or writing failed, "
    "2 if what was given cannot be used (nothing was trained or written)."
)


def separator(text: str) -> str:
    """Return the character that --sep says."""
    character = SEPARATOR_NAMES.get(text, text)
    if len(character) != 1 or character.isalnum() or character in '"\r\n.+-_\0':
        raise argparse.ArgumentTypeError(
            f"{quoted(text)} is not a separator; give one character such as ';', or tab or space"
        )
    return character


def make_parser(prog: str) -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Train gd, sgd, momentum and adam on raw data with default settings; print a table and "
        "save a picture of their loss curves. Without FILE: scikit-learn's diabetes data.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="CSV with one header line (gzip too), or Parquet; - reads standard input",
    )
    parser.add_argument("--version", action="version", version=f"sklearn_sgdopt {__version__}")
    table = parser.add_argument_group("the table in FILE")
    table.add_argument("--target", metavar="COLUMN", help="column to predict (default: the last)")
    table.add_argument(
        "--ignore",
        metavar="COLUMN",
        nargs="+",
        action="extend",
        default=[],
        help="columns to leave out; give them after FILE",
    )
    table.add_argument("--drop-missing", action="store_true", help="leave out samples with missing values")
    table.add_argument(
        "--sep", type=separator, metavar="CHARACTER", help="separator; also tab, space (default: found)"
    )
    table.add_argument("--decimal", choices=(".", ","), metavar="MARK", help=". or , (default: found)")
    results = parser.add_argument_group("results")
    picture = results.add_mutually_exclusive_group()
    picture.add_argument(
        "--output", type=Path, metavar="PICTURE", help=f"picture to write (default: {PICTURE})"
    )
    picture.add_argument("--no-plot", action="store_true", help="write no picture")
    results.add_argument("--save", type=Path, metavar="MODEL.skops", help="save the best model with skops")
    return parser


def check_options(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Refuse what does not go together."""
    if options.file is None:
        for name in OF_A_FILE:
            if getattr(options, name):
                flag = f"--{name.replace('_', '-')}"
                parser.error(f"{flag} is about a FILE, and none was given; write FILE first: FILE {flag} ...")
    if not options.no_plot and options.output is None:
        options.output = PICTURE


def check_results(options: argparse.Namespace) -> None:
    """Raise an error if a result could not be written, before anything is read or trained."""
    file = None if options.file in {None, STANDARD_INPUT} else Path(options.file)
    if options.output is not None:
        picture_format(options.output)
        check_destination(options.output, file)
        check_matplotlib()
    if options.save is not None:
        check_destination(options.save, file, options.output)
        check_skops()


def load(options: argparse.Namespace) -> Samples:
    """Return the samples of the file, and say what they are; without a file the diabetes data."""
    if options.file is None:
        data = load_diabetes(scaled=False)
        return Samples(data.data, data.target, list(data.feature_names), "progression", [])
    wanted = Wanted(options.target, tuple(options.ignore))
    table = read_table(options.file, wanted, sep=options.sep, decimal=options.decimal)
    samples = samples_of(table, drop_missing=options.drop_missing)
    default = "" if options.target else ", the last column; --target chooses another"
    say(
        f"{table.source}: {counted(len(samples.y), 'sample')}, {counted(len(samples.names), 'feature')}; "
        f"target {quoted(samples.target)}{default}"
    )
    say_all("note", samples.notes)
    return samples


def run(options: argparse.Namespace) -> None:
    """Do the work."""
    check_results(options)
    samples = load(options)
    comparison = compare(samples)
    say_all("note", comparison.warnings)
    if options.file is not None:
        print_coefficients(comparison, samples.names)
    if options.output is not None:
        save_picture(comparison.solvers, options.output)
        say(f"Loss curves: {printable(str(options.output))}")
    if options.save is not None:
        save_model(comparison.solvers[comparison.best], options.save)
        say(f"Model ({comparison.best}): {printable(str(options.save))}")


def main(arguments: Sequence[str] | None = None, prog: str = "sgdopt") -> int:
    """Run the command.

    Parameters
    ----------
    arguments : sequence of str, default=None
        The arguments; those of the process if not given.
    prog : str, default="sgdopt"
        What the command is called in its help.

    Returns
    -------
    code : int
        0 if all was done, 1 if training or writing failed, 2 if what was given cannot be used.
    """
    try:
        return attempt(arguments, prog)
    except BrokenPipeError:  # who read the output has gone, as `head` does
        close_output()
        return FAILED


def attempt(arguments: Sequence[str] | None, prog: str) -> int:
    """Do what the arguments ask for; say in one line what went wrong."""
    try:
        run(parse(arguments, prog))
    except BrokenPipeError:
        raise
    except InputError as error:
        say(f"error: {one_line(error)}", sys.stderr)
        return MISUSED
    except WorkError as error:
        say(f"error: {one_line(error)}", sys.stderr)
        return FAILED
    except OSError as error:
        say(f"error: cannot print: {one_line(error.strerror or error)}", sys.stderr)
        close_output()
        return FAILED
    except MemoryError:
        say("error: there is not enough memory; leave out columns (--ignore) or samples", sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        say("error: interrupted", sys.stderr)
        return FAILED
    return DONE


def parse(arguments: Sequence[str] | None, prog: str) -> argparse.Namespace:
    """Return the options; help and version are out before it is left."""
    parser = make_parser(prog)
    try:
        options = parser.parse_args(arguments)
        check_options(parser, options)
    finally:
        if sys.stdout is not None:
            sys.stdout.flush()
    return options


def close_output() -> None:
    """Send what is left in the buffers nowhere, so that leaving Python does not fail on it."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError), open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())
