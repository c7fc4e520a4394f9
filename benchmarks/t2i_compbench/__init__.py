"""T2I-CompBench's attribute binding: colour, shape and texture, by BLIP-VQA over a prompt's noun phrases."""
