"""Mistakes that would break the promise, each as a change of the source, and who must notice it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

RELEASE, EVOLUTION, EXPORT = "release.py", "evolution.py", "export.py"
MECHANISM, ACCOUNTING = "privacy/mechanism.py", "privacy/accounting.py"
DRAW = "noisy_votes = discrete_gaussian(counts, self._noise_multiplier)"
COMMIT = "        self._ledger.commit(self._run_id, generation, noisy_votes)\n"
CELLS = 'return iterations * neighbours * (1 if adjacency == "add-remove" else 2)'


@dataclass(frozen=True)
class Edit:
    """In this file of the package, ``old``, which stands there once, becomes ``new``."""

    file: str
    old: str
    new: str

    def apply(self, package: Path) -> None:
        """Raises ValueError where ``old`` does not stand there just once."""
        path = package / self.file
        text = path.read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise ValueError(f"{self.file} has {self.old!r} {text.count(self.old)} times, not once")
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


@dataclass(frozen=True)
class Mutant:
    """One mistake, and the audit with the check that must notice it.

    Attributes:
        audit: a name in ``probe.AUDITS``.
        check: part of what the check says that it checked.
    """

    name: str
    audit: str
    check: str
    edits: tuple[Edit, ...]


def _drawn_as(new: str) -> Edit:
    return Edit(RELEASE, DRAW, f"noisy_votes = {new}")


MUTANTS = (
    Mutant(
        "half of σ",
        "noise",
        "variance, all cells",
        (_drawn_as("discrete_gaussian(counts, self._noise_multiplier / 2)"),),
    ),
    Mutant(
        "σ² in place of σ",
        "noise",
        "variance, all cells",
        (_drawn_as("discrete_gaussian(counts, self._noise_multiplier**2)"),),
    ),
    Mutant(
        "T - 1 votings paid for",
        "calibration",
        "T = 5, add-remove",
        (Edit(ACCOUNTING, CELLS, CELLS.replace("iterations *", "max(iterations - 1, 1) *")),),
    ),
    Mutant(
        "√k missing",
        "calibration",
        "k = 3",
        (Edit(ACCOUNTING, CELLS, CELLS.replace("* neighbours ", "")),),
    ),
    Mutant(
        "√2 of replacing missing",
        "calibration",
        "replace",
        (Edit(ACCOUNTING, CELLS, "return iterations * neighbours"),),
    ),
    Mutant(
        "noise used again in each iteration",
        "noise",
        "correlation, any two iterations",
        (
            Edit(
                RELEASE,
                DRAW,
                "if not hasattr(self, '_noise'):\n"
                "            self._noise = discrete_gaussian(0 * counts, self._noise_multiplier)\n"
                "        noisy_votes = counts + self._noise",
            ),
        ),
    ),
    Mutant(
        "noise used again in each class",
        "noise",
        "correlation, two classes",
        (
            Edit(
                RELEASE,
                DRAW,
                "first = class_ids == 0\n"
                "        noise = discrete_gaussian(0 * counts[first], self._noise_multiplier)\n"
                "        noisy_votes = counts + np.resize(noise, len(counts))",
            ),
        ),
    ),
    Mutant(
        "noise only where somebody voted",
        "noise",
        "variance, a class without images",
        (
            Edit(
                RELEASE,
                DRAW,
                "noisy_votes = counts.copy()\n"
                "        voted = counts > 0\n"
                "        noisy_votes[voted] = discrete_gaussian(\n"
                "            counts[voted], self._noise_multiplier\n"
                "        )",
            ),
        ),
    ),
    Mutant(
        "threshold before the noise",
        "noise",
        "mean, cells with one vote",
        (
            Edit(
                RELEASE,
                DRAW,
                "counts = np.where(counts > (self._config.threshold or 1.5), counts, 0)\n"
                f"        {DRAW}",
            ),
        ),
    ),
    Mutant(
        "noise from a seeded generator",
        "noise",
        "correlation, two equal runs",
        (
            Edit(
                RELEASE,
                DRAW,
                "x = np.arange(-30, 31)\n"
                "        mass = np.exp(-0.5 * (x / self._noise_multiplier) ** 2)\n"
                "        rng = np.random.default_rng([self._config.seed, generation])\n"
                "        noisy_votes = counts + rng.choice(x, len(counts), p=mass / mass.sum())",
            ),
        ),
    ),
    Mutant(
        "classes as large as in the private data",
        "replay",
        "things seen",
        (
            Edit(
                EVOLUTION,
                "        n = self.config.sample_schedule[t]\n"
                "        for class_id, share in enumerate(shares(n, len(self.classes))):\n",
                "        n = self.config.sample_schedule[t]\n"
                "        labels = 1 + np.bincount(self.voters._class_ids, minlength=4)\n"
                "        parts = np.diff(np.rint(np.cumsum([0, *labels]) * n / labels.sum()))\n"
                "        for class_id, share in enumerate(parts.astype(int).tolist()):\n",
            ),
        ),
    ),
    Mutant(
        "every image votes twice",
        "replay",
        "votes that one unit moves",
        (_drawn_as("discrete_gaussian(2 * counts, self._noise_multiplier)"),),
    ),
    Mutant(
        "rounded noise of floating point",
        "noise",
        "frequency of each value",
        (
            _drawn_as(
                "counts + np.rint(\n"
                "            np.random.default_rng().normal(\n"
                "                0, self._noise_multiplier, len(counts)\n"
                "            )\n"
                "        ).astype(np.int64)"
            ),
        ),
    ),
    Mutant(
        "nothing in the ledger", "ledger", "before they are published", (Edit(RELEASE, COMMIT, ""),)
    ),
    Mutant(
        "the ledger after the publication",
        "ledger",
        "before they are published",
        (
            Edit(RELEASE, COMMIT, ""),
            Edit(
                EVOLUTION,
                "        return noisy_votes\n",
                "        if not reused:\n"
                "            self.voters._ledger.commit(self.voters._run_id, t, noisy_votes)\n"
                "        return noisy_votes\n",
            ),
        ),
    ),
    Mutant(
        "clean votes in the npz",
        "replay",
        "things seen",
        (
            Edit(
                RELEASE, DRAW, f"np.save(self._folder.path / 'clean.npy', counts)\n        {DRAW}"
            ),
            Edit(
                EXPORT,
                '_write_samples(file, population, manifest["samples"]["classes"])',
                "_write_samples(\n"
                '            file, population, manifest["samples"]["classes"], '
                "np.load(folder / 'clean.npy')\n"
                "        )",
            ),
            Edit(
                EXPORT,
                "classes: list[dict[str, Any]]) -> None:",
                "classes: list[dict[str, Any]], clean: Any) -> None:",
            ),
            Edit(
                EXPORT,
                '        "samples": population.images,\n',
                '        "samples": population.images,\n        "votes": clean,\n',
            ),
        ),
    ),
    Mutant(
        "a person's votes not bounded",
        "replay of persons",
        "votes that one unit moves",
        (Edit("counting.py", "chosen[place < most]", "chosen"),),
    ),
    Mutant(
        "an image without finite features votes",
        "replay",
        "votes that one unit moves",
        (
            Edit(
                "voting.py",
                "votes = usable(batch)",
                "votes = np.ones(len(batch), bool)",
            ),
        ),
    ),
    Mutant(
        "everybody is told how many files were left out",
        "replay",
        "things seen",
        (Edit("boundary.py", "owner_notices=(),", "owner_notices=snapshot.owner_notices,"),),
    ),
    Mutant(
        "everybody sees how far the reading is",
        "replay",
        "things seen",
        (Edit("boundary.py", '"phase_fraction": 0.0, ', ""),),
    ),
    Mutant(
        "everybody sees how long the reading will take",
        "replay",
        "things seen",
        (
            Edit(
                "boundary.py",
                '"phase_fraction": 0.0, "seconds_left": None',
                '"phase_fraction": 0.0',
            ),
            Edit("timing.py", "if event.phase is Phase.PRIVATE:", "if False:"),
        ),
    ),
    Mutant(
        "how far the reading was can be seen after a stop",
        "replay of a stop",
        "things seen",
        (Edit("runner.py", "phase_fraction=0.0,\n            loading=", "loading="),),
    ),
    Mutant(
        "everybody is told that a class has no image",
        "replay",
        "things seen",
        (
            Edit(
                RELEASE,
                "if said := dataset.empty_class_notice(class_ids[:found]):\n"
                "            yield Notice(generation, said, private=True)",
                "if said := dataset.empty_class_notice(class_ids[:found]):\n"
                "            yield Notice(generation, said)",
            ),
        ),
    ),
    Mutant(
        "voting on an empty class is passed over",
        "replay",
        "things seen",
        (Edit(RELEASE, "            yield voting\n", ""),),
    ),
    Mutant(
        "clean votes beside the generations",
        "replay",
        "things seen",
        (
            Edit(
                RELEASE,
                DRAW,
                "path = self._folder.generation_path(generation)\n"
                "        np.save(path.with_name(f'{path.stem}-votes.npy'), counts)\n"
                f"        {DRAW}",
            ),
        ),
    ),
    Mutant(
        "σ divided by k",
        "noise",
        "variance, k = 3",
        (_drawn_as("discrete_gaussian(counts, self._noise_multiplier / self._config.neighbours)"),),
    ),
    Mutant(
        "σ divided by a person's votes",
        "noise",
        "variance, c = 3",
        (
            _drawn_as(
                "discrete_gaussian(counts, self._noise_multiplier / self._config.person_votes)"
            ),
        ),
    ),
    Mutant(
        "half of σ with look-ahead",
        "replay with look-ahead",
        "noise that is asked for",
        (
            _drawn_as(
                "discrete_gaussian(\n"
                "            counts, self._noise_multiplier / (1 + (self._config.lookahead > 0))\n"
                "        )"
            ),
        ),
    ),
    Mutant(
        "half of σ planned for persons",
        "replay of persons",
        "noise that is asked for",
        (
            Edit(
                "build.py",
                "sigma = accounting.noise_multiplier(config.epsilon, *releases)",
                "sigma = accounting.noise_multiplier(config.epsilon, *releases)\n"
                "    sigma /= 1 + (config.unit == 'person')",
            ),
        ),
    ),
    Mutant(
        "a person's votes bounded in each class",
        "replay of persons",
        "votes that one unit moves",
        (
            Edit(
                RELEASE,
                "count_by_person(choices, self._person_ids, ",
                "count_by_person(choices, self._person_ids * 100 + self._class_ids, ",
            ),
        ),
    ),
    Mutant(
        "k + 1 neighbours",
        "replay",
        "votes that one unit moves",
        (
            Edit(
                RELEASE,
                "np.full((len(self._features), self._config.neighbours), -1, np.int64)",
                "np.full((len(self._features), self._config.neighbours + 1), -1, np.int64)",
            ),
            Edit(
                RELEASE,
                "                neighbours=self._config.neighbours,\n",
                "                neighbours=self._config.neighbours + 1,\n",
            ),
        ),
    ),
    Mutant(
        "features centred over the private images",
        "replay",
        "votes that one unit moves",
        (
            Edit(
                RELEASE,
                "return features[:found], ",
                "return features[:found] - np.nanmean(features[:found], axis=0), ",
            ),
        ),
    ),
    Mutant(
        "threshold from clean votes",
        "replay",
        "things seen",
        (
            Edit(RELEASE, DRAW, f"self.clean = counts\n        {DRAW}"),
            Edit(
                EVOLUTION,
                "                noisy_votes[ours], self.threshold, share,",
                "                noisy_votes[ours], self.voters.clean.std(), share,",
            ),
        ),
    ),
    Mutant(
        "from the second generation on the ledger after the publication",
        "ledger",
        "before they are published",
        (
            Edit(RELEASE, COMMIT, f"        if generation == 1:\n    {COMMIT}"),
            Edit(
                EVOLUTION,
                "        return noisy_votes\n",
                "        if not reused and t > 1:\n"
                "            self.voters._ledger.commit(self.voters._run_id, t, noisy_votes)\n"
                "        return noisy_votes\n",
            ),
        ),
    ),
    Mutant(
        "half of the generations charged",
        "calibration",
        "T = 5, add-remove",
        (
            Edit(
                "privacy/tables.py",
                "[run.charge(run.committed) for",
                "[run.charge((run.committed + 1) // 2) for",
            ),
        ),
    ),
)
