from pathlib import Path

import pytest

from giantkiller.errors import UserError
from giantkiller.training.recipe import read_recipe

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))


def write(folder: Path, text: str) -> Path:
    path = folder / "r.toml"
    path.write_text(text)
    return path


GOOD = 'name = "a"\n[data]\ntrain = ["x.csv"]\n[model]\ntokenizer = "default"\n'


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_in_the_repository_is_valid(path):
    assert read_recipe(path).name == path.stem


def test_published_recipe_says_what_the_card_says():
    recipe = read_recipe(Path(__file__).parents[2] / "recipes" / "published.toml")
    assert recipe.data.protocol == "published"
    assert recipe.data.max_length == 128
    optim = recipe.optim
    assert (optim.learning_rate, optim.weight_decay, optim.batch_size) == (2e-5, 0.01, 32)
    assert (optim.epochs, optim.warmup_steps, optim.patience) == (10, 500, 3)
    assert recipe.loss.positive_weight == 21
    assert recipe.growth.max_dendrites == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GOOD + "[optim]\nlearning_rat = 1\n", "unknown setting optim.learning_rat"),
        ("nam = 1\n" + GOOD, "unknown setting nam"),
        ('name = "a"\n[data]\n', "lacks the setting data.train"),
        (GOOD + '[optim]\nepochs = "three"\n', "optim.epochs = 'three' is not a number"),
        (GOOD + "[optim]\nbatch_size = true\n", "optim.batch_size = True"),
        (GOOD + '[optim]\nprecision = "fp8"\n', "one of 'auto', 'fp32', 'bf16'"),
        (GOOD + "[optim]\nepochs = 0\n", "optim.epochs = 0 needs model.start"),
        (GOOD + "[optim]\nepochs = -1\n", "must be at least 0"),
        (GOOD + "[optim]\nstrength_rate = -1\n", "strength_rate must not be negative"),
        (GOOD + '[growth]\nrule = "magic"\n', "one of 'gradient', 'correlation'"),
        (GOOD + "[loss]\nattribute_weights = { rude = 2.0 }\n", "'rude' is not an attribute"),
        (GOOD.replace('tokenizer = "default"', 'start = "weights"'), "model.source must name"),
        (
            GOOD.replace('tokenizer = "default"', 'tokenizer = "default"\naverage = ["x"]'),
            "model.average needs",
        ),
        ('name = "a"\ndata = 3\n', "data must be a table"),
        ("name = [", "not valid TOML"),
        (GOOD + "hidden_size = 33\n", "multiple of model.heads"),
        (GOOD + 'frozen = "(("\n', "model.frozen is not a regular expression"),
        (GOOD + '[growth]\nwhere = "(("\n', "growth.where is not a regular expression"),
        (GOOD + "[growth]\ntries = 0\n", "must be at least 1"),
        ("seed = -1\n" + GOOD, "seed must not be negative"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(tmp_path, text, says):
    with pytest.raises(UserError) as error:
        read_recipe(write(tmp_path, text))
    assert says in str(error.value)
    assert "r.toml" in str(error.value)


def test_a_missing_recipe_is_refused(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_recipe(tmp_path / "none.toml")


def test_digest_tells_recipes_apart(tmp_path):
    one = read_recipe(write(tmp_path, GOOD))
    same = read_recipe(write(tmp_path, GOOD))
    other = read_recipe(write(tmp_path, GOOD.replace('name = "a"', 'name = "a"\nseed = 1')))
    assert one.digest() == same.digest() != other.digest()
