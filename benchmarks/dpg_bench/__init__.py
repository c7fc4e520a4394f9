"""DPG-Bench: dense prompts, each checked by a graph of yes/no questions to a VQA model."""
