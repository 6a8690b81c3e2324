"""What a consensus of several codes says of each latent: in how many of them it is found."""

from typing import NamedTuple


class Recurrence(NamedTuple):
    """In how many codes of the same data each latent of one of them is found.

    A code that has one as its attribute `recurrence`, as a `Consensus` does, is explained with it.

    Examples:
        >>> found = Recurrence((5, 2, 1), codes=5)
        >>> found.recurring
        (0,)
        >>> found.in_words(0), found.in_words(2)
        ('found again in 5 of 5 codes', 'found in no other of 5 codes')
    """

    found_in: tuple[int, ...]
    """One for each latent; the code that it is of counts."""
    codes: int
    """How many codes there are."""

    @property
    def least(self) -> int:
        """In how many codes a latent must be found to recur: half of them, and at least two."""
        return max(2, (self.codes + 1) // 2)

    @property
    def recurring(self) -> tuple[int, ...]:
        """Latents that are found in at least half of the codes, and not in their own alone."""
        return tuple(i for i, count in enumerate(self.found_in) if count >= self.least)

    def in_words(self, latent: int) -> str:
        """Where a latent is found, such as "found again in 4 of 5 codes"."""
        count = self.found_in[latent]
        if count < 2:
            return f"found in no other of {self.codes} codes"
        return f"found again in {count} of {self.codes} codes"
