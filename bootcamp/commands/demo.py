"""`demo`"""

from __future__ import annotations

import argparse


def demo(arguments: argparse.Namespace) -> int:
    raise NotImplementedError
