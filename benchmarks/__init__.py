"""The course's code beside the libraries that people use in earnest. Needs what `requirements-dev.txt` lists.

Each module is a benchmark: `python -m benchmarks.tokenizer_training`. Times of a machine say little about another one,
so that what counts are ratios of times that were taken in turns in one run.
"""
