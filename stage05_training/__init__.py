"""Stage 05 · training: from text to a trained model.

Import from here whatever the exercises ask for: `from stage05_training import AdamW`.
Whether that is your code or the reference is decided by `bootcamp.stages`.
"""

from bootcamp.stages import open_stage

__path__, __getattr__ = open_stage(__name__)
