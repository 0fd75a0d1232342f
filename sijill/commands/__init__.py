"""The groups of commands of `sijill`, one module each."""
