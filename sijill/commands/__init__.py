"""Commands of `sijill` that have a module of their own."""
