"""Grow dendrites on a tiny BERT with an unmodified transformers.Trainer. A minute on a CPU.

    python examples/dendrites_bert.py [--rule gradient|correlation]

The task is made up: does token 5 come before token 6? Nothing is downloaded.
"""

import argparse
import tempfile
from pathlib import Path

import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    EarlyStoppingCallback,
    Trainer,
    TrainingArguments,
)

from giantkiller.dendrites import (
    CorrelationRule,
    Errors,
    GradientRule,
    Grower,
    TrainerLoop,
    parameters,
    perforate,
)


def sentences(count, seed):
    draw = torch.Generator().manual_seed(seed)
    rows = []
    for _ in range(count):
        length = int(torch.randint(6, 17, (1,), generator=draw))
        ids = torch.randint(10, 30, (16,), generator=draw)
        first, second = torch.randperm(length - 1, generator=draw)[:2] + 1
        ids[0], ids[first], ids[second] = 1, 5, 6
        mask = (torch.arange(16) < length).long()
        rows.append({"input_ids": ids * mask, "attention_mask": mask, "labels": (first < second).long()})
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rule", choices=("gradient", "correlation"), default="gradient")
    options = parser.parse_args()
    torch.manual_seed(0)
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=30,
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=16,
        )
    )
    perforate(model, where=r"encoder|pooler|classifier")
    train, val, test = sentences(800, 1), sentences(400, 2), sentences(400, 3)
    scratch = tempfile.TemporaryDirectory()

    def make(model, phase=None):
        folder = phase.folder if phase is not None else Path(scratch.name) / "scoring"
        arguments = TrainingArguments(
            output_dir=str(folder),
            num_train_epochs=8,
            per_device_train_batch_size=32,
            per_device_eval_batch_size=400,
            learning_rate=5e-3,
            warmup_steps=20,
            eval_strategy="epoch",
            save_strategy="epoch",
            save_total_limit=2,
            load_best_model_at_end=True,
            metric_for_best_model="eval_loss",
            report_to=[],
            disable_tqdm=True,
            logging_strategy="no",
            use_cpu=True,
        )
        stop = EarlyStoppingCallback(early_stopping_patience=3)
        return Trainer(model, arguments, train_dataset=train, eval_dataset=val, callbacks=[stop])

    def batch(rows):
        return {key: torch.stack([row[key] for row in rows]) for key in rows[0]}

    loop = TrainerLoop(make, metric="eval_loss")
    batches = [batch(train[i : i + 100]) for i in range(0, len(train), 100)]
    ledger = Grower(
        model,
        fit=loop.fit,
        score=loop.score,
        rule=CorrelationRule(candidates=4) if options.rule == "correlation" else GradientRule(),
        errors=Errors(
            batches,
            loss=lambda model, batch: model(**batch).loss,
            mask=lambda batch: batch["attention_mask"].bool(),
        ),
        max_dendrites=2,
        folder=Path(scratch.name) / "growth",
    ).run()
    print(ledger.table())
    held = batch(test)
    with torch.no_grad():
        right = model.eval()(**held).logits.argmax(1) == held["labels"]
    print(f"accuracy on other sentences: {right.float().mean():.3f}, with {parameters(model)}")


if __name__ == "__main__":
    main()
