"""TIIF-Bench: prompts in a short and a long form, yes/no questions about each picture to a judge that sees."""
