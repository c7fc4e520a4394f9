"""GenEval 2: 800 prompts of three to ten atoms, scored by a VQA model's token probabilities (Soft-TIFA)."""
