import json
import shutil

from bundles import vocabulary
from click.testing import CliRunner

from giantkiller import Screener
from giantkiller.cli.export import command
from giantkiller.data import labelled as reading
from giantkiller.errors import UserError
from giantkiller.evaluation.thresholds import PolicyAims
from giantkiller.export import bundling


def test_the_command(dendritic_bert, labelled, tmp_path):
    run = CliRunner().invoke
    out = str(tmp_path / "bundle")
    done = run(command, [str(dendritic_bert), "-o", out, "-c", str(labelled), "--name", "mine", "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["name"] == "mine"
    assert report["figures"]["validation"]["insult"]["rows"] == 120
    assert Screener(out).bundle.name == "mine"
    two = run(
        command,
        [str(dendritic_bert), "-o", str(tmp_path / "two"), "--format", "huggingface", "--labels", "two"],
    )
    assert two.exit_code == 0, two.output
    assert (tmp_path / "two" / "model.safetensors").exists()
    for option in (["--labels", "two"], ["--half"]):
        refused = run(command, [str(dendritic_bert), "-o", out, *option])
        assert isinstance(refused.exception, UserError)


def test_the_command_drops_words(dendritic_bert, labelled, tmp_path):
    words = tmp_path / "words.csv"
    words.write_text("text\nyou are stupid\n")
    arguments = [
        str(dendritic_bert),
        "-o",
        str(tmp_path / "b"),
        "-c",
        str(labelled),
        "--vocabulary",
        str(words),
    ]
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 0, done.output
    assert f"vocabulary: {len(vocabulary()) - 4:,} of {len(vocabulary()):,} words stay" in done.stdout
    assert "of the tokens in" in done.stdout
    assert "ROC-AUC" in done.stdout
    done = CliRunner().invoke(command, [*arguments, "--json"])
    report = json.loads(done.stdout)
    assert report["vocabulary"]["coverage"]["validation.csv"]["comments"] == 120
    (tmp_path / "other").mkdir()
    shutil.copy(words, tmp_path / "other" / "words.csv")
    twice = CliRunner().invoke(command, [*arguments, "--vocabulary", str(tmp_path / "other" / "words.csv")])
    assert "two of the files have one name" in str(twice.exception)
    view = CliRunner().invoke(command, [*arguments, "--format", "huggingface"])
    assert "is for bundles" in str(view.exception)
    seldom = CliRunner().invoke(command, [*arguments, "--json", "--vocabulary-times", "2"])
    assert json.loads(seldom.stdout)["vocabulary"]["times"] == 2
    alone = CliRunner().invoke(command, [*arguments[:5], "--vocabulary-times", "2"])
    assert "name files for it" in str(alone.exception)


def test_a_file_named_twice_is_read_once(dendritic_bert, labelled, tmp_path, monkeypatch):
    read = []

    def counted(path, **options):
        read.append(path.name)
        return whole(path, **options)

    whole = reading.read_labelled
    monkeypatch.setattr(reading, "read_labelled", counted)
    arguments = [
        str(dendritic_bert),
        "-o",
        str(tmp_path / "b"),
        "-c",
        str(labelled),
        "--vocabulary",
        str(labelled),
    ]
    assert CliRunner().invoke(command, arguments).exit_code == 0
    assert read == ["validation.csv"]


def test_the_commands_aims_are_the_librarys():
    defaults = {option.name: option.default for option in command.params}
    aims = PolicyAims()
    for name in ("remove_precision", "review_recall", "monitor_recall"):
        assert defaults[name] == getattr(aims, name)


def test_a_file_without_labels_is_refused_and_what_eight_bits_cost_is_said(
    dendritic_bert, labelled, tmp_path, monkeypatch, caplog
):
    bare, out = tmp_path / "bare.csv", tmp_path / "out"
    bare.write_text("text\nyou are stupid\n")
    refused = CliRunner().invoke(command, [str(dendritic_bert), "-o", str(out), "-c", str(bare)])
    assert "nothing can be fitted on these rows" in str(refused.exception)
    assert not out.exists()
    monkeypatch.setattr(bundling, "MUCH_LOST", -1)
    done = CliRunner().invoke(command, [str(dendritic_bert), "-o", str(out), "-c", str(labelled)])
    assert done.exit_code == 0
    assert "of average precision in eight bits: export float32" in caplog.text
