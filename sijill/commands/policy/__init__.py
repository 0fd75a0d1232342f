"""`sijill policy`: checking packs, trying them on files, explaining and comparing what they do."""

from sijill.commands.policy import calibrate, check, compare, explain, score, stability
from sijill.commands.policy.app import app

__all__ = ["app", "calibrate", "check", "compare", "explain", "score", "stability"]
