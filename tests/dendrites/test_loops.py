import pytest
import torch
from torch import nn

from giantkiller.dendrites import (
    DendriteError,
    GradientRule,
    Grower,
    PlainLoop,
    TrainerLoop,
    counts,
    perforate,
)

transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")

X = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
Y = torch.sin(3 * X[:, :1])


class Net(nn.Module):
    """The smallest thing that transformers.Trainer trains."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.hidden = nn.Linear(4, 4)
        self.out = nn.Linear(4, 1)
        perforate(self)

    def forward(self, x, labels=None):
        y = self.out(torch.tanh(self.hidden(x)))
        return {"loss": (y - labels).square().mean(), "logits": y}


def loss(model, batch):
    return model(*batch)["loss"]


@torch.no_grad()
def score(model):
    return -loss(model.eval(), (X, Y)).item()


def plain_loop(**changes):
    settings = {
        "batches": [(X[:32], Y[:32]), (X[32:], Y[32:])],
        "loss": loss,
        "score": score,
        "optimizer": lambda parameters: torch.optim.Adam(parameters, lr=0.02),
        "epochs": 30,
    }
    return PlainLoop(**(settings | changes))


def test_a_plain_loop_grows():
    model, loop = Net(), plain_loop()
    ledger = Grower(model, fit=loop.fit, score=loop.score, max_dendrites=1).run()
    assert ledger.best.number == 1
    assert counts(model) == {"hidden": 1, "out": 1}
    assert len(ledger.attempts[0].curve) == 30
    assert max(score for _, score in ledger.attempts[1].curve) == ledger.attempts[1].score


def test_a_plain_loop_stops_when_the_score_stands_still_and_keeps_the_best():
    scores = iter([1.0, 3.0, 2.0, 2.5, 99.0])
    seen, model = [], Net()

    def told(model):
        seen.append(model.hidden.weight.detach().clone())
        return next(scores)

    plain_loop(score=told, patience=2).fit(model)
    assert len(seen) == 4
    assert torch.equal(model.hidden.weight, seen[1])


def test_an_equal_score_is_no_better_one():
    scores = iter([1.0, 1.0, 1.0, 9.0])
    weights, model = [], Net()

    def same_score(model):
        weights.append(model.hidden.weight.detach().clone())
        return next(scores)

    plain_loop(score=same_score, patience=2).fit(model)
    assert len(weights) == 3
    assert torch.equal(model.hidden.weight, weights[0])


@pytest.mark.parametrize(("higher_is_better", "score"), [(True, 0.75), (False, -0.75)])
def test_a_trainers_metric_counts_by_its_direction(higher_is_better, score):
    class Made:
        def evaluate(self):
            return {"eval_metric": 0.75}

    loop = TrainerLoop(lambda model: Made(), metric="eval_metric", higher_is_better=higher_is_better)
    assert loop.score(Net()) == score


def test_a_plain_loop_steps_its_scheduler():
    made = []

    def scheduler(optimizer):
        made.append(torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5))
        return made[0]

    plain_loop(scheduler=scheduler, epochs=3).fit(Net())
    assert made[0].get_last_lr() == [pytest.approx(0.02 / 8)]


@pytest.mark.parametrize(
    ("changes", "freeze", "sentence"),
    [
        ({"batches": []}, False, "no batches"),
        ({"batches": iter([(X, Y)])}, False, "only once"),
        ({}, True, "no parameter of the model learns"),
    ],
)
def test_bad_input_is_said_in_a_sentence(changes, freeze, sentence):
    model = Net().requires_grad_(not freeze)
    with pytest.raises(DendriteError, match=sentence):
        plain_loop(**changes).fit(model)


def trainer(model, folder, **settings):
    """An unmodified Trainer with all that a user might ask of it."""
    rows = [{"x": x, "labels": y} for x, y in zip(X, Y, strict=True)]
    arguments = transformers.TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=4,
        per_device_train_batch_size=16,
        per_device_eval_batch_size=64,
        learning_rate=0.02,
        lr_scheduler_type="cosine",
        warmup_steps=2,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
        logging_strategy="no",
        dataloader_pin_memory=False,
        **settings,
    )
    stopping = transformers.EarlyStoppingCallback(early_stopping_patience=2)
    return transformers.Trainer(model, arguments, train_dataset=rows, eval_dataset=rows, callbacks=[stopping])


def same(one, other):
    return all(
        torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    )


@pytest.mark.slow
def test_an_unmodified_trainer_grows_and_a_killed_one_resumes(tmp_path):
    def grow(name, kill=None):
        model, steps = Net(), []

        class Kill(transformers.TrainerCallback):
            def on_step_end(self, args, state, control, **kwargs):
                steps.append(state.global_step)
                if len(steps) == kill:
                    raise KeyboardInterrupt

        def make(model, phase=None):
            made = trainer(model, phase.folder if phase else tmp_path / name / "scoring")
            made.add_callback(Kill())
            return made

        loop = TrainerLoop(make)
        grower = Grower(
            model,
            fit=loop.fit,
            score=loop.score,
            rule=GradientRule(),
            folder=tmp_path / name,
            max_dendrites=1,
        )
        return grower.run(), model, steps

    ledger, model, steps = grow("whole")
    assert [a.kept for a in ledger.attempts] == [True, True]
    assert len(ledger.attempts[1].curve) == 4
    assert ledger.attempts[1].score == pytest.approx(score(model))
    with pytest.raises(KeyboardInterrupt):
        grow("killed", kill=27)
    again, resumed, rest = grow("killed")
    # 16 steps a phase: killed in the third epoch of the second, after two of its checkpoints.
    assert len(steps) == 32
    assert len(rest) == 8
    assert same(model, resumed)
    assert again.attempts[1].score == ledger.attempts[1].score


@pytest.mark.slow  # as soon as there is a Trainer, seconds of imports
def test_an_unknown_metric_is_said_in_a_sentence(tmp_path):
    loop = TrainerLoop(lambda model: trainer(model, tmp_path), metric="eval_f1")
    with pytest.raises(DendriteError, match=r"no metric 'eval_f1': it has .*eval_loss"):
        loop.score(Net())
