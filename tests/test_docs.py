"""The docs: nothing undocumented, no dead link, nothing loaded from elsewhere."""

import ast
import dataclasses
import importlib
import importlib.util
import os
import re
from pathlib import Path

import click
import pytest

import giantkiller
from giantkiller.cli.main import COMMANDS
from giantkiller.errors import MissingExtraError
from giantkiller.files.formats import FORMATS
from giantkiller.policy import ACTIONS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PACKAGE = ROOT / "src" / "giantkiller"
WRITTEN = [*sorted(DOCS.rglob("*.md")), *sorted(ROOT.glob("*.md"))]


def load_hook():
    spec = importlib.util.spec_from_file_location("pages", DOCS / "hooks" / "pages.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:  # as mkdocs does it
        patch.syspath_prepend(DOCS / "hooks")
        spec.loader.exec_module(module)
        return module, importlib.import_module("site_links")


pages, site_links = load_hook()


# Commands and options.


def load_command(name):
    try:
        return importlib.import_module(f"giantkiller.cli.{COMMANDS[name][0]}").command
    except MissingExtraError as error:
        pytest.skip(str(error))


def with_subcommands(command):
    yield command
    for each in getattr(command, "commands", {}).values():
        yield from with_subcommands(each)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_help(name):
    for command in with_subcommands(load_command(name)):
        assert command.help, f"{command.name} has no help"
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.help, f"{command.name} {option.opts[-1]} has no help"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_help_that_names_formats_names_them_all(name):
    for command in with_subcommands(load_command(name)):
        texts = [command.help, *(each.help for each in command.params if isinstance(each, click.Option))]
        for text in texts:
            if "CSV" in text and "Parquet" in text:
                assert [each.name for each in FORMATS.values() if each.name not in text] == []


def test_a_help_that_names_actions_names_them_all():
    text = " ".join(load_command("screen").help.split())
    assert f"({', '.join(ACTIONS[:-1])} or {ACTIONS[-1]})" in text


def test_the_page_of_commands_has_every_option():
    for name in COMMANDS:
        load_command(name)
    page = pages.commands_page()
    for words, command in pages.commands():
        assert f"# {words}\n" in page
        for option in command.params:
            if isinstance(option, click.Option):
                assert max(option.opts, key=len) in page


# Recipes and settings.


def test_every_recipe_key_has_a_docstring():
    pytest.importorskip("msgspec")
    from giantkiller.training.recipe import Recipe

    for heading, kind in pages.tables(Recipe):
        docs = pages.field_docs(kind)
        for field in dataclasses.fields(kind):
            assert docs.get(field.name), f"{heading} {field.name} has no docstring below it"


def test_the_page_of_recipes_has_every_table():
    pytest.importorskip("msgspec")
    page = pages.recipes_page()
    for heading in ("[data]", "[[data.sources]]", "[model]", "[optim]", "[loss]", "[growth]", "[readout]"):
        assert f"\n## {heading}\n" in page
    assert "<code>learning_rate</code>" in page


def test_every_setting_of_the_service_is_described():
    pytest.importorskip("pydantic_settings")
    from giantkiller.serve.settings import Settings

    page = pages.settings_page()
    for name, field in Settings.model_fields.items():
        assert field.description, f"{name} has no description"
        assert f"<code>--{name.replace('_', '-')}</code>" in page


# Public names.


def public_packages():
    """The packages that list their public names."""
    for path in [PACKAGE / "__init__.py", *sorted(PACKAGE.glob("*/__init__.py"))]:
        if path.parent.name not in ("cli", "default"):
            yield path


def source_of(path, name):
    """The file that defines a public name of a package."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and name in {alias.name for alias in node.names}:
            folder = PACKAGE.parent.joinpath(*node.module.split("."))
            module = folder.with_suffix(".py")
            return module if module.is_file() else folder / "__init__.py"
    return path


def docstrings(path):
    """The names at the top of a module, and those of its classes' fields, to their docstrings."""

    def scan(body, before=""):
        for node, following in zip(body, [*body[1:], None], strict=True):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield before + node.name, ast.get_docstring(node)
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                told = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
                for target in targets:
                    yield before + ast.unparse(target), following.value.value if told else None

    return dict(scan(ast.parse(path.read_text(encoding="utf-8")).body))


@pytest.mark.parametrize("path", list(public_packages()), ids=lambda path: path.parent.name)
def test_every_public_name_has_a_docstring(path):
    listed = [
        name
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        for name in ast.literal_eval(node.value)
    ]
    for name in listed:
        if name != "__version__":
            assert docstrings(source_of(path, name)).get(name), f"{name} of {path} has no docstring"


def test_the_page_of_public_names_has_them_all():
    page = (DOCS / "reference" / "python.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"^::: (\S+)", page, re.MULTILINE))
    for name in giantkiller.__all__:
        if name != "__version__":
            module = ".".join(source_of(PACKAGE / "__init__.py", name).relative_to(PACKAGE.parent).parts)
            module = module.removesuffix(".py")
            assert {module, f"{module}.{name}"} & shown, f"{name} is on no page"


def test_every_room_has_a_page():
    known = {*pages.HOUSE, *pages.ROOMS, "attributes", "errors", "policy", "screener", "explain"}
    hidden = {"__init__", "__main__", "cli", "default", "runtime", "__pycache__", "py.typed"}
    rooms = {path.name.removesuffix(".py") for path in PACKAGE.iterdir()}
    assert {room for room in rooms if not room.startswith(".")} - hidden == known


def test_the_design_names_every_room():
    text = (DOCS / "design.md").read_text(encoding="utf-8")
    for room in {*pages.HOUSE, *pages.ROOMS, "attributes", "errors", "policy", "screener", "explain", "cli"}:
        assert f"`{room}`" in text, f"docs/design.md doesn't name {room}"


# Pages and links.


def test_every_page_is_in_the_navigation():
    listed = set(re.findall(r"[\w/.-]+\.md\b", (ROOT / "mkdocs.yml").read_text(encoding="utf-8")))
    for path in sorted(DOCS.rglob("*.md")):
        assert path.relative_to(DOCS).as_posix() in listed, f"{path} is missing in the `nav` of mkdocs.yml"


def anchors(markdown):
    """The anchors of a page's headings, as the site and code hosts make them."""
    for heading in re.findall(r"^#+ (.+)$", markdown, re.MULTILINE):
        yield re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    for target in site_links.links(path.read_text(encoding="utf-8")):
        file, _, anchor = target.partition("#")
        if not site_links.is_local(target) and file:
            continue
        found = Path(os.path.normpath(path.parent / file)) if file else path
        name = os.path.relpath(found, DOCS)
        if name in pages.MADE or name in site_links.MIRRORED.values():
            continue  # made when the site is built, which checks the anchor
        assert found.exists(), f"{target} leads nowhere"
        if anchor and found.suffix == ".md":
            assert anchor in anchors(found.read_text(encoding="utf-8")), f"{target} leads to no heading"


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("README.md", "[a](docs/guides/judging.md#speed)", "[a](guides/judging.md#speed)"),
        ("README.md", "[a](NOTICE)", "[a](project/NOTICE.txt)"),
        ("README.md", "![a](docs/results/civil/pr.png)", "![a](results/civil/pr.png)"),
        ("docs/guides/judging.md", "[a](../../README.md)", "[a](../index.md)"),
        ("docs/guides/judging.md", "[a](../results/speed.md)", "[a](../results/speed.md)"),
        ("docs/design.md", "[a](https://example.org/x)", "[a](https://example.org/x)"),
        ("docs/design.md", "[a](#rooms)", "[a](#rooms)"),
    ],
)
def test_links_are_made_fit_for_the_site(path, before, after):
    assert site_links.rewrite(before, path)[0] == after


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://example.org/a.js"></script>',
        "<script async src=//example.org/a.js></script>",
        '<link rel="stylesheet" href="https://example.org/a.css">',
        '<img alt="" src="http://example.org/a.png">',
        "@font-face{src:url(https://example.org/a.woff2)}",
        '@import "//example.org/a.css";',
    ],
)
def test_what_comes_from_elsewhere_is_found(text):
    assert site_links.loaded_from_elsewhere(text)


@pytest.mark.parametrize(
    "text",
    ['<a href="https://example.org">', '<script src="../a.js"></script>', "url(data:image/svg+xml;x)"],
)
def test_what_comes_with_the_site_may_be_loaded(text):
    assert not site_links.loaded_from_elsewhere(text)


def test_plain_text_stays_plain_in_a_table():
    assert pages.prose("a|b <c> `d|e` _f_") == "a&#124;b &lt;c&gt; <code>d&#124;e</code> \\_f\\_"
