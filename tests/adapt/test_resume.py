"""Interruptions and full disks."""

import resource
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch

from giantkiller.adapt import Delta, Settings, merge, read_decisions
from giantkiller.adapt.compose import temporary_folder
from giantkiller.adapt.delta import lineage_of
from giantkiller.adapt.learning import Learned
from giantkiller.adapt.rehearsal import unlabelled
from giantkiller.adapt.resume import learned_before
from giantkiller.bundle import read_bundle
from giantkiller.errors import UserError


class Lessons:
    """Learning that counts how often it is asked."""

    def __init__(self):
        self.count = 0

    def __call__(self):
        self.count += 1
        return Learned(
            {"classifier.bias.add": torch.full((7,), float(self.count))}, 3, 2, [0.5, 0.4, 0.3, 0.35]
        )


@pytest.fixture
def given(base, site):
    return read_bundle(base), (read_decisions(site), unlabelled(["a comment", "another"]))


def test_a_finished_step_is_not_repeated_on_the_same(given, tmp_path):
    bundle, parts = given
    lessons, path = Lessons(), tmp_path / ".ours.learned"
    first = learned_before(path, bundle, parts, Settings(), lessons)
    again = learned_before(path, bundle, parts, Settings(tolerance=0.01, examples=0), lessons)
    assert lessons.count == 1
    assert (again.passes, again.best, again.losses) == (first.passes, first.best, first.losses)
    assert torch.equal(again.tensors["classifier.bias.add"], first.tensors["classifier.bias.add"])


@pytest.mark.parametrize("what", ["settings", "decisions", "labels", "rehearsal", "damage"])
def test_another_step_begins_anew(given, tmp_path, what):
    bundle, (site, rehearsed) = given
    lessons, path = Lessons(), tmp_path / ".ours.learned"
    learned_before(path, bundle, (site, rehearsed), Settings(), lessons)
    settings = Settings(seed=1) if what == "settings" else Settings()
    if what == "decisions":
        site = site.take(np.arange(1, len(site)))
    if what == "labels":
        site = replace(site, targets=1 - site.targets)
    if what == "rehearsal":
        rehearsed = unlabelled(["a comment", "a third"])
    if what == "damage":
        path.write_bytes(path.read_bytes()[:-5])
    for _ in range(2):
        learned_before(path, bundle, (site, rehearsed), settings, lessons)
    assert lessons.count == 2


def test_nothing_is_kept_where_nobody_asked(given, tmp_path):
    bundle, parts = given
    lessons = Lessons()
    for _ in range(2):
        learned_before(None, bundle, parts, Settings(), lessons)
    assert lessons.count == 2


@contextmanager
def full_disk(size):
    """Let no file grow beyond a size, as a disk that is full would."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


@pytest.mark.parametrize("size", [0, 300, 20_000])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(base, tmp_path, size):
    bundle = read_bundle(base)
    delta = Delta({"classifier.bias.add": torch.ones(7)}, lineage_of(bundle))
    with full_disk(size), pytest.raises(UserError, match=r"can't write .*: \S.*") as caught:
        merge(base, [delta], tmp_path / "ours")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_keeps_no_half_of_what_was_learned(given, tmp_path):
    bundle, parts = given
    with full_disk(100), pytest.raises(UserError, match=r"can't write .*ours\.learned"):
        learned_before(tmp_path / ".ours.learned", bundle, parts, Settings(), Lessons())
    assert not list(tmp_path.iterdir())


def test_another_error_is_not_called_a_full_disk():
    with pytest.raises(BrokenPipeError), temporary_folder():
        raise BrokenPipeError
