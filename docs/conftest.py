"""The pages hold the doctests; examples are run by the build."""

collect_ignore_glob = ["conf.py", "_ext/*", "_build/*", "auto_examples/*", "generated/*", "examples/*.py"]
