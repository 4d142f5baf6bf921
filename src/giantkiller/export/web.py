"""A bundle as one HTML file that screens comments in a browser, offline."""

import base64
import gzip
import html
import json
from pathlib import Path

from giantkiller.atomic import replace_file
from giantkiller.bundle import DEFAULT_NAME, MANIFEST, read_bundle
from giantkiller.errors import UserError
from giantkiller.policy import Policy

TEMPLATE = Path(__file__).parent / "page.html"
"""The page without a bundle; `npm run dist` in web/ makes it."""

_BERT = {"normalizer": "BertNormalizer", "pre_tokenizer": "BertPreTokenizer", "model": "WordPiece"}


def export_web(model: str | Path | None, output: str | Path, *, policy: Policy | str | None = None) -> Path:
    """Write a page that holds a bundle and all that scoring needs, and asks no server for anything.

    Args:
        model: As for `find_bundle`.
        output: The HTML file.
        policy: What decides when the page opens: a policy, one of the bundle's by name, or its own.

    Raises:
        UserError: The bundle can't be read or has another tokenizer than BERT's, this installation has no
            page inside, or the place can't be written.
    """
    if not TEMPLATE.is_file():
        raise UserError(
            "this installation has no page inside; install giantkiller from a release, "
            "or run `npm ci` and `npm run dist` in web/ of a checkout"
        )
    bundle = read_bundle(model)
    if isinstance(policy, str):
        bundle.choose_policy(policy)
    tokenizer = json.loads(bundle.tokenizer.read_bytes())
    if any((tokenizer.get(part) or {}).get("type") != kind for part, kind in _BERT.items()):
        raise UserError(f"{bundle.tokenizer} is not BERT's tokenizer, which is all that the page reads")
    files = {"manifest": bundle.folder / MANIFEST, "model": bundle.model, "tokenizer": bundle.tokenizer}
    blocks = [f'<script type="text/plain" id="{name}">{_pack(path)}</script>' for name, path in files.items()]
    chosen = json.dumps(policy.to_dict() if isinstance(policy, Policy) else policy or DEFAULT_NAME)
    chosen = chosen.replace("<", "\\u003c")
    blocks.append(f'<script type="application/json" id="chosen">{chosen}</script>')
    page = TEMPLATE.read_text(encoding="utf-8")
    page = page.replace("%TITLE%", html.escape(f"Screen comments: {bundle.name} {bundle.version}"), 1)
    page = page.replace("<!-- bundle -->", "\n".join(blocks), 1)
    with replace_file(output) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")
    return Path(output)


def _pack(path: Path) -> str:
    return base64.b64encode(gzip.compress(path.read_bytes(), mtime=0)).decode()
