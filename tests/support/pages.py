"""The documentation as tests read it: fenced blocks with their marks, the commands in them, and a place to run them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
SHELL = ("sh", "bash", "console")
_FENCE = re.compile(
    r"(?P<mark><!-- not run: (?P<why>[^\n]*?) -->\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.M | re.S
)
_ENDS = {"&&", "||", ";", "|", "&", "(", ")", ">", ">>", "<", "|&", ");"}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; `why` says why it is not run, "" where it is."""

    page: Path
    line: int
    kind: str
    text: str
    why: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"

    def commands(self) -> str:
        """Return what a shell is to run: of a console the lines behind `$ `."""
        if self.kind != "console":
            return self.text
        lines = (each[2:] for each in self.text.splitlines(keepends=True) if each.startswith("$ "))
        return "".join(re.sub(r"; (echo .*)\$\?", r" && code=0 || code=$?; \1$code", each) for each in lines)


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    found = _FENCE.finditer(text)
    return [Block(page, text.count("\n", 0, m.start("kind")) + 1, m["kind"], m["text"], m["why"] or "") for m in found]


def spans(page: Path) -> list[str]:
    """Return the inline codes of a page that are whole commands: no "..." and no [choice] in them, no NAME."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    found = (" ".join(each.split()) for each in re.findall(r"`(janus-eval [^`]+)`", text))
    return [each for each in found if not re.search(r"\.\.\.|\[|-[mb] NAME|…", each)]


def arguments(script: str) -> Iterator[list[str]]:
    """Yield what follows `janus-eval` in each command of a shell script, its own variables filled in."""
    known: dict[str, str] = {}
    for line in script.replace("\\\n", " ").splitlines():
        if given := re.fullmatch(r'(?:export )?(\w+)="([^"]*)"', line.strip()):
            known[given[1]] = given[2]
        for name, value in known.items():
            line = line.replace(f"${name}", value)
        words = shlex.shlex(line, posix=True, punctuation_chars=True)
        words.whitespace_split = True
        said: list[str] | None = None
        for word in [*words, ";"]:
            if word in _ENDS:
                if said is not None:
                    yield said
                said = None
            elif said is not None:
                said.append(word)
            elif Path(word).name == "janus-eval":
                said = []


@dataclass
class Place:
    """A folder in which the blocks of one page are run in their order, each once; variables live on."""

    folder: Path
    page: list[Block]
    done: dict[Block, str] = field(default_factory=dict[Block, str])

    def run(self, block: Block) -> str:
        """Run a block, and before it those above it, and return what it printed. Fails where a command does."""
        for each in self.page:
            if not each.why and each not in self.done:
                self.done[each] = self._python(each) if each.kind == "python" else self._shell(each)
            if each == block:
                break
        return self.done[block]

    def _shell(self, block: Block) -> str:
        state = f"{self.folder}/.state"
        head = f"[ -f {state} ] && . {state}\nset -a -eu -o pipefail\n"
        return self._call(block, ["bash", "-c", f"{head}{block.commands()}\nexport -p > {state}"])

    def _python(self, block: Block) -> str:
        return self._call(block, [sys.executable, "-c", block.text])

    def _call(self, block: Block, command: list[str]) -> str:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        quiet = {"HF_HUB_OFFLINE": "1", "NO_COLOR": "1", "JANUS_EVAL_CACHE": str(self.folder / ".cache")}
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, **quiet, "PATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{block} ends with {done.returncode}\n{block.text}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr


def shape(text: str) -> list[str]:
    """Return the lines of what a console shows, numbers and rules left out: what every machine prints alike."""
    lines = (re.sub(r"[−+-]?\b[\da-f]*\d[\da-f.,]*", "0", " ".join(line.split())) for line in text.splitlines())
    return [each for each in lines if each.strip(" -")]


def unseen(block: Block, printed: str) -> list[str]:
    """Return the lines that a console block shows and that were not printed in that order; "..." is anything."""
    there = iter(shape(printed))
    shown = "\n".join(line for line in block.text.splitlines() if not line.startswith("$ "))
    wanted = [each for each in shape(shown) if each != "..."]
    return [line for line in wanted if not any(_fits(line, each) for each in there)]


def _fits(line: str, printed: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, line.split("..."))), printed) is not None
