"""Pages of the docs site that are made from the code when the site is built (a hook of mkdocs).

The start is README.md; commands come from click, recipes from dataclasses, settings from pydantic, rooms from
docstrings.
"""

import ast
import dataclasses
import html
import inspect
import itertools
import json
import re
import textwrap
import types
import typing
from functools import partial
from pathlib import Path

from site_links import MIRRORED, ROOT, loaded_from_elsewhere, rewrite, site_path  # lies beside this file

PACKAGE = ROOT / "src" / "giantkiller"

HOUSE = ("bundle", "calibration", "encoding", "cleaning", "batching", "atomic", "loading", "speed")
"""Modules of the house below the public names, which have a page of their own."""
ROOMS = (
    "files",
    "cluster",
    "frames",
    "data",
    "dendrites",
    "models",
    "training",
    "evaluation",
    "export",
    "adapt",
    "serve",
    "store",
    "desk",
)

# Markdown.


def code(text):
    """Return text as code that may stand in a table."""
    return f"<code>{html.escape(str(text)).replace('|', '&#124;')}</code>"


def prose(text):
    """Return plain text as Markdown that may stand in a table; what is in backticks is code."""
    parts = re.split(r"``?([^`]+)``?", " ".join(text.split()))
    escaped = [re.sub(r"([\\*_\[\]])", r"\\\1", html.escape(part)).replace("|", "&#124;") for part in parts]
    return "".join(code(part) if i % 2 else escaped[i] for i, part in enumerate(parts))


def table(header, rows):
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


# Commands.


def commands():
    """Yield (words, command) of the command line, groups before their commands."""
    import click

    from giantkiller.cli.main import giantkiller

    def walk(words, command):
        yield words, command
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                yield from walk(f"{words} {name}", command.get_command(context, name))

    yield from walk("giantkiller", giantkiller)


def commands_page():
    """Return the page of all commands and options."""
    parts = [
        "# Commands\n",
        "Made from the command line itself; `giantkiller COMMAND --help` prints the same. `MODEL` is "
        "`default` (the shipped model), a bundle folder, a checkpoint folder or a hub id.\n",
    ]
    for words, command in commands():
        parts += _command(words, command)
    return "\n".join(parts)


def _command(words, command):
    import click

    context = click.Context(command, info_name=words, max_content_width=100)
    depth = "##" if words.count(" ") < 2 else "###"
    yield f"{depth} {words}\n"
    yield _paragraphs(command.help or "")
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"```\n{words} {usage}\n```\n"
    if isinstance(command, click.Group) and words == "giantkiller":
        from giantkiller.cli.main import COMMANDS

        yield table(
            ["command", ""],
            [[f"[{code(name)}](#giantkiller-{name})", prose(text)] for name, (_, text) in COMMANDS.items()],
        )
    options = [p.get_help_record(context) for p in command.params if isinstance(p, click.Option)]
    if any(options):
        yield table(["option", ""], [[code(flags), prose(text)] for flags, text in filter(None, options)])
    if command.epilog:
        yield _paragraphs(command.epilog)


def _paragraphs(text):
    """Return the text of a click command as Markdown; paragraphs after \\b are kept as they are."""
    parts = []
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if "\b" in paragraph:
            lines = paragraph.replace("\b", "").strip("\n")
            if parts and parts[-1].strip() == "Examples:":
                parts.pop()
            parts.append(f"```\n{textwrap.dedent(lines)}\n```\n")
        else:
            parts.append(prose(paragraph) + "\n")
    return "\n".join(parts)


# Recipes.


def field_docs(kind):
    """Return the docstrings below the fields of a dataclass, by field."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0].body
    docs = {}
    for field, following in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(following, ast.Expr):
            docs[field.target.id] = inspect.cleandoc(ast.literal_eval(following.value))
    return docs


def tables(kind, name=""):
    """Yield (TOML heading, dataclass) of a recipe: itself, its tables, the tables in those."""
    yield name, kind
    for key, hint in typing.get_type_hints(kind).items():
        inner, brackets = _inner(hint)
        if dataclasses.is_dataclass(inner):
            path = f"{name.strip('[]')}.{key}".lstrip(".")
            yield from tables(inner, f"[[{path}]]" if brackets else f"[{path}]")


def _inner(hint):
    listed = typing.get_origin(hint) is list
    return (typing.get_args(hint)[0] if listed else hint), listed


def recipes_page():
    """Return the page of all keys of a recipe."""
    from giantkiller.training.recipe import Recipe

    parts = [
        "# Recipes\n",
        "A recipe is a TOML file that says everything about one training run: "
        "[the guide](../guides/training.md) shows how to use it. A key that is not on this page is refused. "
        "Made from `giantkiller.training.settings`.\n",
    ]
    for heading, kind in tables(Recipe):
        parts.append(f"## {heading or 'Recipe'}\n")
        parts.append(prose(inspect.getdoc(kind)) + "\n")
        docs = field_docs(kind)
        hints = typing.get_type_hints(kind, include_extras=True)
        rows = [
            [code(f.name), prose(in_words(hints[f.name])), _default(f), prose(docs.get(f.name, ""))]
            for f in dataclasses.fields(kind)
            if not dataclasses.is_dataclass(_inner(hints[f.name])[0])
        ]
        parts.append(table(["key", "value", "default", ""], rows))
    return "\n".join(parts)


def _default(field):
    if field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    else:
        value = field.default
    if value is dataclasses.MISSING:
        return "required"
    return "" if value is None else code(json.dumps(value))


_WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}


def in_words(hint):
    """Return what a type allows, in words."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hasattr(hint, "__metadata__"):
        return f"{in_words(arguments[0])}{_bounds(hint.__metadata__)}"
    if origin is typing.Literal:
        return ", ".join(f"`{choice}`" for choice in arguments)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(in_words(each) for each in arguments if each is not type(None))
    if origin is list:
        return f"list of: {in_words(arguments[0])}"
    if origin is dict:
        return f"table of {in_words(arguments[0])}, each: {in_words(arguments[1])}"
    return _WORDS.get(hint, "text")


def _bounds(metadata):
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    found = [
        f" {sign} {bound:,}"
        for each in metadata
        for name, sign in signs.items()
        if (bound := getattr(each, name, None)) is not None
    ]
    return ",".join(found)


# Settings of the service.


def settings_page():
    """Return the page of all settings of `giantkiller serve`."""
    from giantkiller.serve.settings import PREFIX, Settings

    rows = []
    for name, field in Settings.model_fields.items():
        flag = f"--{name.replace('_', '-')}"
        default = "" if field.default is None or field.default_factory else code(json.dumps(field.default))
        kind = in_words(field.annotation) + _bounds(field.metadata)
        rows.append([code(name), code(flag), prose(kind), default, prose(field.description or "")])
    return "\n".join(
        [
            "# Settings of the service\n",
            "`giantkiller serve` takes each as a flag, as an environment variable "
            f"(`{PREFIX}` and the name in capitals, `{PREFIX}PORT`) or as a key of the TOML file that "
            "`--config` names; the flag wins over the environment, and that over the file. "
            "`giantkiller serve --check` prints the settings that would count. "
            "Made from `giantkiller.serve.settings`.\n",
            table(["key", "flag", "value", "default", ""], rows),
        ]
    )


# Rooms.


def modules(room):
    """Return the public modules of a room, the package first."""
    if (PACKAGE / f"{room}.py").is_file():
        return [f"giantkiller.{room}"]
    found = []
    for path in sorted((PACKAGE / room).rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        if "migrations" in parts or any(p.startswith("_") and p != "__init__" for p in parts):
            continue
        found.append(".".join(parts).removesuffix(".__init__"))
    return sorted(found)


def own_names(path):
    """Return the public names that a module itself defines."""
    names = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            names += [
                ast.unparse(t) for t in (node.targets if isinstance(node, ast.Assign) else [node.target])
            ]
    return [name for name in names if not name.startswith("_")]


def _module(name):
    """Return what mkdocstrings makes the documentation of a module of."""
    lines = [f"::: {name}", "    options:", "      show_root_full_path: true"]
    path = PACKAGE.parent.joinpath(*name.split("."), "__init__.py")
    if path.is_file():  # what a package gathers from its modules stands there
        lines.append(f"      members: {json.dumps(own_names(path) or False)}")
    return "\n".join(lines) + "\n"


def room_page(room):
    """Return the page of a room: its docstrings."""
    return "\n".join([f"# giantkiller.{room}\n", *map(_module, modules(room))])


def house_page():
    """Return the page of the modules below the public names."""
    title = "# The house, module by module\n"
    about = "What [the public names](python.md) are built on. No module here needs torch.\n"
    return "\n".join([title, about, *(_module(name) for room in HOUSE for name in modules(room))])


MADE = {
    "reference/commands.md": commands_page,
    "reference/recipes.md": recipes_page,
    "reference/settings.md": settings_page,
    "reference/house.md": house_page,
} | {f"reference/{room}.md": partial(room_page, room) for room in ROOMS}
"""The pages that are made from the code, by their path on the site."""


# What mkdocs calls.


def on_files(files, config):
    """Add the pages that are made, and the files outside docs/ that pages link to."""
    from mkdocs.structure.files import File

    pages = {path: make() for path, make in MADE.items()}
    outside = set()
    for path, page in MIRRORED.items():
        if (ROOT / path).is_file():
            text = (ROOT / path).read_text(encoding="utf-8")
            text = text if not text.startswith("---\n") else text.split("\n---\n", 1)[1]
            pages[page], linked = rewrite(text, path)
            outside |= linked
    for file in files.documentation_pages():
        outside |= rewrite(Path(file.abs_src_path).read_text(encoding="utf-8"), f"docs/{file.src_uri}")[1]
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    for path in sorted(outside):
        files.append(File.generated(config, site_path(path), content=(ROOT / path).read_bytes()))
    return files


def on_page_markdown(markdown, page, config, files):
    """Make the links of a page below docs/ fit for the site."""
    if page.file.generated_by is None:
        return rewrite(markdown, f"docs/{page.file.src_uri}")[0]
    return markdown


def on_post_build(config):
    """Fail when a built page would load anything from elsewhere."""
    from mkdocs.exceptions import PluginError

    for path in sorted(Path(config.site_dir).rglob("*")):
        if path.suffix in (".html", ".css"):
            found = loaded_from_elsewhere(path.read_text(encoding="utf-8"))
            if found:
                raise PluginError(f"{path} loads {found[0]}; the site must load nothing from elsewhere")
