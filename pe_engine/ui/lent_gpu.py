"""ZeroGPU: a Space whose GPU is lent to a visitor for one call at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pe_engine.errors import RunError
from pe_engine.ui.house import House

if TYPE_CHECKING:
    from pe_engine.zero_gpu import Call

NOTICE = (
    "The GPU is lent to this page for one generation at a time. What is computed from your images "
    "waits on the server's disk between two generations, and is deleted when the run is done."
)


def is_zero_gpu(environment: Mapping[str, str]) -> bool:
    """Whether this Space has a GPU only while somebody asks for it."""
    return environment.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def lent(house: House) -> House:
    """The same house where each generation of a run borrows the GPU.

    To be called before anything loads torch: ``spaces`` has to change it first.
    """
    import spaces

    from pe_engine.zero_gpu import on_loan, one_generation

    call = spaces.GPU(duration=lambda folder, home, until, seconds: round(seconds))(one_generation)
    return replace(
        house,
        driver=on_loan(told_plainly(call)),
        keeps_features=True,
        notices=(*house.notices, NOTICE),
    )


def told_plainly(call: Call) -> Call:
    """``call`` with the refusals of ZeroGPU as errors of ours: no quota, no GPU, a call cut off."""
    import gradio as gr

    def plain(*given: Any) -> Iterator[Any]:
        try:
            yield from call(*given)
        except gr.Error as error:
            raise RunError(
                f"ZeroGPU says: {error.message} Nothing is lost. Resume when you have quota again."
            ) from error

    return plain


def announce() -> None:
    """Tell Hugging Face which functions borrow the GPU; it expects that before the first visitor.

    Gradio's ``launch`` would do it, but this page is mounted in a server of its own.
    """
    from spaces.zero import startup

    startup()
