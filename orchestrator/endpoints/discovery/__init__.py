"""Models that run somewhere and are named by nobody: found by Docker's labels, or behind one DNS name.

where       what `--discover` says: the engine, one project of it, or HOST:PORT
connection  which engine is asked, and what is wrong with one that cannot be; `check` uses it, too
engine      Docker through its SDK: containers as the engine describes them
labels, history     by what a container is found, and when it is only counted
place       where a model may be, as far as it is known without asking it
log_lines   what a container wrote, for people to read
containers, alias   what is there, as places: addresses, and why a place has none
survey      who answers at the places; one look is shared by all who ask within a second
joining     a run's side: wait for what is starting, choose, keep looking while the run goes on
listing     `orchestrator models`: everything, also what the user has named
"""
