"""Templates of pages: whatever comes from files is escaped, and what a browser would act on is written out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import jinja2
from markupsafe import Markup

from actors.core.errors import printable

# A flag and, where it has one, its value: file formats, devices and precisions.
FLAG = re.compile(r"(--[a-z][a-z-]*[a-z](?: (?:jpg|none|cuda|fp16|feather)\b)?)")


def render(template: str, context: Mapping[str, Any]) -> str:
    """A page, as one HTML document.

    Args:
        template: file of this package.
        context: what the template names.
    """
    return _environment().get_template(template).render(context)


@cache
def _environment() -> jinja2.Environment:
    """What compiles a template when it is first asked for, and keeps it."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("jobs.report", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_literal,
    )
    environment.filters["flags"] = _mark_flags
    return environment


def _literal(value: object) -> object:
    """A value of the template as a reader is to see it: of text, what a browser would act on is written out."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _mark_flags(text: str) -> Markup:
    """Text whose flags and their values are code, and never broken at a hyphen."""
    parts = FLAG.split(text)
    return Markup("").join(
        Markup('<code class="flag">{}</code>').format(part) if FLAG.fullmatch(part) else part for part in parts
    )
