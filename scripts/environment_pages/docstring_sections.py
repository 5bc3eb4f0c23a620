"""Sections and lists of docstrings."""

import inspect
import re


def docstring_sections(kind: type) -> dict[str, str]:
    """Text under each `## ` heading of the docstrings of a class and its bases.

    A heading that a base has too is the class's own, but for lists: what they name comes after what the base names.
    """
    sections: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        _, *parts = re.split(r"^## ", inspect.cleandoc(vars(one).get("__doc__") or ""), flags=re.M)
        for head, _, body in (part.partition("\n") for part in parts):
            name, text = head.strip(), body.strip()
            listed = text.startswith("- `") and name in sections
            sections[name] = longer_list(sections[name], text) if listed else text
    return sections


def longer_list(text: str, more: str) -> str:
    """A section with more entries at the end of its list."""
    paragraphs = text.split("\n\n")
    at = next(i for i, paragraph in enumerate(paragraphs) if paragraph.startswith("- `"))
    paragraphs[at] += f"\n{more}"
    return "\n\n".join(paragraphs)


def bullets(text: str) -> dict[str, str]:
    """A section's list: meanings by name."""
    found = re.findall(r"^- `([\w/]+)`: ((?:.|\n  )+)", text, flags=re.MULTILINE)
    return {name: " ".join(meaning.split()) for name, meaning in found}


def bullets_after(text: str) -> str:
    """What an Arguments section says after its list."""
    return text.rpartition("\n\n")[2] if "\n\n" in text else ""


def without_table(text: str) -> str:
    """A section's paragraphs that are no table and do not announce the space's type."""
    paragraphs = [p for p in text.split("\n\n") if not p.startswith(("|", "`Box`", "`Dict`"))]
    return "\n\n".join(paragraphs).strip()
