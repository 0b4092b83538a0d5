"""`python -m bootcamp …`: see that the environment is there, then do what was asked."""

# Everything up to `main` has to run on the standard library alone, and to be readable by an old Python.
import sys


def start():
    if sys.version_info < (3, 11):
        found = ".".join(map(str, sys.version_info[:3]))
        print(
            "The course needs Python 3.11 or newer, and this is Python %s (%s). Install a newer one from python.org or "
            "your system's packages, and run the same command with it, such as: python3.12 -m bootcamp"
            % (found, sys.executable),
            file=sys.stderr,
        )
        return 2
    from bootcamp import environment

    problem = environment.prepare(sys.argv[1:])
    if problem:
        print(problem, file=sys.stderr)
        return 2
    from bootcamp.cli import main

    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(start())
