"""What an audit has found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One line of the audit's table.

    Attributes:
        audit: which audit made it.
        checked: what was checked, for people.
        figure: what was measured.
        bound: what it had to keep.
        held: whether it did.
        sees_half_noise: whether this check claims to notice noise of half the right σ.
    """

    audit: str
    checked: str
    figure: str
    bound: str
    held: bool
    sees_half_noise: bool = False
