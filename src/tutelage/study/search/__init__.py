"""Search for settings on validation data within a budget: of trials (Optuna) or of time (successive halving)."""

from tutelage.study.search.halving import Choice, choose, default_candidates
from tutelage.study.search.rounds import Candidate, Round, expected_seconds, round_lengths, survivors
from tutelage.study.search.sampling import Trial, search

__all__ = [
    "Candidate",
    "Choice",
    "Round",
    "Trial",
    "choose",
    "default_candidates",
    "expected_seconds",
    "round_lengths",
    "search",
    "survivors",
]
