"""Janus, Janus-Pro: checkpoints of both formats, prompts, pixels and the generation engine."""
