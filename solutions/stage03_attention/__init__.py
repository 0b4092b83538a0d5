"""Stage 03 · attention: who looks at whom.

Import from here whatever the exercises ask for: `from stage03_attention import MultiHeadAttention`.
Whether that is your code or the reference is decided by `bootcamp.stages`.
"""

from bootcamp.stages import open_stage

__path__, __getattr__ = open_stage(__name__)
