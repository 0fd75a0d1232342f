"""A synthetic country that delivers files as its institutions would, defects included.

`simulate` is the public face. Only the command line imports this room: nothing on the main path may know
that its deliveries were simulated, and only evaluation reads the truth.
"""

from simulation.simulate import DEFAULT_CYCLE, SimulatedFile, SimulationReport, simulate

__all__ = ["DEFAULT_CYCLE", "SimulatedFile", "SimulationReport", "simulate"]
