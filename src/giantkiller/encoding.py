"""From comments to token ids, at the cost of a dictionary lookup a word.

BERT's tokenizer treats the words of a text one by one, so their ids can be remembered. The result equals
what the `tokenizers` package returns for the whole text, at about a tenth of its time: tokenizing in full
costs as much as half of a model this small.
"""

import contextlib
import re
import time
import unicodedata
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from giantkiller.cleaning import MAX_CHARS, SPACED, Cleaned, clean, clean_text, undisguised
from giantkiller.cleaning.spelling import may_be_piece, may_join, mended, well_spelt
from giantkiller.errors import UserError

ID = np.dtype(np.int32)
"""A row of ids travels as the bytes of such integers: joining, cutting and comparing bytes is fast."""

_REMEMBERED = 65_536  # words, and as many blank-separated chunks: some 10 MB each
_LONGEST = 40  # characters of what is remembered
_ASCII_WORDS = re.compile(r"[A-Za-z0-9]+|[!-/:-@\[-`{-~]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_YIELD_EVERY = 16


def length(row: bytes) -> int:
    """Return the number of tokens in a row of ids."""
    return len(row) // ID.itemsize


def unpack(row: bytes) -> NDArray[np.int32]:
    """Return a row of ids as an array, shape (tokens,); read-only."""
    return np.frombuffer(row, ID)


def pack(ids: Iterable[int]) -> bytes:
    """Return ids as a row."""
    return np.fromiter(ids, ID).tobytes()


class Encoder:
    """Text to ids, for training, export and scoring alike. Special tokens in a text are plain text.

    Args:
        tokenizer: A tokenizer, or a tokenizer.json. BERT's WordPiece tokenizers are read word by word, any
            other reads whole texts; a tokenizer given is not changed.
        max_length: Tokens that a text may have, special ones included.
        cleans: Whether texts are cleaned first, as our models expect; those of others read what people wrote.

    Raises:
        UserError: The file is no tokenizer, or one that can't encode every text.
    """

    def __init__(self, tokenizer: Tokenizer | str | Path, max_length: int, *, cleans: bool = True) -> None:
        name = "the tokenizer" if isinstance(tokenizer, Tokenizer) else str(tokenizer)
        try:
            if isinstance(tokenizer, Tokenizer):
                tokenizer = Tokenizer.from_str(tokenizer.to_str())
            else:
                tokenizer = Tokenizer.from_file(str(tokenizer))
        except Exception as error:  # the package raises bare Exception
            raise UserError(f"{name} is no tokenizer that this version of `tokenizers` reads") from error
        tokenizer.no_padding()
        tokenizer.no_truncation()
        # "[SEP]" in a comment is six characters that somebody typed, not the end of it.
        tokenizer.encode_special_tokens = True
        try:
            sample = tokenizer.encode("a \U0001f9ff")
        except Exception as error:
            raise UserError(f"{name} can't encode every text: it lacks a token for the unknown") from error
        if not tokenizer.get_vocab_size():
            raise UserError(f"{name} has an empty vocabulary")
        self._tokenizer = tokenizer
        text = [i for i, special in enumerate(sample.special_tokens_mask) if not special] or [0]
        self._before = pack(sample.ids[: text[0]])
        self._after = pack(sample.ids[text[-1] + 1 :])
        self._room = max_length * ID.itemsize - len(self._before) - len(self._after)
        if self._room <= 0:
            raise UserError(f"{name}: its special tokens leave no room within {max_length} tokens")
        self._lowercase = getattr(tokenizer.normalizer, "lowercase", False)
        self._words = _Memory(self._word_ids)
        self._chunks = _Memory(self._chunk_ids)
        self._spelt = _Memory(self._spelt_ids)
        self._by_words = _is_word_by_word(tokenizer)
        self._cleans = cleans

    def clean(self, text: str) -> Cleaned:
        """Return what is read of a text, with the way back to the original."""
        if self._cleans:
            return clean(text)
        text = _as_written(text)
        return Cleaned(text, range(len(text)))

    def encode(self, texts: Iterable[str]) -> list[bytes]:
        """Clean texts and return a row of ids for each: packed `ID` integers, special tokens included."""
        return self._rows(
            texts, self._clean_ids if self._cleans else lambda text: self.ids(_as_written(text))
        )

    def encode_cleaned(self, texts: Iterable[str]) -> list[bytes]:
        """Return what `encode` returns, for texts that went through `clean` or `clean_text` before."""
        return self._rows(texts, self.ids)

    def ids(self, text: str) -> bytes:
        """Return the ids of a cleaned text, uncut and without special tokens."""
        if self._by_words:
            return b"".join(map(self._chunks.__getitem__, text.split()))
        return pack(self._tokenizer.encode(text, add_special_tokens=False).ids)

    @property
    def size(self) -> int:
        """The number of token ids."""
        return self._tokenizer.get_vocab_size()

    @property
    def room(self) -> int:
        """Tokens that a text may have, special ones not counted."""
        return self._room // ID.itemsize

    def _rows(self, texts: Iterable[str], ids: Callable[[str], bytes]) -> list[bytes]:
        rows = []
        for i, text in enumerate(texts, 1):
            rows.append(self._before + ids(text)[: self._room] + self._after)
            if i % _YIELD_EVERY == 0:
                time.sleep(0)  # other threads, which run the model, want their turn often
        return rows

    def _clean_ids(self, text: str) -> bytes:
        """Return `ids(clean_text(text))`, without cleaning where memory says that it is not needed."""
        if self._by_words and len(text) <= MAX_CHARS and not SPACED.search(text):
            chunks = text.split()
            # Blanks beyond ASCII count as gaps for spaced letters only once they are normalised.
            if text.isascii() or " ".join(chunks) == text:
                with contextlib.suppress(_NeedsCleaningError):
                    parts = list(map(self._spelt.__getitem__, chunks))
                    if _Piece not in set(map(type, parts)) or not _has_split(chunks, parts):
                        return b"".join(parts)
        return self.ids(clean_text(text))

    def _word_ids(self, word: str) -> bytes:
        """Return the ids of an ASCII word or sign, in lower case if the model is uncased."""
        whole = self._tokenizer.token_to_id(word)
        return pack(
            [whole] if whole is not None else self._tokenizer.encode(word, add_special_tokens=False).ids
        )

    def _chunk_ids(self, chunk: str) -> bytes:
        """Return the ids of whatever stands between two blanks."""
        if chunk.isascii():
            words = _ASCII_WORDS.findall(chunk.lower() if self._lowercase else chunk)
            return b"".join(map(self._words.__getitem__, words))
        return pack(self._tokenizer.encode(chunk, add_special_tokens=False).ids)

    def _spelt_ids(self, chunk: str) -> bytes:
        """Return the ids of a chunk in which cleaning at most mends words, raise for the others.

        Mending works within chunks. So does all cleaning but for letters spaced out, for look-alikes, for
        leetspeak and for words with a blank inside, which depend on the rest of the text.
        """
        if chunk.isascii() and undisguised(chunk):
            if well_spelt(chunk):
                return self._chunk_ids(chunk)
            cleaned = mended(chunk)
        else:
            if not chunk.isascii():
                from giantkiller.cleaning.glyphs import FOREIGN

                if FOREIGN.search(chunk) or unicodedata.combining(chunk[0]):
                    raise _NeedsCleaningError
            cleaned = clean_text(chunk)
            if cleaned != chunk:
                raise _NeedsCleaningError
        ids = b"".join(map(self._chunk_ids, cleaned.split()))
        return _Piece(ids) if may_be_piece(chunk) else ids


def _as_written(text: str) -> str:
    """Return a text as far as it is read, without the lone surrogates that no tokenizer takes."""
    return _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", text[:MAX_CHARS])


class _NeedsCleaningError(Exception):
    pass


class _Piece(bytes):
    """Ids of what may be a piece of a word with a blank inside."""


def _has_split(chunks: list[str], ids: list[bytes]) -> bool:
    """Return whether a word of a text may have a blank inside."""
    return any(
        _Piece in map(type, both) and may_join(*parts)
        for both, parts in zip(pairwise(ids), pairwise(chunks), strict=True)
    )


class _Memory(dict[str, bytes]):
    """What a function returned for short texts; forgets everything once it holds too much."""

    def __init__(self, function: Callable[[str], bytes]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, text: str) -> bytes:
        ids = self._function(text)
        if len(text) <= _LONGEST:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[text] = ids
        return ids


def _is_word_by_word(tokenizer: Tokenizer) -> bool:
    """Return whether the words of a text can be tokenized one by one."""
    return (
        isinstance(tokenizer.model, models.WordPiece)
        and isinstance(tokenizer.pre_tokenizer, pre_tokenizers.BertPreTokenizer)
        and isinstance(tokenizer.normalizer, normalizers.BertNormalizer)
        # Words that somebody added are looked for in the whole text, within words too.
        and all(token.special for token in tokenizer.get_added_tokens_decoder().values())
    )
