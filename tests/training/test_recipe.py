from pathlib import Path

import pytest

from giantkiller.errors import UserError
from giantkiller.training.recipe import read_recipe

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))


def write(folder: Path, text: str) -> Path:
    path = folder / "r.toml"
    path.write_text(text)
    return path


GOOD = 'name = "a"\n[data]\nsources = [{ file = "x.csv" }]\n[model]\ntokenizer = "default"\n'


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
        (
            GOOD + "[optim]\nlearning_rat = 1\n",
            "unknown setting optim.learning_rat; did you mean learning_rate?",
        ),
        ("nam = 1\n" + GOOD, "unknown setting nam; did you mean name?"),
        ("colour = 1\n" + GOOD, "unknown setting colour; known here: name, data, model"),
        (GOOD.replace("file =", "fil ="), "unknown setting data.sources[0].fil; did you mean file?"),
        ('name = "a"\n[data]\n', "data: object missing required field sources"),
        ('name = "a"\n[data]\nsources = []\n', "data: sources is empty; add [[data.sources]]"),
        (GOOD.replace('file = "x.csv"', ""), "data.sources[0]: a source has either a file or made_up"),
        (GOOD.replace('file = "x.csv"', 'made_up = "harsh"'), "made_up needs a limit"),
        (
            GOOD.replace('"x.csv"', '"x.csv", repeat = 0'),
            "data.sources[0].repeat: expected a whole number >= 1",
        ),
        (
            GOOD.replace('"x.csv"', '"x.csv", labels = { rude = 1 }'),
            "labels: invalid enum value 'rude'; known",
        ),
        (
            GOOD.replace('"x.csv"', '"x.csv", require = ["rude"]'),
            "require[0]: invalid enum value 'rude'; known",
        ),
        (GOOD + '[optim]\nepochs = "three"\n', "optim.epochs: expected a number, got a text"),
        (
            GOOD + "[optim]\nbatch_size = true\n",
            "optim.batch_size: expected a whole number, got true or false",
        ),
        (
            GOOD + '[optim]\nprecision = "fp8"\n',
            "optim.precision: invalid enum value 'fp8'; known here: auto, fp32",
        ),
        (GOOD + "[optim]\nepochs = 0\n", "optim.epochs = 0 needs model.start"),
        (GOOD + "[optim]\nepochs = -1\n", "optim.epochs: expected a number >= 0"),
        (GOOD + "[optim]\nclip = nan\n", "optim.clip: expected a number >= 0"),
        (GOOD + "[optim]\npatience = 0\n", "optim.patience: expected a whole number >= 1"),
        (GOOD + "[optim]\nlearning_rate = 0\n", "optim.learning_rate: expected a number > 0"),
        (GOOD + '[growth]\nrule = "magic"\n', "known here: gradient, correlation"),
        (GOOD + "[loss]\nsoft_share = 1.1\n", "loss.soft_share: expected a number <= 1"),
        (GOOD.replace('tokenizer = "default"', 'start = "weights"'), "model: source must name"),
        (
            GOOD.replace('tokenizer = "default"', 'tokenizer = "default"\naverage = ["x"]'),
            "model: average needs",
        ),
        (GOOD + 'kind = "auto"\nsource = "x"\n[growth]\nmax_dendrites = 1\n', "growth needs model.kind"),
        (GOOD + 'kind = "auto"\nsource = "x"\n[phrases]\nrows = 9\n', "phrases need model.kind"),
        (GOOD + "[phrases]\nrows = 502\n", "multiple of 251"),
        (
            GOOD.replace('"x.csv"', '"x.csv", quiet = true, restrain = 1'),
            "restrain is for sources that are not quiet",
        ),
        (GOOD.replace('"x.csv"', '"x.csv", restrain = 1'), "set phrases.apart above 0"),
        (GOOD + 'kind = "auto"\nsource = "x"\n[loss]\nstates = 1\n', "loss.states needs model.kind"),
        ('name = "a"\ndata = 3\n', "data: expected a table, got a whole number"),
        ("name = [", "not valid TOML"),
        (GOOD + "hidden_size = 33\n", "model: hidden_size must be a multiple of heads"),
        (GOOD + 'frozen = "(("\n', "model: frozen is not a regular expression"),
        (GOOD + '[growth]\nwhere = "(("\n', "growth: where is not a regular expression"),
        (GOOD + "[growth]\ntries = 0\n", "growth.tries: expected a whole number >= 1"),
        ("seed = -1\n" + GOOD, "seed: expected a whole number >= 0"),
        (f"seed = {10**24}\n" + GOOD, "seed: expected a whole number <= 4294967295"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(tmp_path, text, says):
    with pytest.raises(UserError) as error:
        read_recipe(write(tmp_path, text))
    assert says in str(error.value)
    assert "r.toml" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_recipe_is_refused(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_recipe(tmp_path / "none.toml")


def test_digest_tells_recipes_apart(tmp_path):
    one = read_recipe(write(tmp_path, GOOD))
    same = read_recipe(write(tmp_path, GOOD))
    other = read_recipe(write(tmp_path, GOOD.replace('name = "a"', 'name = "a"\nseed = 1')))
    assert one.digest() == same.digest() != other.digest()
