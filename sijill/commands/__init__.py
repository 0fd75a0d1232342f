"""Groups of `sijill` commands, one package or module each."""
