"""``python -m benchmarks``: every ratio of speed and memory beside its goal."""

from benchmarks.speed import main

main()
