"""Calibrating a proxy means test on a household survey.

What belongs here: reading a survey by a spec, fitting and cross-validating regressions, and writing the card with its
accuracy. What does not: deciding anybody's right. What is written is a pack whose every row is `illustrative`.
"""

from sijill.policy.calibration.fitting import Calibration, calibrate
from sijill.policy.calibration.spec import CalibrationSpec, load_spec

__all__ = ["Calibration", "CalibrationSpec", "calibrate", "load_spec"]
