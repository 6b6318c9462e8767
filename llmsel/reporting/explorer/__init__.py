"""A decision that can be watched: frames, films of frames, and explorers with sliders."""

from llmsel.reporting.explorer.courses import audit, course, race, thinned
from llmsel.reporting.explorer.film import animation, player
from llmsel.reporting.explorer.live import Explorer, Film, Sliders
from llmsel.reporting.explorer.sitting import Setting, frames, of_models, play, sample

__all__ = [
    "Explorer",
    "Film",
    "Setting",
    "Sliders",
    "animation",
    "audit",
    "course",
    "frames",
    "of_models",
    "play",
    "player",
    "race",
    "sample",
    "thinned",
]
