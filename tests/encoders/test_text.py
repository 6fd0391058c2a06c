import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer, GemmaTokenizer

from namesake.encoders import load_clip
from namesake.encoders.text import load_tokenizer
from namesake.errors import WeightsError

Tiny = Callable[[str], Path]


def with_end_token(source: Path, folder: Path, eos_token_id: int) -> Path:
    """A copy whose text configuration claims another end-of-text token."""
    shutil.copytree(source, folder)
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["eos_token_id"] = eos_token_id
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("eos_token_id", [2, 5, 13])
def test_end_token_that_the_text_encoder_would_not_find_is_refused(
    eos_token_id: int, tiny: Tiny, tmp_path: Path
) -> None:
    folder = with_end_token(tiny("clip"), tmp_path / "clip", eos_token_id)
    with pytest.raises(WeightsError, match=rf"text_config\.eos_token_id is {eos_token_id}.*with id 3"):
        load_clip(str(folder), device="cpu")


def test_end_token_2__largest_id_of_one_text_but_not_of_the_vocabulary_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    folder = with_end_token(tiny("clip"), tmp_path / "clip", 2)
    text = (folder / "tokenizer.json").read_text()
    words = json.loads(text)
    words["model"]["vocab"] |= {"[EOS]": 4, "a": 3}  # "cat" and "dog" still come after it
    words["post_processor"]["special_tokens"]["[EOS]"]["ids"] = [4]
    for token in words["added_tokens"]:
        token["id"] = 4 if token["content"] == "[EOS]" else token["id"]
    (folder / "tokenizer.json").write_text(json.dumps(words))
    with pytest.raises(WeightsError, match=r"largest token id.*ends texts with id 4"):
        load_clip(str(folder), device="cpu")


def test_openai_layout__end_token_2_in_the_configuration_and_last_in_the_vocabulary(tmp_path: Path) -> None:
    letters = [*"acdogt", *(f"{letter}</w>" for letter in "acdogt")]
    vocabulary = {word: number for number, word in enumerate([*letters, "<|startoftext|>", "<|endoftext|>"])}
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**sizes, "vocab_size": len(vocabulary), "max_position_embeddings": 9, "eos_token_id": 2}
    vision = {**sizes, "image_size": 8, "patch_size": 4}
    torch.manual_seed(0)
    model = CLIPModel(CLIPConfig(projection_dim=4, text_config=text, vision_config=vision)).eval()
    CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=9).save_pretrained(tmp_path)
    model.save_pretrained(tmp_path)
    entries = {"size": {"shortest_edge": 8}, "crop_size": 8, "image_mean": [0, 0, 0], "image_std": [1, 1, 1]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(entries))
    begin, end = vocabulary["<|startoftext|>"], vocabulary["<|endoftext|>"]
    ids = [begin, vocabulary["c"], vocabulary["a"], vocabulary["t</w>"], end]
    with torch.no_grad():
        wanted = model.text_projection(model.text_model(torch.tensor([ids])).last_hidden_state[0, -1])
    found = load_clip(str(tmp_path), device="cpu").embed_texts(["CAT", "a dog dog"])[0]
    np.testing.assert_allclose(found, wanted / wanted.norm(), atol=1e-5)


def test_vocabulary_larger_than_the_text_encoders(tiny: Tiny, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny("clip"), tmp_path / "clip")
    config = json.loads((folder / "config.json").read_text())
    with pytest.raises(WeightsError, match="14 words, but the text encoder only 9"):
        load_tokenizer(
            folder,
            source="here",
            model_type="clip",
            text_config=type("Config", (), config["text_config"] | {"vocab_size": 9}),
        )


def test_damaged_tokenizer(tiny: Tiny, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny("clip"), tmp_path / "clip")
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(WeightsError, match="tokenizer in .* cannot be read"):
        load_clip(str(folder), device="cpu")


def test_siglip_2_layout__lower_case_end_token_and_padding_on_the_right(tmp_path: Path) -> None:
    letters = list("acdogt▁")
    vocabulary = {word: number for number, word in enumerate(["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *letters])}
    tokenizer = GemmaTokenizer(vocab=vocabulary, merges=[], add_bos_token=False, add_eos_token=True)
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "siglip"}))
    config = type("Config", (), {"vocab_size": 20, "max_position_embeddings": 7, "eos_token_id": 1})
    batch = load_tokenizer(tmp_path, source="here", model_type="siglip", text_config=config)(["CAT", "doggo dog"])
    assert list(batch) == ["input_ids"]
    words = [[list(vocabulary)[number] for number in row] for row in batch["input_ids"].tolist()]
    assert words[0] == ["c", "a", "t", "<eos>", "<pad>", "<pad>", "<pad>"]
    assert words[1] == ["d", "o", "g", "g", "o", "▁", "<eos>"]
