"""Every error the product raises on purpose.

    PEError
    ├── ConfigError      a setting is out of its range                (exit code 2)
    ├── DataError        the private images cannot be used            (exit code 2)
    ├── RunError         a run folder is missing, taken or unfinished (exit code 2)
    ├── GeneratorError   a generator or embedder cannot do its work   (exit code 2)
    └── BudgetError      the privacy budget would be overspent        (exit code 3)

Each message is one sentence or two for a person: what was wrong, the value, the bound, and what to
do next. It never holds a private file name.
"""

from __future__ import annotations


class PEError(Exception):
    """Base of all errors with a message meant for the user."""

    exit_code = 2


class ConfigError(PEError):
    """A setting is out of its range."""


class DataError(PEError):
    """The private images cannot be used."""


class RunError(PEError):
    """A run folder is missing, taken by another run, or cannot be resumed."""


class OtherImagesError(RunError):
    """The images are not those that the run began with."""


class GeneratorError(PEError):
    """A generator or an embedder cannot do what was asked."""


class BudgetError(PEError):
    """The privacy budget of a data set would be overspent."""

    exit_code = 3


class Interrupted(Exception):
    """Work ended early because the run is to stop, which is no error: there is nothing to say."""
