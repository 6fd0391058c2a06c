"""The systems: each turns names and unlabelled images into a segmenter, with one call a step of its paper.

One file a system; `registry` lists them by name, `runs` carries one out in a run folder, `labelling` makes a
dataset of it, `exporting` a program; `finding` looks for one very object.
"""

from namesake.systems.exporting import export
from namesake.systems.finding import find
from namesake.systems.labelling import label
from namesake.systems.planning import Plan, plan_lines
from namesake.systems.registry import SYSTEMS, System
from namesake.systems.runs import configure, plan, run

__all__ = ["SYSTEMS", "Plan", "System", "configure", "export", "find", "label", "plan", "plan_lines", "run"]
