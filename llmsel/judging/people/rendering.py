"""How answers look: Markdown with code highlighted, raw text, and what differs between two.

Models write what they like, and some of it is meant for whoever reads it. HTML in Markdown is
shown as text; what Markdown makes is sanitised once more by nh3; there are no images, which a page
would fetch from strangers; and what hides or turns text (control characters, bidirectional
overrides) is shown by its code.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import nh3
from markdown_it import MarkdownIt
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound
from rapidfuzz.distance import Indel

from llmsel._base.terminal import encodable

LONGEST = 30_000  # characters that are read as Markdown, or coloured as code; beyond, plain text
DEEPEST = 20  # lists and quotes within each other
WORDS = 20_000  # of an answer that are compared word by word; beyond, line by line
LINES = 20_000  # of an answer that are compared at all
EMPTY = "<em>(an empty answer)</em>"
STYLE = (Path(__file__).parent / "answer.css").read_text(encoding="utf-8")
# C0 and C1 but tab and newline; what turns or hides text: marks, overrides, isolates, tags
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
_WORD = re.compile(r"\w+|[^\w\s]")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_TAGS = {
    *("p", "br", "hr", "em", "strong", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td", "span"),
}
_ATTRIBUTES = {"a": {"href", "title", "target"}, "span": {"class"}, "ol": {"start"}}


def visible(text: str) -> str:
    r"""Show by its code what hides or turns text; half an emoji becomes U+FFFD.

    Example:
        >>> visible("user\u202egpj.exe\x1b[0m")
        'user[U+202E]gpj.exe[U+001B][0m'
    """
    text = encodable(text).replace("\r\n", "\n")
    return _HIDDEN.sub(lambda found: f"[U+{ord(found[0]):04X}]", text)


@lru_cache(maxsize=64)
def rendered(text: str) -> str:
    """Turn Markdown into HTML that is safe to put into a page; very long text stays as it is.

    Args:
        text: of a model, or of anybody.
    """
    if len(text) > LONGEST:
        return raw(text)
    markdown = _markdown()
    tokens = markdown.parse(visible(text))
    if any(token.level >= DEEPEST - 1 for token in tokens):  # what is deeper would be left out
        return raw(text)
    return nh3.clean(
        str(markdown.renderer.render(tokens, markdown.options, {})),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes={"http", "https"},
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
        strip_comments=True,
    )


def raw(text: str) -> str:
    """Turn text into HTML that shows it letter by letter."""
    return f"<pre>{html.escape(visible(text))}</pre>"


def differences(left: str, right: str) -> tuple[str, str]:
    """Mark in two texts what the other does not have: word by word, or by lines if long.

    The time is bounded by the lengths, and the longest texts are not compared.

    Args:
        left: an answer.
        right: the other.

    Returns:
        HTML for each.
    """
    left, right = visible(left), visible(right)
    for unit, most in ((_WORD, WORDS), (_LINE, LINES)):
        spans = [[found.span() for found in unit.finditer(text)] for text in (left, right)]
        if max(map(len, spans)) <= most:
            return _marked(left, right, spans)
    return raw(left), raw(right)


def _marked(left: str, right: str, spans: Sequence[Sequence[tuple[int, int]]]) -> tuple[str, str]:
    words = [
        [text[start:end] for start, end in own]
        for text, own in zip((left, right), spans, strict=True)
    ]
    own: tuple[list[bool], list[bool]] = [True] * len(words[0]), [True] * len(words[1])
    for step in Indel.opcodes(*words):
        if step.tag == "equal":
            for marks, start, end in (
                (own[0], step.src_start, step.src_end),
                (own[1], step.dest_start, step.dest_end),
            ):
                marks[start:end] = [False] * (end - start)
    return _with_marks(left, spans[0], own[0]), _with_marks(right, spans[1], own[1])


def _with_marks(text: str, spans: Sequence[tuple[int, int]], own: Sequence[bool]) -> str:
    """Write a text with its own words marked; neighbours on a line share one mark."""
    parts, at, inside = [], 0, False
    for (start, end), mine in zip(spans, own, strict=True):
        between = text[at:start]
        if inside and (not mine or "\n" in between):
            parts.append("</mark>")
            inside = False
        parts.append(html.escape(between))
        if mine and not inside:
            parts.append("<mark>")
        parts.append(html.escape(text[start:end]))
        at, inside = end, mine
    parts.append("</mark>" if inside else "")
    return f"<pre>{''.join(parts)}{html.escape(text[at:])}</pre>"


@lru_cache(maxsize=1)
def _markdown() -> MarkdownIt:
    options = {"html": False, "highlight": _coloured, "maxNesting": DEEPEST}
    made = MarkdownIt("commonmark", options)
    made.enable(["table", "strikethrough"])
    made.disable("reference")  # a definition is not shown; text could hide in one
    made.add_render_rule("image", _no_image)
    return made


def _coloured(code: str, language: str, _attributes: str) -> str:
    """Colour code by the language that its fence names; "" leaves it plain."""
    try:
        lexer: Any = get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        return ""
    return str(highlight(code, lexer, HtmlFormatter(nowrap=True, classprefix="hl-")))


def _no_image(_self: Any, tokens: Sequence[Any], place: int, *_: Any) -> str:
    """Say that there is an image, and where it is, instead of fetching it."""
    token = tokens[place]
    return html.escape(f"[image: {token.content} {token.attrs.get('src', '')}]")
