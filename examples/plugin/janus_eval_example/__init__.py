"""A model and a suite for janus-eval, in a package of their own."""
