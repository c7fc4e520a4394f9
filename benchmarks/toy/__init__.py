"""The embedded world: scenes, questions and data sets made by seed, small enough for a laptop."""
