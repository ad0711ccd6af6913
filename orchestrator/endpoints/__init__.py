"""Where the models are: the command line, a file, this checkout's own services; and who answers there."""
