"""The version of the whole project: the orchestrator, the kit and the images are released together."""

__version__ = "0.1.0"
