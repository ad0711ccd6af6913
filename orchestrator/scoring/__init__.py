"""Reading letters, accuracies, MMAD's own protocol, intervals and tests, as docs/methodology.md describes.

Nothing is imported here: `orchestrator --help` must not load numpy or scipy.
"""
