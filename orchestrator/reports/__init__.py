"""What people and programs get to see of a run: the terminal, files in MMAD's form, summary.json, exports."""
