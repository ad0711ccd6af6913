"""Data sets: MMAD's two formats read and checked, the sample data set drawn, MMAD itself downloaded.

Light on purpose: each module is imported where it is used, so that `orchestrator --help` stays quick.
"""
