"""Links of the docs site: where a file of the project stands on it; nothing is loaded from elsewhere."""

import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Files outside docs/ that are pages of the site.
MIRRORED = {
    "README.md": "index.md",
    "src/giantkiller/default/README.md": "model-card.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
}

_LINK = re.compile(r"(\]\()([^)\s]+)(\))|(<img [^>]*src=\")([^\"]+)(\")")
_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


def links(markdown):
    """Yield the targets of links and pictures, those in code left out."""
    for match in _LINK.finditer(_without_code(markdown)):
        yield match[2] or match[5]


def _without_code(markdown):
    return re.sub(r"`[^`\n]*`", "", _FENCE.sub("", markdown))


def is_local(target):
    """Return whether a link leads to a file of the project."""
    return not re.match(r"[a-z][a-z+.-]*:|#|/", target)


def site_path(path):
    """Return where a file of the project stands on the site: docs/ is the site's root."""
    if path in MIRRORED:
        return MIRRORED[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    # A browser shows a text, and downloads what it doesn't know.
    return f"project/{path}" if Path(path).suffix in (".md", ".png", ".html") else f"project/{path}.txt"


def rewrite(markdown, path):
    """Make the links of a file of the project fit for the site.

    Returns:
        The text, and the files outside docs/ that it links to.
    """
    outside = set()
    here = Path(site_path(path)).parent

    def replace(match):
        before, target, after = match.groups()[:3] if match[2] else match.groups()[3:]
        if not is_local(target):
            return match[0]
        file, mark, anchor = target.partition("#")
        found = os.path.normpath(Path(path).parent / file)
        if not (ROOT / found).is_file():
            return match[0]  # mkdocs says what is wrong with it
        if not found.startswith("docs/") and found not in MIRRORED:
            outside.add(found)
        return f"{before}{os.path.relpath(site_path(found), here)}{mark}{anchor}{after}"

    return _LINK.sub(replace, markdown), outside


_LOADED = re.compile(
    r"<(?:script|img|iframe|source|video|audio|embed)\b[^>]*?\bsrc=[\"']?((?:https?:)?//[^\"'\s>]+)"
    r"|<link\b(?![^>]*rel=[\"']?canonical)[^>]*?\bhref=[\"']?((?:https?:)?//[^\"'\s>]+)"
    r"|url\([\"']?((?:https?:)?//[^\"')]+)"
    r"|@import\s+[\"']((?:https?:)?//[^\"']+)",
    re.IGNORECASE,
)


def loaded_from_elsewhere(text):
    """Return the addresses from which a page or a style sheet would load scripts, styles, fonts, pictures."""
    return [next(filter(None, found)) for found in _LOADED.findall(text)]
