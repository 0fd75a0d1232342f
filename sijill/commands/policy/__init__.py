"""`sijill policy`: checking packs, trying them on files, explaining and comparing them; and what people decide."""

from sijill.commands.policy import adjudicate, calibrate, check, compare, explain, score, stability
from sijill.commands.policy.app import app

__all__ = ["adjudicate", "app", "calibrate", "check", "compare", "explain", "score", "stability"]
