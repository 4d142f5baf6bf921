"""How fast, against whom? Text in, scores out, everybody in turn on the same comments.

    python benchmarks/speed.py --data civil_test.parquet --checkpoint runs/release -o docs/results

Rounds are interleaved and medians are taken; still, on a machine that is busy with other things PyTorch and
onnxruntime with several threads lose more than we do, so measure on an idle one. Prints tables and one JSON
line; with -o writes speed.md, speed.json and the pictures. Without a checkpoint weights are random, which is
exact for speed; accuracy is then left out.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from about import machine

ROOT = Path(__file__).resolve().parents[1]
OURS = "giantkiller"
HIDDEN, LAYERS = 128, 2


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="labelled comments")
    parser.add_argument("--train", type=Path, help="labelled comments that TF-IDF learns from")
    parser.add_argument("--checkpoint", type=Path, help="ours; random weights if not given")
    parser.add_argument("--comments", type=int, default=2500)
    parser.add_argument("--slow-comments", type=int, default=64, help="for BERT-Base, a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--scale", type=int, default=0, help="also score a stream of up to so many comments")
    parser.add_argument("-o", "--output", type=Path, help="folder for speed.md, speed.json and pictures")
    options = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ[name] = str(options.threads)
    import torch

    from giantkiller.data.labelled import read_labelled

    torch.set_num_threads(options.threads)
    data = read_labelled(options.data)
    data = data.take(range(min(len(data), options.comments)))
    with tempfile.TemporaryDirectory() as folder:
        result = measure(options, data, Path(folder))
    print(json.dumps(result))
    if options.output:
        write(options.output, result)


def measure(options, data, folder):
    from giantkiller import Screener
    from giantkiller.data.labelled import read_labelled
    from giantkiller.encoding import length

    checkpoint = options.checkpoint or random_checkpoint(folder / "random")
    seen = read_labelled(options.train) if options.train else data
    bundles = make_bundles(checkpoint, seen.take(range(0, len(seen), max(1, len(seen) // 500))), folder)
    systems = build_systems(options, bundles)
    texts, slow = (
        data.texts,
        data.texts[:: max(1, len(data) // options.slow_comments)][: options.slow_comments],
    )
    mine = Screener(bundles["ours"], threads=options.threads)
    tokens = [length(row) for row in mine.encoder.encode(texts)]
    flops = sum(nominal_flops(count) for count in tokens)
    result = {
        "machine": machine(),
        "threads": options.threads,
        "comments": len(texts),
        "tokens": {"mean": float(np.mean(tokens)), "median": float(np.median(tokens))},
        "checkpoint": options.checkpoint.name if options.checkpoint else "random weights",
        "bundle_bytes": {name: folder_bytes(path) for name, path in bundles.items()},
        "torch_quantization": torch_sizes(checkpoint),
    }
    rates, peaks = bulk(systems, texts, slow, options.rounds)
    middle = {name: statistics.median(values) for name, values in rates.items()}
    ratio = {
        name: statistics.median([a / b for a, b in zip(rates[OURS], values, strict=True)])
        for name, values in rates.items()
    }
    roofline = [rate / len(texts) * flops / peak for rate, peak in zip(rates[OURS], peaks, strict=True)]
    result["comments_per_second"] = {name: round(value, 1) for name, value in middle.items()}
    result["ours_over"] = {name: round(value, 3) for name, value in ratio.items()}
    result["roofline"] = {
        "nominal_mflop_a_comment": round(flops / len(texts) / 1e6, 2),
        "gemm_gflops": round(statistics.median(peaks) / 1e9, 1),
        "share": round(statistics.median(roofline), 3),
    }
    result["latency_ms"] = {
        name: latency(systems[name], texts, tokens, 12 if is_slow(name) else 300)
        for name in (OURS, "BERT-Tiny, usual export, int8", "BERT-Base, PyTorch")
    }
    result["by_batch_tokens"] = {
        budget: rate_of(Screener(bundles["ours"], threads=options.threads, batch_tokens=budget).scores, texts)
        for budget in (128, 256, 512, 1024, 2048, 4096, 16384)
    }
    result["by_threads_and_sessions"] = {
        threads: rate_of(Screener(bundles["ours"], threads=threads).scores, texts)
        for threads in sorted({1, 2, options.threads})
    }
    result["by_length"] = by_length(mine, texts)
    result["by_rows"] = by_rows(mine, texts, options.scale)
    if options.checkpoint:
        result["accuracy"] = accuracy(systems, data, options.train)
    report(result)
    return result


def random_checkpoint(folder):
    """BERT-Tiny with a dendrite on every linear layer, and the tokenizer of the shipped bundle."""
    import torch
    from transformers import PreTrainedTokenizerFast

    from giantkiller.models import DendriticBertForSequenceClassification, tiny_config

    plain = DendriticBertForSequenceClassification(tiny_config())
    linears = [
        name.removeprefix("bert.") for name, m in plain.named_modules() if isinstance(m, torch.nn.Linear)
    ]
    torch.manual_seed(0)
    model = DendriticBertForSequenceClassification(tiny_config(dendrites=dict.fromkeys(linears, 1)))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("dendrite_strength"):
                weight.normal_(0, 0.1)
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_file=str(ROOT / "src/giantkiller/default/tokenizer.json"),
        model_max_length=256, cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]", unk_token="[UNK]",
    ).save_pretrained(folder)  # fmt: skip
    return folder


def make_bundles(checkpoint, seen, folder):
    """Ours as it ships, in float32, cut at 128 tokens, without its dendrites; `seen` sets int8's ranges."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    import giantkiller.models  # noqa: F401  registers the architecture
    from giantkiller.export.bundling import export_bundle

    validation = {"texts": seen}
    bare = folder / "bare"
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint)
    model.save_pretrained(bare)
    AutoTokenizer.from_pretrained(checkpoint).save_pretrained(bare)
    model = AutoModelForSequenceClassification.from_pretrained(bare)
    for name, weight in model.named_parameters():
        if name.endswith("dendrite_strength"):
            weight.data.zero_()  # export leaves such dendrites out
    model.save_pretrained(bare)
    kinds = {
        "ours": (checkpoint, {}),
        "ours, 128 tokens": (checkpoint, {"max_length": 128}),
        "ours without dendrites": (bare, {}),
        "ours in float32": (checkpoint, {"quantize": "none"}),
        "ours, 8-bit weights by block": (checkpoint, {"quantize": "blocks"}),
    }
    made = {}
    for index, (name, (source, settings)) in enumerate(kinds.items()):
        made[name] = export_bundle(
            source, folder / f"bundle{index}", validation=validation, **settings
        ).folder
    return made


def build_systems(options, bundles):
    import opponents

    from giantkiller import Screener
    from giantkiller.data.labelled import read_labelled

    threads, tokenizer = options.threads, bundles["ours"] / "tokenizer.json"
    systems = {
        OURS + name.removeprefix("ours"): Screener(bundle, threads=threads).scores
        for name, bundle in bundles.items()
    }
    systems["BERT-Tiny, usual export, int8"] = opponents.bert_runtime(
        opponents.TINY, tokenizer, threads, batch=32
    )
    systems["BERT-Tiny, usual export, int8, sorted"] = opponents.bert_runtime(
        opponents.TINY, tokenizer, threads, budget=1024
    )
    systems["BERT-Tiny, PyTorch"] = opponents.eager(opponents.bert(opponents.TINY), tokenizer)
    systems["MiniLM (6 x 384), int8, sorted"] = opponents.bert_runtime(
        opponents.MINILM, tokenizer, threads, budget=1024
    )
    systems["BERT-Base, int8, sorted"] = opponents.bert_runtime(
        opponents.BASE, tokenizer, threads, budget=1024
    )
    systems["BERT-Base, PyTorch"] = opponents.eager(opponents.bert(opponents.BASE, 2), tokenizer)
    systems["static embedding (256)"] = opponents.static_embedding(tokenizer)
    rows = read_labelled(options.train or options.data)
    known = ~np.isnan(rows.targets[:, 0])
    labels = rows.targets[known, 0] >= 0.5
    systems["TF-IDF + logistic regression"] = opponents.linear_words(rows.take(known).texts, labels)
    return systems


def is_slow(name):
    return name.startswith("BERT-Base") or name.startswith("MiniLM")


def bulk(systems, texts, slow, rounds):
    """Comments a second of each system in each round, and the cores' fp32 matrix peak in FLOP/s."""
    rates, peaks = {name: [] for name in systems}, []
    samples = {name: slow if is_slow(name) else texts for name in systems}
    for name, score in systems.items():
        score(samples[name][:64] if is_slow(name) else samples[name])
    for number in range(rounds):
        for name, score in systems.items():
            began = time.perf_counter()
            score(samples[name])
            rates[name].append(len(samples[name]) / (time.perf_counter() - began))
        peaks.append(gemm_peak())
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return rates, peaks


def gemm_peak(size=1536, repeats=5):
    a = np.random.default_rng(0).normal(size=(size, size)).astype(np.float32)
    best = 0.0
    for _ in range(repeats):
        began = time.perf_counter()
        a @ a
        best = max(best, 2 * size**3 / (time.perf_counter() - began))
    return best


def nominal_flops(tokens):
    """Floating-point operations of the plain two-layer model on one comment, nothing skipped or padded."""
    return LAYERS * (24 * HIDDEN * HIDDEN * tokens + 4 * tokens * tokens * HIDDEN)


def latency(score, texts, tokens, count):
    """Milliseconds for one typical comment (30 to 40 tokens) at a time, each a different one.

    After each comment comes a loop of small matrix products that takes as long where nothing interferes: its
    tail is the machine's, not the scorer's.
    """
    typical = [text for text, length in zip(texts, tokens, strict=True) if 30 <= length <= 40]
    score([typical[0]])
    nothing = null_loop(statistics.median(timed(lambda: score([typical[0]])) for _ in range(min(count, 20))))
    taken, null = [], []
    for i in range(count):
        text = typical[i % len(typical)]
        taken.append(timed(lambda text=text: score([text])))
        null.append(timed(nothing))
    p50, p99 = np.percentile(taken, [50, 99])
    null_p50, null_p99 = np.percentile(null, [50, 99])
    values = {"p50": p50, "p99": p99, "null_p50": null_p50, "null_p99": null_p99}
    every = [round(value, 3) for value in taken]
    return {**{name: round(float(value), 3) for name, value in values.items()}, "all": every}


def null_loop(milliseconds, size=48):
    """Make a loop on one thread, free of allocations, that takes about so long."""
    a = np.ones((size, size), np.float32)  # so small that no library spreads the product over threads
    out = np.empty_like(a)
    one = min(timed(lambda: [np.matmul(a, a, out=out) for _ in range(100)]) for _ in range(20)) / 100
    repeats = max(1, round(milliseconds / one))

    def loop():
        for _ in range(repeats):
            np.matmul(a, a, out=out)

    return loop


def timed(action):
    """Milliseconds that something takes."""
    began = time.perf_counter()
    action()
    return 1000 * (time.perf_counter() - began)


def rate_of(score, texts, rounds=3):
    score(texts[:500])
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        score(texts)
        taken.append(time.perf_counter() - began)
    return round(len(texts) / statistics.median(taken), 1)


def by_length(screener, texts):
    """Comments a second when all comments have one length; words drawn from the comments."""
    words = " ".join(texts).split()
    rng = np.random.default_rng(0)
    return {
        count: rate_of(screener.scores, [" ".join(rng.choice(words, count)) for _ in range(1000)])
        for count in (5, 10, 20, 40, 80, 160)
    }


def by_rows(screener, texts, largest):
    """Seconds for streams of more and more comments: words of real comments, shuffled, so none repeats."""
    sizes = [size for size in (1000, 10_000, 100_000, 1_000_000) if size <= largest]

    def stream(size):
        rng = np.random.default_rng(1)
        for number in range(size):
            words = texts[number % len(texts)].split()
            yield " ".join(words[i] for i in rng.permutation(len(words)))

    taken = {}
    for size in sizes:
        began = time.perf_counter()
        for begin in range(0, size, 10_000):
            screener.scores(list(stream(min(10_000, size - begin))))
        taken[size] = round(time.perf_counter() - began, 2)
    return taken


def accuracy(systems, data, train):
    """ROC-AUC and average precision of what has learned something, on the toxicity of the given comments."""
    from giantkiller.evaluation.metrics import measure as measure_scores

    target = data.targets[:, 0]
    scores = {name: score(data.texts)[:, 0] for name, score in systems.items() if name.startswith(OURS)}
    if train:
        scores["TF-IDF + logistic regression"] = systems["TF-IDF + logistic regression"](data.texts)
    if "toxic_bert_score" in data.extra:  # unitary/toxic-bert, a fine-tuned BERT-Base
        scores["BERT-Base, PyTorch"] = data.extra["toxic_bert_score"]
    found = {}
    for name, values in scores.items():
        block = measure_scores(np.asarray(values, np.float64), target, samples=0)
        found[name] = {
            "roc_auc": round(block.roc_auc.value, 4),
            "average_precision": round(block.average_precision.value, 4),
        }
    return found


def torch_sizes(checkpoint):
    """What torch's dynamic quantization of linear layers, as the published card has it, makes of ours."""
    import io
    import warnings

    import torch
    from transformers import AutoModelForSequenceClassification

    import giantkiller.models  # noqa: F401

    model = AutoModelForSequenceClassification.from_pretrained(checkpoint).eval()

    def size(module):
        buffer = io.BytesIO()
        torch.save(module.state_dict(), buffer)
        return buffer.tell()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        small = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
        embeddings = sum(p.numel() for p in model.bert.embeddings.parameters())
        return {
            "float32_bytes": size(model),
            "dynamic_int8_bytes": size(small),
            "share_of_embeddings": round(embeddings / sum(p.numel() for p in model.parameters()), 3),
        }


def folder_bytes(folder):
    return sum(path.stat().st_size for path in folder.iterdir() if path.suffix != ".md")


def report(result):
    rates, over = result["comments_per_second"], result["ours_over"]
    print(f"{result['comments']:,} comments, {result['threads']} threads, {result['machine']['cpu']}")
    print(f"{'':<42}{'comments/s':>12}{'ours is':>12}")
    for name, rate in sorted(rates.items(), key=lambda each: -each[1]):
        print(f"{name:<42}{rate:>12,.1f}{over[name]:>11,.2f}x")
    roof = result["roofline"]
    print(f"share of the fp32 roofline {roof['share']} ({roof['nominal_mflop_a_comment']} MFLOP a comment)")
    for name, values in result["latency_ms"].items():
        print(
            f"one comment, {name}: p50 {values['p50']} ms, p99 {values['p99']} ms "
            f"(a null loop as long: p50 {values['null_p50']} ms, p99 {values['null_p99']} ms)"
        )
    for key in ("by_batch_tokens", "by_threads_and_sessions", "by_length", "by_rows"):
        print(f"{key}: {result[key]}")


def write(folder, result):
    from about import command_line
    from plots import write_speed

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "speed.json").write_text(json.dumps(result, indent=1) + "\n")
    write_speed(folder, result, command_line("benchmarks/speed.py"))


if __name__ == "__main__":
    main()
