"""janus-eval: one harness for models that both understand and draw pictures."""
