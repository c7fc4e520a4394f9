"""UniGenBench: 600 prompts with checkpoints of 27 kinds, each judged 0 or 1 by a vision-language model."""
