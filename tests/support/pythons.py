"""Other Pythons for a test: virtual environments of their own that see what this one has, or all but some packages."""

from __future__ import annotations

import site
import subprocess
import sys
from pathlib import Path


def another_python(folder: Path, *without: str) -> Path:
    """Return the interpreter of a new environment in which what begins with one of `without` is not installed."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    (own,) = folder.glob("lib/python*/site-packages")
    seen = [Path(each) for each in dict.fromkeys([*site.getsitepackages(), *sys.path])]
    lines: list[str] = []
    for number, place in enumerate(each for each in seen if each.name == "site-packages" and each.is_dir()):
        shown = folder / f"seen-{number}" / "site-packages"  # where packages lie that are installed
        shown.mkdir(parents=True)
        for entry in place.iterdir():
            if not entry.name.startswith(without or ("\0",)) and entry.name != "main.pth":
                (shown / entry.name).symlink_to(entry)
        lines.append(f"import site; site.addsitedir({str(shown)!r})\n")
    (own / "seen.pth").write_text("".join(lines))
    return python
