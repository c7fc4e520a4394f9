"""GenAI-Bench: 1600 compositional prompts, scored by how likely a VQA model says that a picture shows its prompt."""
