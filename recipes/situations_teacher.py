# ruff: noqa: T201
"""A teacher that knows situations: an encoder fine-tuned on situations, hate and a little Civil.

    python recipes/situations_teacher.py train --data DATA --base all-mpnet-base-v2 -o runs/situations-teacher
    python recipes/situations_teacher.py label --data DATA --base all-mpnet-base-v2 \\
        --teacher runs/situations-teacher -o runs/situations-labels

`--stored` in place of `--teacher` takes stored logits: recipes/situations-labels.npz has the larger
teacher's, recipes/situations-labels-3.npz to -5 those behind the shipped model. With both, a text's label
is the mean. `--states 128` keeps the teacher's pooled states, too. `hate` splits the hate sets by what
people were asked.

What is notable:
- The lower half of the encoder and its embeddings stay as they are, which saves a third of the time.
- One pass over everything; situations several times over, hate sets by quota: each asked another question.
- Labels that a data set's mapping only guessed count 0.3, and "hateful" is capped at 0.9: it is not "toxic".
- Mean of the tokens' states into seven logits; binary cross-entropy where a label is there.
"""

import argparse
import hashlib
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModel, AutoTokenizer

from giantkiller.attributes import ATTRIBUTES
from giantkiller.cleaning import clean_text
from giantkiller.data.augment.recombine import ordinary_sentences, recombine
from giantkiller.data.augment.remixes import similar_words
from giantkiller.data.situations import read_situations
from giantkiller.training.soft_labels import read_soft_labels, write_soft_labels

QUOTAS = {
    "dynahate": 0.34, "implicit_hate": 0.11, "mhs": 0.09, "hatexplain": 0.08, "cad": 0.08, "sbic": 0.08,
    "gab_hate": 0.06, "hatemojibuild": 0.06, "edos": 0.05, "stormfront": 0.05,
}  # fmt: skip
"""Share of each set among the hate rows. ToxiGen is for research only by its authors' word and stays out."""
GUESS_WEIGHT = 0.3
MOST_HATEFUL = 0.9
LENGTH = {"civil": 112, "other": 72}  # tokens

Row = tuple[str, list[float], list[float], int]  # text, targets, weights, tokens at most


class Teacher(nn.Module):
    """An encoder, the mean of its last states, and seven logits."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self.tokenizer = AutoTokenizer.from_pretrained(base)
        self.encoder = AutoModel.from_pretrained(base, add_pooling_layer=False)
        self.head = nn.Linear(self.encoder.config.hidden_size, len(ATTRIBUTES))

    def pooled(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the mean of the last states, (B, H), of (B, T) ids and mask."""
        states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state.float()  # (B, T, H)
        weights = mask[..., None].float()
        return (states * weights).sum(1) / weights.sum(1)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return (B, 7) logits of (B, T) ids and mask."""
        logits: torch.Tensor = self.head(self.pooled(ids, mask))
        return logits

    def freeze(self, layers: int) -> None:
        """Keep the embeddings and the first layers as they are."""
        frozen = [self.encoder.embeddings, *self.encoder.encoder.layer[:layers]]
        if hasattr(self.encoder.encoder, "relative_attention_bias"):
            frozen.append(self.encoder.encoder.relative_attention_bias)
        for part in frozen:
            part.requires_grad_(False)

    def pad(self, rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Pad token ids to the longest row."""
        ids = torch.full((len(rows), max(map(len, rows))), self.tokenizer.pad_token_id)
        mask = torch.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
            mask[i, : len(row)] = 1
        return ids, mask

    def outputs(
        self, texts: Sequence[str], *, bf16: bool, length: int = LENGTH["civil"], tokens: int = 4096
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return (n, 7) logits and (n, H) states of cleaned texts, in batches of about `tokens` by length."""
        rows = [self.tokenizer(text, truncation=True, max_length=length)["input_ids"] for text in texts]
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        logits = np.empty((len(rows), len(ATTRIBUTES)), np.float32)
        states = np.empty((len(rows), self.head.in_features), np.float16)
        self.eval()
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            while order:
                size = max(1, tokens // len(rows[order[-1]]))
                batch, order = order[-size:], order[:-size]
                pooled = self.pooled(*self.pad([rows[i] for i in batch]))
                states[batch] = pooled.float().numpy()
                logits[batch] = self.head(pooled).float().numpy()
        self.train()
        return logits, states


def read(path: Path) -> list[dict[str, Any]]:
    """Read a Parquet file as rows."""
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


def targets(row: dict[str, Any], most: float = 1.0) -> list[float]:
    """Return a row's seven targets, NaN where nobody asked."""
    return [float("nan") if row.get(a) is None else min(row[a], most) for a in ATTRIBUTES]


def training_rows(data: Path, args: argparse.Namespace, rng: random.Random) -> list[Row]:
    """Collect what the teacher learns from."""
    ones = [1.0] * len(ATTRIBUTES)
    rows: list[Row] = []
    for situation in read_situations("train"):
        rows += [(situation.text, list(situation.targets), ones, LENGTH["other"])] * args.situations
    hate = read(data / "hate_train.parquet")
    for name, quota in QUOTAS.items():
        own = [row for row in hate if row["source"].split("+")[0] == name]
        for row in rng.sample(own, min(len(own), int(quota * args.hate))):
            weights = [GUESS_WEIGHT if a in (row["guessed"] or "") else 1.0 for a in ATTRIBUTES]
            text = row["text"].lower() if rng.random() < 0.3 else row["text"]
            rows.append((text, targets(row, MOST_HATEFUL), weights, LENGTH["other"]))
    civil = [
        row
        for row in read(data / "civil_train.parquet")
        if row["toxicity"] is not None and row["label_kind"] != "weak"
    ]
    rows += [(r["text"], targets(r), ones, LENGTH["civil"]) for r in rng.sample(civil, args.civil)]
    return [(clean_text(text), goal, weights, most) for text, goal, weights, most in rows]


def plan(lengths: list[int], tokens: int, rng: random.Random) -> list[list[int]]:
    """Shuffle rows into batches of like length, at most `tokens` padded tokens each."""
    order = list(range(len(lengths)))
    rng.shuffle(order)
    batches: list[list[int]] = []
    for begin in range(0, len(order), 4096):
        chunk = sorted(order[begin : begin + 4096], key=lambda i: lengths[i] + 3 * rng.random())
        made: list[list[int]] = [[]]
        longest = 0
        for i in chunk:
            longest = max(longest, lengths[i])
            if made[-1] and longest * (len(made[-1]) + 1) > tokens:
                made.append([])
                longest = lengths[i]
            made[-1].append(i)
        rng.shuffle(made)
        batches += made
    return batches


def train(args: argparse.Namespace) -> None:
    """Fine-tune, one pass; goes on from the last saved step where there is one."""
    torch.manual_seed(args.seed)
    rng = random.Random(args.seed)
    teacher = Teacher(args.base)
    if args.start:
        teacher.load_state_dict(load_file(args.start / "model.safetensors"))
    teacher.freeze(args.frozen_layers)
    rows = training_rows(args.data, args, rng)
    ids = [teacher.tokenizer(row[0], truncation=True, max_length=row[3])["input_ids"] for row in rows]
    goals, weights = torch.tensor([row[1] for row in rows]), torch.tensor([row[2] for row in rows])
    batches = plan(list(map(len, ids)), args.batch_tokens, rng)
    body = [p for name, p in teacher.named_parameters() if p.requires_grad and "head" not in name]
    groups = [{"params": body, "times": 1.0}, {"params": teacher.head.parameters(), "times": 5.0}]
    optimizer = torch.optim.AdamW(groups, lr=args.learning_rate, weight_decay=0.01)
    args.output.mkdir(parents=True, exist_ok=True)
    print(f"{len(rows)} rows, {sum(map(len, ids))} tokens, {len(batches)} batches", flush=True)
    state, first = args.output / "state.pt", 0
    if state.exists():
        saved = torch.load(state, weights_only=True)
        teacher.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        first = saved["step"]
    began, mean = time.time(), 0.0
    for step in range(first, len(batches)):
        warm = min(1.0, (step + 1) / (0.06 * len(batches)))
        for group in optimizer.param_groups:
            decay = max(0.02, 1 - step / len(batches))
            group["lr"] = args.learning_rate * group["times"] * warm * decay
        batch = batches[step]
        with torch.autocast("cpu", torch.bfloat16, enabled=args.precision == "bf16"):
            logits = teacher(*teacher.pad([ids[i] for i in batch]))
        goal = goals[batch]
        weight = weights[batch] * ~goal.isnan()
        loss = nn.functional.binary_cross_entropy_with_logits(
            logits.float(), goal.nan_to_num(), weight, reduction="sum"
        ) / weight.sum().clamp(min=1)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(body, 1.0)
        optimizer.step()
        mean = 0.98 * mean + 0.02 * loss.item()
        if step % 100 == 99:
            print(f"{step + 1} of {len(batches)}, loss {mean:.4f}, {time.time() - began:.0f} s", flush=True)
            saved = {"model": teacher.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}
            torch.save(saved, state)
    save_file(teacher.state_dict(), args.output / "model.safetensors")
    state.unlink(missing_ok=True)


def text_hash(text: str) -> int:
    """Return 64 bits of a text's SHA-256."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def read_stored(path: Path) -> dict[int, np.ndarray]:
    """Read logits that were stored in tenths, by the hash of their text."""
    with np.load(path, allow_pickle=False) as file:
        return dict(zip(file["texts"].tolist(), file["tenths"].astype(np.float32) / 10, strict=True))


def store(args: argparse.Namespace) -> None:
    """Store logits in tenths, without their texts: a megabyte in place of an hour of labelling."""
    texts, logits = read_soft_labels(args.soft)
    hashes = np.array([text_hash(text) for text in texts], np.uint64)
    np.savez_compressed(
        args.output, texts=hashes, tenths=np.clip(np.round(logits * 10), -127, 127).astype(np.int8)
    )


def texts_to_label(args: argparse.Namespace, teacher: Teacher, rng: random.Random) -> list[str]:
    """Collect situations, texts made from them, and other people's hate and chat, cleaned."""
    situations = read_situations("train")
    ordinary = [row.text for row in situations if row.kind == "b14"]
    civil = read(args.data / "civil_train.parquet")
    calm = [row["text"] for row in civil if row["toxicity"] is not None and row["toxicity"] <= 0.1]
    background = ordinary_sentences([*ordinary * 4, *rng.sample(calm, 4000)])
    vectors = teacher.encoder.embeddings.word_embeddings.weight.detach().numpy()
    similar = similar_words(vectors, teacher.tokenizer.get_vocab())
    made = recombine(
        [row.text for row in situations],
        [row.kind for row in situations],
        background,
        args.recombined,
        args.seed,
        similar,
    )
    hate = [row["text"] for row in read(args.data / "hate_train.parquet") if row["source"] != "toxigen"]
    spare = [row["text"] for row in read(args.data / "hate_unlabelled.parquet")]
    chat = [row["text"] for row in read(args.data / "extra_text.parquet")]
    texts = [
        *(row.text for row in situations),
        *made,
        *rng.sample(hate, args.hate),
        *rng.sample(spare, args.hate // 8),
        *rng.sample(chat, args.chat),
    ]
    cleaned = list(dict.fromkeys(filter(None, map(clean_text, texts))))
    rng.shuffle(cleaned)
    return cleaned


def add_states(path: Path, states: np.ndarray, width: int) -> None:
    """Add columns of states to a file of soft labels: their principal components, of mean variance 1."""
    centred = states.astype(np.float32) - states.mean(axis=0, dtype=np.float32)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    kept = centred @ vectors[:, ::-1][:, :width]
    print(f"{width} of {states.shape[1]} dimensions hold {values[::-1][:width].sum() / values.sum():.1%}")
    kept = (kept / np.sqrt(kept.var(axis=0).mean())).astype(np.float16)
    table = pq.read_table(path)
    for i in range(width):
        table = table.append_column(f"state_{i}", pa.array(kept[:, i]))
    pq.write_table(table, path)


def label(args: argparse.Namespace) -> None:
    """Write a teacher's logits, and its states if asked to, of texts that know situations."""
    teacher = Teacher(args.base)
    if args.teacher:
        teacher.load_state_dict(load_file(args.teacher / "model.safetensors"))
    args.output.mkdir(parents=True, exist_ok=True)
    situations = read_situations("train")
    columns = {name: [row.targets[i] for row in situations] for i, name in enumerate(ATTRIBUTES)}
    own = {
        "text": [row.text for row in situations],
        **columns,
        "pair": [row.pair or None for row in situations],
    }
    pq.write_table(pa.table(own), args.output / "hand.parquet")
    cleaned = texts_to_label(args, teacher, random.Random(args.seed))
    known = read_stored(args.stored) if args.stored else {}
    if not args.teacher:
        cleaned = [text for text in cleaned if text_hash(text) in known]
        print(f"{len(cleaned)} texts have stored logits", flush=True)
    began, done = time.time(), 0
    states: dict[str, np.ndarray] = {}

    def progress(rows: int) -> None:
        nonlocal done
        done += rows
        print(f"{done} of {len(cleaned)}, {time.time() - began:.0f} s", flush=True)

    def outputs(some: Sequence[str]) -> np.ndarray:
        stored = [known.get(text_hash(text)) for text in some]
        if not args.teacher:
            return np.array(stored, np.float32)
        logits, pooled = teacher.outputs(some, bf16=args.precision == "bf16")
        states.update(zip(some, pooled, strict=True))
        for i, other in enumerate(stored):
            logits[i] = logits[i] if other is None else (logits[i] + other) / 2
        return logits

    soft = args.output / "soft.parquet"
    write_soft_labels(soft, cleaned, outputs, progress)
    if args.states:
        add_states(soft, np.stack([states[text] for text in read_soft_labels(soft)[0]]), args.states)


def split_hate(args: argparse.Namespace) -> None:
    """Write what people were asked about hate sets, a file a question, and what was guessed of toxicity."""
    args.output.mkdir(parents=True, exist_ok=True)
    rng = random.Random(args.seed)
    rows = [row for row in read(args.data / "hate_train.parquet") if "toxigen" not in row["source"]]
    for row in rows:  # style gives the source away
        row["text"] = row["text"].lower() if rng.random() < 0.3 else row["text"]
    for file, column, guessed in (
        ("identity", "identity_attack", False),
        ("toxicity", "toxicity", False),
        ("guessed", "toxicity", True),
    ):
        own = [r for r in rows if r[column] is not None and (column in (r["guessed"] or "")) == guessed]
        answers = [min(row[column], MOST_HATEFUL) for row in own]
        table = pa.table({"text": [row["text"] for row in own], column: answers})
        pq.write_table(table, args.output / f"{file}.parquet")
        print(f"{file}: {len(own)} rows", flush=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    for name, function in (("train", train), ("label", label)):
        command = commands.add_parser(name)
        command.set_defaults(run=function)
        command.add_argument("--data", type=Path, required=True)
        command.add_argument("--base", required=True, help="a sentence encoder: hub id or folder")
        command.add_argument("-o", "--output", type=Path, required=True)
        command.add_argument("--hate", type=int, default=20_000)
        command.add_argument("--seed", type=int, default=1)
        command.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
        if function is train:
            command.add_argument("--start", type=Path, help="go on from another run's weights")
            command.add_argument("--situations", type=int, default=3, help="times each situation is read")
            command.add_argument("--civil", type=int, default=4_000)
            command.add_argument("--frozen-layers", type=int, default=6)
            command.add_argument("--learning-rate", type=float, default=6e-5)
            command.add_argument("--batch-tokens", type=int, default=1536)
        else:
            command.add_argument("--teacher", type=Path)
            command.add_argument("--stored", type=Path, help="logits that `store` kept")
            command.add_argument(
                "--states", type=int, default=0, help="how many dimensions of states to keep"
            )
            command.add_argument("--recombined", type=int, default=40_000)
            command.add_argument("--chat", type=int, default=6_000)
    command = commands.add_parser("hate")
    command.set_defaults(run=split_hate)
    command.add_argument("--data", type=Path, required=True)
    command.add_argument("-o", "--output", type=Path, required=True)
    command.add_argument("--seed", type=int, default=1)
    command = commands.add_parser("store")
    command.set_defaults(run=store)
    command.add_argument("--soft", type=Path, required=True, help="what `label` wrote")
    command.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    if args.run is label and not (args.teacher or args.stored):
        parser.error("label needs --teacher, --stored or both")
    if args.run is label and args.states and not args.teacher:
        parser.error("--states needs a --teacher")
    args.run(args)


if __name__ == "__main__":
    main()
