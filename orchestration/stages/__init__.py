"""The stages of a cycle, one module each, in the order in which data flows through them."""
