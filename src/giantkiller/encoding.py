"""From comments to token ids, at the cost of a dictionary lookup a word.

BERT's tokenizer treats the words of a text one by one, so their ids can be remembered. What this gives
equals what the `tokenizers` package gives for the whole text, at about a tenth of its time: tokenizing
in full costs as much as half of a model this small.
"""

import contextlib
import re
import time
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from giantkiller.cleaning import MAX_CHARS, SPACED, clean_text
from giantkiller.errors import UserError

ID = np.dtype(np.int32)
"""Ids travel as the bytes of such integers: joining, cutting and comparing bytes is fast."""

_REMEMBERED = 65_536  # words, and as many blank-separated chunks: some 10 MB each
_LONGEST = 40  # characters of what is remembered
_ASCII_WORDS = re.compile(r"[a-z0-9]+|[!-/:-@\[-`{-~]")
_YIELD_EVERY = 16


class _Words(dict[str, bytes]):
    """The ids of lower-case ASCII words and signs."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self._tokenizer = tokenizer

    def __missing__(self, word: str) -> bytes:
        whole = self._tokenizer.token_to_id(word)
        ids = [whole] if whole is not None else self._tokenizer.encode(word, add_special_tokens=False).ids
        packed = np.array(ids, ID).tobytes()
        if len(word) <= _LONGEST:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[word] = packed
        return packed


class _Chunks(dict[str, bytes]):
    """The ids of whatever stands between two blanks, as it stands there."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self._tokenizer = tokenizer
        self._words = _Words(tokenizer)

    def ids(self, chunk: str) -> bytes:
        """Give a chunk's ids without remembering the chunk."""
        if chunk.isascii():
            return b"".join(map(self._words.__getitem__, _ASCII_WORDS.findall(chunk.lower())))
        return np.array(self._tokenizer.encode(chunk, add_special_tokens=False).ids, ID).tobytes()

    def __missing__(self, chunk: str) -> bytes:
        packed = self.ids(chunk)
        if len(chunk) <= _LONGEST:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[chunk] = packed
        return packed


class _Innocent(dict[str, bytes]):
    """The ids of chunks in which cleaning finds nothing to do; KeyError for the others.

    Cleaning works within chunks, but for letters spaced out and for look-alikes, which depend on the rest
    of the text. So a text that has neither, and only innocent chunks, is clean.
    """

    def __init__(self, chunks: _Chunks) -> None:
        super().__init__()
        self._chunks = chunks

    def __missing__(self, chunk: str) -> bytes:
        if not chunk.isascii():
            from giantkiller.cleaning.glyphs import FOREIGN

            if FOREIGN.search(chunk) or unicodedata.combining(chunk[0]):
                raise KeyError(chunk)
        if clean_text(chunk) != chunk:
            raise KeyError(chunk)
        packed = self._chunks.ids(chunk)
        if len(chunk) <= _LONGEST:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[chunk] = packed
        return packed


class Encoder:
    """A bundle's tokenizer.

    Parameters: `path`, a tokenizer.json; `max_length`, tokens a text may have, special ones included.
    Raises UserError where the file is no tokenizer.
    """

    def __init__(self, path: Path, max_length: int) -> None:
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the package raises bare Exception
            raise UserError(f"{path} is no tokenizer that this version of `tokenizers` reads") from error
        tokenizer.no_padding()
        tokenizer.no_truncation()
        # "[SEP]" in a comment is six characters that somebody typed, not the end of it.
        tokenizer.encode_special_tokens = True
        self._tokenizer = tokenizer
        frame = tokenizer.encode("").ids
        half = len(frame) // 2
        self._before = np.array(frame[:half], ID).tobytes()
        self._after = np.array(frame[half:], ID).tobytes()
        self._room = (max_length - len(frame)) * ID.itemsize
        if self._room <= 0:
            raise UserError(f"{path}: its special tokens leave no room within {max_length} tokens")
        self._chunks = _Chunks(tokenizer)
        self._innocent = _Innocent(self._chunks)
        self._by_words = _is_bert_uncased(tokenizer)

    def encode(self, texts: Iterable[str], *, clean: bool = True, yielding: bool = False) -> list[bytes]:
        """Give each text's ids, special tokens included, as packed `ID` integers.

        Parameters: `texts`; `clean`, whether they still have to go through `clean_text`; `yielding`,
        let other threads of Python have their turn often.
        """
        ids = self._clean_ids if clean else self.ids
        rows = []
        for i, text in enumerate(texts):
            rows.append(self._before + ids(text)[: self._room] + self._after)
            if yielding and i % _YIELD_EVERY == 0:
                time.sleep(0)
        return rows

    def ids(self, text: str) -> bytes:
        """Give the ids of a cleaned text, uncut and without special tokens, as packed `ID` integers."""
        if self._by_words:
            return b"".join(map(self._chunks.__getitem__, text.split()))
        return np.array(self._tokenizer.encode(text, add_special_tokens=False).ids, ID).tobytes()

    def _clean_ids(self, text: str) -> bytes:
        """Give what `ids(clean_text(text))` gives, without cleaning where memory says it is not needed."""
        if self._by_words and len(text) <= MAX_CHARS and not SPACED.search(text):
            chunks = text.split()
            # Blanks beyond ASCII count as gaps for spaced letters only once they are normalised.
            if text.isascii() or " ".join(chunks) == text:
                with contextlib.suppress(KeyError):
                    return b"".join(map(self._innocent.__getitem__, chunks))
        return self.ids(clean_text(text))

    @property
    def size(self) -> int:
        """How many token ids there are."""
        return self._tokenizer.get_vocab_size()

    @property
    def room(self) -> int:
        """Tokens that a text may have, special ones not counted."""
        return self._room // ID.itemsize


def _is_bert_uncased(tokenizer: Tokenizer) -> bool:
    """Tell whether words can be tokenized one by one and in lower case."""
    normalizer = tokenizer.normalizer
    return (
        isinstance(tokenizer.model, models.WordPiece)
        and isinstance(tokenizer.pre_tokenizer, pre_tokenizers.BertPreTokenizer)
        and isinstance(normalizer, normalizers.BertNormalizer)
        and normalizer.lowercase
        and normalizer.strip_accents is not False
    )
