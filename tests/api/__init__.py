"""Black-box tests of the handlers: an event in, an answer out."""
