"""Pictures and the page of benchmarks/speed.py."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def write_speed(folder, result, command):
    batch(folder / "speed-batch.png", result)
    latency(folder / "speed-latency.png", result)
    if result["by_rows"]:
        rows(folder / "speed-rows.png", result)
    if "accuracy" in result:
        accuracy(folder / "speed-accuracy.png", result)
    (folder / "speed.md").write_text(page(result, command), encoding="utf-8")


def batch(path, result):
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    left.plot(
        [int(each) for each in result["by_batch_tokens"]],
        list(result["by_batch_tokens"].values()),
        marker="o",
    )
    left.set_xscale("log", base=2)
    left.set_xlabel("tokens a batch")
    right.plot([int(each) for each in result["by_length"]], list(result["by_length"].values()), marker="o")
    right.set_xscale("log", base=2)
    right.set_yscale("log")
    right.set_xlabel("words a comment")
    for axes in (left, right):
        axes.set_ylabel("comments a second")
        axes.grid(alpha=0.3)
    left.set_ylim(bottom=0)
    save(figure, path)


def latency(path, result):
    figure, axes = plt.subplots(figsize=(6, 4))
    for name, values in result["latency_ms"].items():
        ordered = sorted(values["all"])
        axes.plot(ordered, [(i + 1) / len(ordered) for i in range(len(ordered))], label=name)
    axes.set_xscale("log")
    axes.set_xlabel("milliseconds for one comment")
    axes.set_ylabel("share of comments")
    axes.legend()
    axes.grid(alpha=0.3)
    save(figure, path)


def rows(path, result):
    figure, axes = plt.subplots(figsize=(6, 4))
    axes.loglog([int(count) for count in result["by_rows"]], list(result["by_rows"].values()), marker="o")
    axes.set_xlabel("comments")
    axes.set_ylabel("seconds")
    axes.grid(alpha=0.3)
    save(figure, path)


def accuracy(path, result):
    figure, axes = plt.subplots(figsize=(7, 4.5))
    for name, block in result["accuracy"].items():
        rate = result["comments_per_second"][name]
        axes.scatter(rate, block["average_precision"])
        axes.annotate(
            name, (rate, block["average_precision"]), fontsize=7, xytext=(4, 4), textcoords="offset points"
        )
    axes.set_xscale("log")
    axes.set_xlabel("comments a second")
    axes.set_ylabel("average precision, toxicity")
    axes.grid(alpha=0.3)
    save(figure, path)


def save(figure, path):
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join([*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)])


def page(result, command):
    machine, roof = result["machine"], result["roofline"]
    rates = sorted(result["comments_per_second"].items(), key=lambda each: -each[1])
    bulk = table(
        ["text in, scores out", "comments a second", "giantkiller is"],
        [
            [name, f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}", f"{result['ours_over'][name]:,.2f}x"]
            for name, rate in rates
        ],
    )
    single = table(
        ["one comment of 30 to 40 tokens", "p50 ms", "p99 ms", "null loop, p50 ms", "null loop, p99 ms"],
        [
            [name, *(values[key] for key in ("p50", "p99", "null_p50", "null_p99"))]
            for name, values in result["latency_ms"].items()
        ],
    )
    sizes = table(["bundle", "bytes"], [[name, f"{size:,}"] for name, size in result["bundle_bytes"].items()])
    small = result["torch_quantization"]
    saved = 100 * (1 - small["dynamic_int8_bytes"] / small["float32_bytes"])
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    tokens, threads = result["tokens"], result["by_threads_and_sessions"].items()
    parts = [
        "# Speed and size",
        f"Written by `{command}`; all numbers are in speed.json. {result['comments']:,} comments of "
        f"{tokens['mean']:.0f} tokens on average, {tokens['median']:.0f} in the median; {result['threads']} "
        f"threads for everybody; rounds interleaved, medians. {machine['cpu']}, {machine['cores']} cores "
        f"({', '.join(machine['instructions'])}), Python {machine['python']}, {packages}. Checkpoint: "
        f"{result['checkpoint']}. Opponents have random weights, which is exact for speed.",
        bulk,
        "BERT-Base in PyTorch is padded to 128 tokens in batches of 32, as the published card does it. "
        "\"Usual export\" is torch's traced ONNX with onnxruntime's dynamic int8, batches of 32 in file "
        'order, padded to the longest; "sorted" means sorted by length, 1,024 tokens a batch, its best case. '
        "Opponents read 128 tokens of a comment; ours reads as many as its bundle says.",
        f"Share of the roofline: {roof['share']}. That is the time which {roof['nominal_mflop_a_comment']} "
        "MFLOP a comment (the plain two-layer model on real tokens) take at the cores' own fp32 matrix peak, "
        f"{roof['gemm_gflops']} GFLOP/s measured in the same rounds, over the time that we take.",
        "## One comment",
        single,
        "The null loop is a run of small matrix products on one thread that takes about as long where "
        "nothing interferes, timed after each comment: what its tail has, the machine adds to everybody's.",
        "![latency](speed-latency.png)",
        "## Batch and length",
        "![batch](speed-batch.png)",
        f"Comments a second by threads: {', '.join(f'{count}: {rate:,.0f}' for count, rate in threads)}.",
    ]
    if result["by_rows"]:
        parts += [
            "## Cost against the number of comments",
            table(["comments", "seconds"], [[f"{int(k):,}", v] for k, v in result["by_rows"].items()]),
            "![rows](speed-rows.png)",
        ]
    if "accuracy" in result:
        rows = [
            [name, b["roc_auc"], b["average_precision"], f"{result['comments_per_second'][name]:,.0f}"]
            for name, b in result["accuracy"].items()
        ]
        parts += [
            "## Accuracy against speed",
            "Toxicity on these comments. BERT-Base here is unitary/toxic-bert, whose scores the file has.",
            table(["", "ROC-AUC", "average precision", "comments a second"], rows),
            "![accuracy](speed-accuracy.png)",
        ]
    parts += [
        "## Size",
        sizes,
        "torch's dynamic quantization of linear layers, as the published card shows it, takes weights "
        f"from {small['float32_bytes']:,} to {small['dynamic_int8_bytes']:,} bytes ({saved:.0f} % less). "
        f"{100 * small['share_of_embeddings']:.0f} % of the parameters are embeddings, which it leaves "
        "alone, and so it does layers with dendrites.",
    ]
    return "\n\n".join(parts) + "\n"
