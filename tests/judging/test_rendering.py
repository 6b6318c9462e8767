"""Answers as people see them: Markdown and code, and nothing that an answer could do to a page."""

import html
import re
import time

import pytest

from llmsel.judging.people.rendering import LONGEST, differences, raw, rendered, visible

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "handler": "<img src=x onerror=alert(1)> <svg/onload=alert(1)> <a onclick=alert(1)>x</a>",
    "style": "<style>body{display:none}</style> <p style='position:fixed;inset:0'>over it all</p>",
    "frame": "<iframe src='https://evil.example'></iframe><object data=x></object><form action=x>",
    "link": "[a](javascript:alert(1)) [b](JaVaScRiPt&colon;alert(1)) <javascript:alert(1)>",
    "data": "[c](data:text/html,<script>alert(1)</script>) [d](vbscript:x) [e](file:///etc/passwd)",
    "reference": "[f]\n\n[f]: javascript:alert(1)",
    "image": "![a](https://evil.example/x.png) ![b](data:image/svg+xml,<svg onload=alert(1)>)",
    "fence": '```"><script>alert(1)</script>\n<script>alert(2)</script>\n```',
    "language": "```html\n<script>alert(1)</script>\n```",
    "title": "[g](https://e.org '\"><img src=x onerror=alert(1)>')",
    "closing": "</div></div></body><script>alert(1)</script>",
    "comment": "<!--><script>alert(1)</script>-->",
    "nul": "<scr\x00ipt>alert(1)</scr\x00ipt>",
    "surrogate": "\ud800<script>alert(1)</script>",
}
ALLOWED = {
    *("p", "br", "hr", "em", "strong", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td", "span"),
    "mark",
}


def tags(shown):
    return re.findall(r"<(/?)([a-zA-Z][\w-]*)([^>]*)>", shown)


def harmless(shown):
    """Every tag is one that is known, with attributes that can do nothing."""
    for _, name, attributes in tags(shown):
        assert name in ALLOWED, shown
        for key, value in re.findall(r'([\w-]+)="([^"]*)"', attributes):
            assert key in ("class", "href", "title", "target", "rel", "start"), shown
            assert key != "href" or value.startswith(("http://", "https://")), shown
        assert re.sub(r'[\w-]+="[^"]*"', "", attributes).strip() == "", shown
    return True


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_a_model_writes_does_nothing(text):
    for shown in (rendered(text), raw(text), *differences(text, "another"), rendered(f"*{text}*")):
        assert harmless(shown)
    if "<script>" in text or "alert(1)" in text:
        assert "alert(1)" in html.unescape(re.sub(r"<[^>]*>", "", raw(text)))  # and it is shown


def test_every_mixture_of_hostile_pieces_is_harmless():
    pieces = list(HOSTILE.values())
    for i, one in enumerate(pieces):
        for other in (*pieces[i:], "```", "> - ", "| a |\n| --- |\n| "):
            assert harmless(rendered(other + one)) and harmless(rendered(f"{one}`{other}"))


def test_markdown_and_code_look_as_meant():
    shown = rendered(
        "# Title\n\n**bold** and `code`\n\n1. one\n2. two\n\n"
        "| a | b |\n| - | - |\n| 1 | ~~2~~ |\n\n```python\ndef f(): return '<b>'\n```\n"
        "[docs](https://docs.python.org/3/)"
    )
    for part in ("<h1>Title</h1>", "<strong>bold</strong>", "<li>two</li>", "<td><s>2</s></td>"):
        assert part in shown
    assert '<span class="hl-k">def</span>' in shown and "&lt;b&gt;" in shown
    (link,) = [attributes for _, name, attributes in tags(shown) if name == "a" and attributes]
    assert 'rel="noopener noreferrer nofollow"' in link and 'target="_blank"' in link


def test_an_image_is_told_and_never_fetched():
    shown = rendered("see ![a cat](https://evil.example/x.png)")
    assert shown.strip() == "<p>see [image: a cat https://evil.example/x.png]</p>"


def test_what_hides_or_turns_text_is_shown_by_its_code():
    assert visible("user\u202egpj.exe") == "user[U+202E]gpj.exe"
    assert visible("a\u2066b\u200bc\x1b[0m\U000e0041") == "a[U+2066]b[U+200B]c[U+001B][0m[U+E0041]"
    assert visible("tab\tline\r\nשלום 👩\u200d💻") == "tab\tline\nשלום 👩\u200d💻"  # left alone
    for shown in (rendered("`x\u202ey`"), raw("x\u202ey"), *differences("x\u202ey", "x\u202ez")):
        assert "\u202e" not in shown and "[U+202E]" in shown


@pytest.mark.parametrize(
    "text",
    [
        *("> " * 2000 + "deep", "".join(" " * i + "- a\n" for i in range(100)) + "deep"),
        "[deep]: https://e.org 'a definition'",
    ],
    ids=["quotes", "lists", "definition"],
)
def test_nothing_of_a_text_gets_lost(text):
    assert "deep" in rendered(text)


def test_huge_and_crooked_texts_take_bounded_time():
    bad = ["[", "![[](", "[a](b", "```c\n(("]
    begun = time.process_time()
    for piece in bad:
        assert rendered((piece * LONGEST)[:LONGEST])
    numbers = " ".join(map(str, range(20_000)))
    assert differences(numbers, numbers[::-1]) and differences("a b " * 10**5, "b a " * 10**5)
    assert rendered("*x* " * 10**5) == raw("*x* " * 10**5)  # too long to be read as Markdown
    assert time.process_time() - begun < 60  # some 2 seconds; a blow-up takes hours


def test_differences_are_marked_word_by_word():
    left, right = differences("the quick <b> fox\nends", "the slow <b> fox jumps\nends")
    assert left == "<pre>the <mark>quick</mark> &lt;b&gt; fox\nends</pre>"
    assert right == "<pre>the <mark>slow</mark> &lt;b&gt; fox <mark>jumps</mark>\nends</pre>"
    for one, other in (("", ""), ("a", ""), ("a b\nc d", "x"), ("same", "same")):
        for text, shown in zip((one, other), differences(one, other), strict=True):
            assert html.unescape(re.sub(r"</?(mark|pre)>", "", shown)) == text


def test_long_texts_are_compared_by_lines():
    lines = [f"line {i} of a long answer" for i in range(9000)]
    left, right = differences("\n".join(lines), "\n".join([*lines[:4000], "new", *lines[4001:]]))
    assert re.findall("<mark>(.*?)</mark>", left, re.DOTALL) == ["line 4000 of a long answer\n"]
    assert re.findall("<mark>(.*?)</mark>", right, re.DOTALL) == ["new\n"]
