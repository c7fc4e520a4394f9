"""The toy Janus's tokenizer: a byte-level BPE in which every word of the world is one token."""

from __future__ import annotations

import json
from pathlib import Path

from janus_eval.benchmarks.toy.world import COLOR_NAMES, NAMES
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

BOS, EOS, PAD = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"
IMAGE, BOI, EOI, USER, ASSISTANT = (
    "<image_placeholder>",
    "<begin_of_image>",
    "<end_of_image>",
    "<|User|>",
    "<|Assistant|>",
)
SPECIAL = (BOS, EOS, PAD, IMAGE, BOI, EOI, USER, ASSISTANT)

SENTENCES = """
a photo of an and left right above below two three four one zero none The picture shows is The the of to in on image
picture scene this that there are Is Are Does Do What Which How many Where Who Is there in the image? in this image?
in the picture? Please answer yes or no. Answer the question using a single word or phrase. Answer with the option's
letter from the given choices directly. Answer the question directly. Hint: Question: Options: There are several
options: Please select the correct answer from the options above. Select the best answer. Choose the letter. color
colour colors thing things object objects number total kind kinds many more than fewer less as same different largest
Yes No yes no Red Orange Yellow Green Blue Purple Pink Brown Black White One Two Three Four Zero Five five A. B. C. D.
E. A B C D (A) (B) (C) (D) letter letters option options word caption correct describe describes Describe You are a
helpful assistant. Please answer truthfully and write out your thinking step by step to be sure you get the right
answer. You are a helpful language and vision assistant. You are able to understand the visual content that the user
provides, and assist the user with a variety of tasks using natural language. First please perform reasoning, and
think provide best Name name every each how where what which who when there here it its with without both either
neither not no top bottom left right side upper lower half near next far from farthest closest between middle center
corner background drawn drawing made <image 1> <image 2> plus minus times equal equals sum add added together double
twice cost costs price dollars if see seen shown position relation relative located location count counted counting
Count appear appears appearing contain contains have has 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 18 20 24 fruit
animal vehicle furniture food tool can eat eaten drive sit wear tell time used use for Which one What color What is
Does it have been question answer Answers following
"""


def corpus() -> list[str]:
    """Return the texts that the merges are learned from: every word alone, with and without a space before it."""
    words = SENTENCES.split()
    for name in NAMES:
        words += [name, f"{name}s", name.capitalize(), f"{name}s".capitalize()]
    words += [*COLOR_NAMES, *(color.capitalize() for color in COLOR_NAMES)]
    return [form for word in words for form in (word, f" {word}") for _ in range(3)]


def build() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = [AddedToken(text, special=True, normalized=False) for text in SPECIAL]
    trainer = trainers.BpeTrainer(
        vocab_size=1600,
        min_frequency=1,
        special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    return tokenizer


def save(folder: Path) -> Tokenizer:
    """Write tokenizer.json and its companions in the layout of a released Janus folder."""
    tokenizer = build()
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"bos_token": BOS, "eos_token": EOS, "pad_token": PAD}
    special = {"additional_special_tokens": [IMAGE, BOI, EOI, USER, ASSISTANT], **names}
    (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=2, ensure_ascii=False) + "\n")
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "add_bos_token": True, "padding_side": "left", **names}
    config["model_max_length"] = 512
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n")
    return tokenizer
