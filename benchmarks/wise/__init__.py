"""WISE: prompts that ask for world knowledge, judged by a vision-language model."""
