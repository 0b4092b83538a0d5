"""Grading: what graders are written with, and what runs them.

Graders import `check` and `written` from here. `Grader` runs the tests of a stage in a worker process, where
nothing that the graded code does can harm the run; the command line and the pytest plugin both stand on it.
"""

from bootcamp.grading import check
from bootcamp.grading.written import written

__all__ = ["check", "written"]
