"""What mkdocs asks while it builds the site: pages that lie above docs/, and links that lead out of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Pages of the repository's root, and what the site calls them."""
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:|#|mailto:)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of the repository's root, their links as those of a page in docs/."""
    for name, page in PAGES.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=inside(text, ROOT)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Mend the links that lead out of docs/."""
    return inside(markdown, ROOT / "docs")


def inside(text: str, folder: Path) -> str:
    """Return the text of a page of `folder` with links that hold within the site; what is no page is named instead.

    Raises PluginError for a link to a file that is not there.
    """

    def mended(link: re.Match[str]) -> str:
        words, target, anchor = link[1], link[2], link[3] or ""
        path = (folder / target).resolve()
        if folder == ROOT / "docs" and path.parent == folder and path.name in PAGES.values():
            return link[0]
        if not path.exists():
            raise PluginError(f"[{words}]({target}) leads nowhere")
        if path.parent == ROOT / "docs":
            return f"[{words}]({path.name}{anchor})"
        if (page := PAGES.get(str(path.relative_to(ROOT)))) is not None:
            return f"[{words}]({page}{anchor})"
        name = f"`{path.relative_to(ROOT)}`"
        return name if words.strip("`") in name else f"{words} ({name} in the repository)"

    fences = re.split(r"(^```.*?^```$)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(each if each.startswith("```") else _LINK.sub(mended, each) for each in fences)
