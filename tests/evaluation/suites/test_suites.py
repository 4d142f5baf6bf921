import re

import numpy as np
import pytest

from giantkiller.errors import UserError
from giantkiller.evaluation.config import EvaluationConfig
from giantkiller.evaluation.suites import SUITES, run_suite


def scorer(texts):
    """Calls what names a fool toxic, and is a little wary of one identity."""
    scores = np.full((len(texts), 7), np.nan)
    for row, text in enumerate(texts):
        low = text.lower()
        scores[row, 0] = 0.1 + 0.6 * ("fool" in low) + 0.2 * ("muslim" in low)
    return scores


def config(threshold=0.5, samples=20):
    return EvaluationConfig(thresholds={"model": {"toxicity": threshold}}, samples=samples)


CONFIG = config()

# The columns of the files as their authors publish them; the sentences are ours.
HATECHECK = ",functionality,case_id,test_case,label_gold,target_ident,direction\n" + "".join(
    f'{n},derog_neg_attrib_h,{n},"{who} are fools, number {n}.",hateful,{who},general\n'
    f"{n},ident_neutral_nh,{n},{who} came to dinner {n}.,non-hateful,{who},general\n"
    for who in ("women", "Muslims")
    for n in range(12)
)
MADLIBS = "Text,Label,Template\n" + "".join(
    f"{name} is a {adjective} {term},{label},x\n"
    for term in ("muslim", "christian")
    for adjective, label in (("foolish", "BAD"), ("kind", "NOT_BAD"))
    for name in (f"Ada{chr(97 + n)}" for n in range(25))
)
PARADETOX = "toxic\tneutral1\tneutral2\tneutral3\n" + "".join(
    f"only a fool would say {n}\tI disagree with {n}\t\t\n" for n in range(19)
) + "this is fine\tonly a fool says so\t\t\n"  # fmt: skip
CIVIL = "id,comment_text,target\n" + "".join(
    f"{n},{'you fool of' if n % 2 else 'a nice day for'} the number {n},{n % 2}\n" for n in range(40)
)


def put(folder, name, text):
    (folder / name).write_text(text)
    return folder


def test_hatecheck_in_the_published_form(tmp_path):
    report = run_suite("hatecheck", put(tmp_path, "test_suite_cases.csv", HATECHECK), scorer, CONFIG)
    assert report.rows == 48
    assert list(report.by) == ["toxicity"]  # the model gives no identity_attack
    view = report.by["toxicity"]
    assert view.accuracy.value == 1
    assert view.roc_auc.value == 1
    assert view.functionalities["derog_neg_attrib_h"].hateful is True
    assert view.functionalities["ident_neutral_nh"].accuracy.value == 1
    strict = run_suite("hatecheck", tmp_path, scorer, config(0.25, 0))
    targets = strict.by["toxicity"].targets
    assert targets["Muslims"].false_alarms.value == 1
    assert targets["women"].false_alarms.value == 0
    assert targets["Muslims"].missed.value == 0


def test_madlibs_in_the_published_form(tmp_path):
    report = run_suite("madlibs", put(tmp_path, "bias_madlibs_77k.csv", MADLIBS), scorer, CONFIG)
    assert report.rows == 100
    assert report.terms.identities["muslim"].rows == 50
    pairs = report.pairs
    assert pairs.templates == 50
    assert pairs.spread == pytest.approx(0.2)
    assert pairs.added_by_term["muslim"].value == pytest.approx(0.1)
    assert list(pairs.added_by_term) == ["muslim", "christian"]
    assert report.fped == 0
    # At 0.25 every harmless sentence on Muslims is called toxic: |1 - 1/2| + |0 - 1/2|.
    strict = run_suite("madlibs", tmp_path, scorer, config(0.25, 0))
    assert strict.fped == pytest.approx(1.0)


def test_paradetox_in_the_published_form(tmp_path):
    report = run_suite("paradetox", put(tmp_path, "paradetox.tsv", PARADETOX), scorer, CONFIG)
    assert report.ranked_rightly.value == pytest.approx(19 / 20)
    assert report.drop.value == pytest.approx(0.6 * 18 / 20)
    assert report.rewrites_called_toxic.value == pytest.approx(1 / 20)


def test_an_ordinary_labelled_file_is_judged_and_audited(tmp_path):
    report = run_suite("civil", put(tmp_path, "test_public_expanded.csv", CIVIL), scorer, CONFIG)
    assert report.attributes["toxicity"].roc_auc.value == 1
    assert report.bias.source == "word list"
    assert report.bias.jigsaw.identities["muslim"].too_small


def test_only_the_test_rows_of_the_wilds_file_count(tmp_path):
    rows = "".join(
        f"{n},words {'fool' if n % 2 else ''} {n},{n % 2},{'test' if n < 30 else 'train'}\n"
        for n in range(60)
    )
    put(tmp_path, "all_data_with_identities.csv", "id,comment_text,toxicity,split\n" + rows)
    assert run_suite("civil", tmp_path, scorer, CONFIG).rows == 30


def test_spelling_attacks_show_what_a_word_list_misses(tmp_path):
    report = run_suite("spelling-attacks", put(tmp_path, "test_public_expanded.csv", CIVIL), scorer, CONFIG)
    assert report.attacks["none"].recall.value == 1
    assert report.attacks["look-alike letters"].recall.value < 0.8
    assert report.attacks["none"].false_positive_rate.value == 0
    assert report.attacks["none"].average_precision_kept == 1
    worst = report.attacks["look-alike letters"]
    assert worst.average_precision_kept == worst.average_precision.value < 1


@pytest.mark.parametrize(
    ("name", "file", "text", "says"),
    [
        ("stories", "x.csv", "a\n1\n", "no `suite` 'stories': choose from civil"),
        ("hatechek", "x.csv", "a\n1\n", "no `suite` 'hatechek': did you mean 'hatecheck'"),
        ("hatecheck", "other.csv", "a\n1\n", "has no hatecheck.parquet or test_suite_cases.csv"),
        ("hatecheck", "hatecheck.csv", "text,label\na,1\n", "no column 'functionality'"),
        ("madlibs", "madlibs.csv", "Text,Label\na,GOOD\nb,FINE\n", "its labels are fine, good"),
    ],
)
def test_what_is_not_a_suite(tmp_path, name, file, text, says):
    with pytest.raises(UserError, match=says):
        run_suite(name, put(tmp_path, file, text), scorer, CONFIG)


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(UserError, match="is not a folder"):
        run_suite("civil", tmp_path / "nowhere", scorer, CONFIG)


def test_the_real_files_are_read(data_dir):
    for name, rows in (("hatecheck", 3728), ("madlibs", 20_000), ("paradetox", 6000)):
        assert run_suite(name, data_dir, scorer, EvaluationConfig(samples=0)).rows == rows


def test_every_suite_shows_its_result_in_words_and_tables(tmp_path):
    files = {
        "hatecheck": ("test_suite_cases.csv", HATECHECK),
        "madlibs": ("bias_madlibs_77k.csv", MADLIBS),
        "paradetox": ("paradetox.tsv", PARADETOX),
        "civil": ("test_public_expanded.csv", CIVIL),
        "spelling-attacks": ("test_public_expanded.csv", CIVIL),
    }
    assert set(SUITES) == {*files, "wiki", "situations"}
    for name, (file, text) in files.items():
        report = run_suite(name, put(tmp_path, file, text), scorer, CONFIG)
        assert re.search(r"\d", report.summary())
        for table in report.tables():
            assert all(len(row) == len(table.columns) for row in table.rows)
        for chart in report.charts():
            assert all(len(series.figures) == len(chart.labels) for series in chart.series)
