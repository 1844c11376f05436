"""The settings of a run: one frozen object, checked once, that travels as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from pe_engine.checks import check_length, check_one_of, check_whole, check_within
from pe_engine.embedders import EMBEDDERS
from pe_engine.errors import ConfigError
from pe_engine.generators import GENERATORS, is_custom

ADJACENCIES = ("add-remove", "replace")
CLASS_RULES = ("auto", "folder", "prefix", "none")
UNITS = ("image", "person")
PERSON_RULES = ("none", "folder", "outer-folder", "inner-folder", "prefix")
METRICS = ("l2", "ip", "cosine")
SEARCHES = ("faiss", "torch")
SELECTIONS = ("proportional", "rank")
DEVICES = ("auto", "cpu", "cuda")

EPSILON_RANGE = (0.01, 100.0)
DELTA_RANGE = (1e-12, 0.1)
MAX_ITERATIONS = 200
MAX_SAMPLES = 1_000_000
IMAGE_SIZE_RANGE = (8, 2048)
LAST_DEGREE = 0.25
MAX_CLASS_NAME = 100


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that decides a run, except where the private images lie.

    Attributes:
        dataset_name: the owner's name for the private data set; its budget is kept under it.
        generator, generator_options: which generator, by its name or as a user's ``file.py:Class``,
            and its options by name.
        initial: pictures to start from in place of the generator's own: a run's folder, with
            ``:K`` for its generation K, or a ``samples.npz``; empty for none.
        embedder, metric, neighbours, search: how a private image finds its k nearest candidates.
        epsilon, delta, adjacency: the budget of the whole run and what neighbouring data sets are:
            one unit added or removed, or one unit replaced; see ``unit``.
        epsilon_cap: refuse to let all runs on this data set together spend more than this; None
            for no cap.
        iterations: T, how many times the private images vote.
        num_samples: N, one number, or T + 1 numbers for generations 0..T. Shared out equally
            over the classes, never by the private class sizes.
        lookahead: L; 0 embeds the candidates themselves.
        threshold: H in votes; None for the default that ``selection`` derives from σ.
        selection: how noisy votes become parents.
        keep_selected: a selected parent enters the next generation itself once, its further
            draws as variations.
        fresh_children: vary the selected parents anew, as in the paper, instead of first taking
            their look-ahead children, which have the same degree.
        degrees: T variation degrees in [0, 1], 1 = most change; empty for a geometric schedule
            from 1 to 0.25.
        classes: the rule that names an image's class.
        class_names: the declared classes; images of others are left out, and a declared class
            without images is kept. Empty for those that are found, which then count as declared.
        class_map: what found classes are called, by the name they have in the images: another name,
            the name of another class to be one with it, or "" to be left out. It looks at nothing
            but an image's own class, so it costs no privacy; its names, as ``class_names``, are
            taken as public knowledge of the adversary. Declared classes are the names it ends with.
        persons: what names the person an image belongs to: nothing, its folder (the outermost or
            innermost one where there are several) or its file name. Only with a rule for classes.
        person_votes: c, for how many distinct candidates of all classes all images of one person
            together vote in a generation.
        public_class_names: the owner says that class names may be shown outside.
        prompts, class_prompts: shared out evenly over the samples of all classes, or of one class.
        image_size: height and width in pixels; None for the generator's own.
        seed: of everything but the noise.
        keep_features: let the private features wait on disk (mode 0600) until the run is done, so
            that it resumes without reading the images again. Otherwise they are in memory only.

    Raises:
        ConfigError: naming the setting, its value, the bound and what to do.
    """

    dataset_name: str
    generator: str = "text_render"
    generator_options: Mapping[str, Any] = field(default_factory=dict)
    initial: str = ""
    embedder: str = "pixels"
    metric: str = "l2"
    neighbours: int = 1
    search: str = "faiss"
    epsilon: float = 1.0
    delta: float = 1e-5
    adjacency: str = "add-remove"
    epsilon_cap: float | None = None
    iterations: int = 5
    num_samples: tuple[int, ...] = (1000,)
    lookahead: int = 4
    threshold: float | None = None
    selection: str = "proportional"
    keep_selected: bool = False
    fresh_children: bool = False
    degrees: tuple[float, ...] = ()
    classes: str = "auto"
    class_names: tuple[str, ...] = ()
    class_map: Mapping[str, str] = field(default_factory=dict)
    persons: str = "none"
    person_votes: int = 1
    public_class_names: bool = False
    prompts: tuple[str, ...] = ()
    class_prompts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    image_size: int | None = None
    seed: int = 0
    device: str = "auto"
    keep_features: bool = False

    def __post_init__(self) -> None:
        for name in ("num_samples", "degrees", "prompts", "class_names"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        prompts = {name: tuple(texts) for name, texts in self.class_prompts.items()}
        object.__setattr__(self, "class_prompts", prompts)
        object.__setattr__(self, "class_map", {**self.class_map})

        if not 1 <= len(self.dataset_name.strip()) <= 100:
            raise ConfigError(
                "The data set needs a name of 1 to 100 characters; its privacy budget is kept "
                "under that name. Set a data set name."
            )
        if not is_custom(self.generator):
            check_one_of("generator", self.generator, (*GENERATORS, "your own as file.py:Class"))
        check_one_of("embedder", self.embedder, tuple(EMBEDDERS))
        check_one_of("metric", self.metric, METRICS)
        check_one_of("search", self.search, SEARCHES)
        check_one_of("adjacency", self.adjacency, ADJACENCIES)
        check_one_of("selection", self.selection, SELECTIONS)
        check_one_of("classes", self.classes, CLASS_RULES)
        check_one_of("device", self.device, DEVICES)
        check_within("ε (epsilon)", self.epsilon, *EPSILON_RANGE)
        check_within("δ (delta)", self.delta, *DELTA_RANGE)
        check_whole("number of iterations", self.iterations, 1, MAX_ITERATIONS)
        for n in self.num_samples:
            check_whole("number of samples", n, 1, MAX_SAMPLES)
        check_length("number of samples", self.num_samples, (1, self.iterations + 1))
        check_whole("look-ahead", self.lookahead, 0, 64)
        check_whole("neighbours", self.neighbours, 1, 100)
        _check_persons(self)
        _check_class_names(self)
        _check_class_map(self)
        if self.image_size is not None:
            check_whole("image size", self.image_size, *IMAGE_SIZE_RANGE)
        check_whole("seed", self.seed, 0, 2**63 - 1)
        for degree in self.degrees:
            check_within("variation degree", degree, 0.0, 1.0)
        check_length("variation degrees", self.degrees, (0, self.iterations))
        if self.threshold is not None:
            check_within("threshold", self.threshold, 0.0, 1e9)
        if self.epsilon_cap is not None:
            check_within("cap on ε", self.epsilon_cap, *EPSILON_RANGE)

    @property
    def unit(self) -> str:
        """What is protected: "image", or "person" with all images of one person together."""
        return "image" if self.persons == "none" else "person"

    @property
    def votes_per_unit(self) -> int:
        """How many counts, over all classes, one unit more or less changes, each by 1."""
        return self.neighbours if self.unit == "image" else self.person_votes

    @property
    def degree_schedule(self) -> tuple[float, ...]:
        """The T variation degrees d_1..d_T."""
        if self.degrees:
            return self.degrees
        steps = max(self.iterations - 1, 1)
        return tuple(LAST_DEGREE ** (t / steps) for t in range(self.iterations))

    @property
    def sample_schedule(self) -> tuple[int, ...]:
        """The T + 1 population sizes N_0..N_T."""
        if len(self.num_samples) == 1:
            return self.num_samples * (self.iterations + 1)
        return self.num_samples

    def to_json(self) -> str:
        """The settings as JSON; ``from_json`` reads them back unchanged."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> RunConfig:
        """The settings that ``to_json`` wrote.

        Raises:
            ConfigError: the text is not JSON, holds an unknown name, or a value out of range.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"The settings are not valid JSON: {error}.") from error
        if not isinstance(values, dict):
            raise ConfigError("The settings must be one JSON object, of names and values.")
        known = {f.name for f in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ConfigError(
                f"Unknown setting {unknown[0]!r}. Known are {', '.join(sorted(known))}."
            )
        try:
            return cls(**values)
        except (TypeError, AttributeError) as error:
            raise ConfigError(
                "A setting is missing, or has a value of another kind than a number, a text or a "
                "list as it should be. Compare it with the settings of a run of this version."
            ) from error


def _check_persons(config: RunConfig) -> None:
    check_one_of("persons", config.persons, PERSON_RULES)
    check_whole("votes of a person", config.person_votes, 1, 100)
    if config.persons == "none" and config.person_votes != 1:
        raise ConfigError(
            f"The votes of a person are {config.person_votes}, but nothing names the persons, so "
            "that every image is protected on its own. Say by persons what names them, or leave "
            "the votes of a person at 1."
        )
    if config.persons != "none" and config.classes == "auto":
        raise ConfigError(
            f"What names the persons is {config.persons!r}, but what names the classes is 'auto', "
            "which may take a person for a class. Set classes to folder, prefix or none."
        )


def _check_class_names(config: RunConfig) -> None:
    names = config.class_names
    if not names:
        return
    if any(name != name.strip() or not name or "/" in name or "," in name for name in names):
        raise ConfigError(
            "One of the declared classes is empty, has a '/' or ',' in it, or a space at an end. "
            "Name each class as its folder or the start of its file names is called, and rename "
            "those with a comma or such a space."
        )
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f"The class {twice!r} is declared twice. Name each class once.")
    if config.classes not in ("folder", "prefix"):
        raise ConfigError(
            f"Classes are declared, but what names an image's class is {config.classes!r}. Set "
            "classes to folder or prefix, so that one image cannot change the rule."
        )


def _check_class_map(config: RunConfig) -> None:
    if not config.class_map:
        return
    if config.classes == "none":
        raise ConfigError(
            "Classes are renamed or left out, but what names an image's class is 'none'. Set "
            "classes to auto, folder or prefix."
        )
    for old, new in config.class_map.items():
        if not isinstance(new, str) or not old:
            raise ConfigError("What a class is renamed to must be a text. Type a name.")
        if new != new.strip() or len(new) > MAX_CLASS_NAME or not _is_plain(new):
            raise ConfigError(
                f"The class {old!r} cannot be called {new!r}. Choose a name of at most "
                f"{MAX_CLASS_NAME} characters without '/' or ',', line breaks or spaces at its "
                "ends; an empty one leaves the class out."
            )
        if config.class_names and new and new not in config.class_names:
            raise ConfigError(
                f"The class {old!r} is to be called {new!r}, which is none of the declared "
                "classes. Declare it, too, or choose one that is declared."
            )


def _is_plain(name: str) -> bool:
    return not any(character in "/," or not character.isprintable() for character in name)
