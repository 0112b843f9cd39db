"""Extension of Griffe that turns this project's docstrings, which are plain text, into Markdown of Google's style.

- `NOTE: ...` and other labels with a hanging indent become notes and paragraphs.
- Characters of formulas that have a meaning in Markdown, as in E_x[D(x)] and a*b*, are escaped outside code.
- Names of the project's public classes and numbers of arXiv become links.
"""

import re
from collections.abc import Iterator
from typing import Any

from griffe import Alias, Class, Extension, Module, Object

SECTION = re.compile(r"^(Args|Attributes|Returns|Yields|Raises|Example|Examples):$")
LABEL = re.compile(r"^([A-Z][A-Za-z ]{0,24}): (\S.*)$")
CODE = re.compile(r"(`[^`]+`)")
ARXIV = re.compile(r"\b(arXiv)(\s+)(\d{4}\.\d{4,5})")
SPECIAL = re.compile(r"([\\*_\[\]])")


def escaped(text: str, links: dict[str, str]) -> str:
    """Escape text outside code, and add links."""
    parts = []
    for part in CODE.split(text):
        name = part.strip("`")
        if part.startswith("`") and len(part) > 1:
            parts.append(f"[{part}][{links[name]}]" if name in links else part)
        else:
            plain = SPECIAL.sub(r"\\\1", part).replace("<", "&lt;")
            parts.append(ARXIV.sub(r"[\1\2\3](https://arxiv.org/abs/\3)", plain))
    return "".join(parts)


def blocks(lines: list[str]) -> Iterator[list[str]]:
    """Split lines into blocks, each up to a blank line or to the next label."""
    block: list[str] = []
    for line in lines:
        if block and (not line.strip() or LABEL.match(line)):
            yield block
            block = []
        if line.strip():
            block.append(line)
    if block:
        yield block


def markdown(docstring: str, links: dict[str, str]) -> str:
    """Convert a docstring, without the indentation of its code, to Google's style."""
    out: list[str] = []
    notes: list[str] = []
    section = False

    def flush() -> None:
        if notes:
            out.append("Note:\n" + "\n".join(f"    - {note}" for note in notes))
            notes.clear()

    for block in blocks(docstring.splitlines()):
        head, rest = block[0], block[1:]
        label = LABEL.match(head)
        hanging = rest and all(line.startswith("    ") for line in rest)
        if label and (hanging or label[1] == "NOTE"):
            text = escaped(" ".join([label[2], *(line.strip() for line in rest)]), links)
            if label[1] == "NOTE":
                notes.append(text)
            else:
                flush()
                out.append(f"**{label[1]}:** {text}")
            section = False
            continue
        flush()
        if SECTION.match(head):
            section = True
            out.append("\n".join([head, *items(rest, links)]))
        elif head.startswith("    ") and section:
            out.append("\n".join(items(block, links)))
        elif head.startswith("    "):
            out.append("\n".join(block))
        else:
            section = False
            out.append(escaped("\n".join(block), links))
    flush()
    return "\n\n".join(out)


def items(lines: list[str], links: dict[str, str]) -> list[str]:
    """Return the lines of a section, whose items are `name: text`."""
    changed = []
    for item in re.split(r"\n(?=    \S)", "\n".join(lines)):
        name, colon, text = item.partition(":")
        changed.append(name + colon + escaped(text, links) if colon else escaped(item, links))
    return changed


def objects(of: Object) -> Iterator[Object]:
    """Yield an object and all its members."""
    yield of
    for member in of.members.values():
        if not isinstance(member, Alias):
            yield from objects(member)


class Docstrings(Extension):
    """Changes the docstrings of a package after it has been read."""

    def __init__(self) -> None:
        super().__init__()
        self.links: dict[str, str] = {}

    def on_package(self, *, pkg: Module, **_: Any) -> None:
        """Record the public classes, then change all docstrings."""
        found = list(objects(pkg))
        public: dict[str, list[str]] = {}
        for each in found:
            shown = each.has_docstring and not each.name.startswith("_")
            if shown and isinstance(each, Class) and isinstance(each.parent, Module):
                public.setdefault(each.name, []).append(each.path)
        self.links |= {name: paths[0] for name, paths in public.items() if len(paths) == 1}
        for each in found:
            if each.docstring:
                each.docstring.value = markdown(each.docstring.value, self.links)
            if each.docstring and isinstance(each, Class) and any(str(base) == "NamedTuple" for base in each.bases):
                each.docstring.value = each.docstring.value.replace("Args:\n", "Attributes:\n")  # it has no __init__
