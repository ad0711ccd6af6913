"""Putting a plan's inspections to models, each at its own pace, through every passing fault."""
