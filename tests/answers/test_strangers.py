"""Text and headers of strangers: made harmless, bounded, read as they are meant."""

import ssl
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from llmsel._base.errors import InputError
from llmsel._base.terminal import encodable, plain, short
from llmsel.answers.prices import Prices
from llmsel.answers.server import retry_after
from llmsel.answers.wire import _plainer


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]52;c;aGFja2Vk\x07copied", "copied"),
        ("\x1b]0;title\x1b\\x", "x"),
        ("\x1b]8;;http://evil\x07link\x1b]8;;\x07", "link"),
        ("\x1b[2J\x1b[1;31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x9d52;c;aGk=\x9cx", "x"),
        ("\x1bPq payload\x1b\\x", "x"),
        ("\x1bcx", "x"),
        ("50 %\rno, 100 %", "50 %no, 100 %"),
        ("a\u202ebc\u2066d", "abcd"),
        ("never ended \x1b]52;c;aGk=", "never ended 52;c;aGk="),
        ("tab\tand\nlines\x00", "tab\tand\nlines"),
        ("naïve 😀 שלום", "naïve 😀 שלום"),
        ("half \ud83d", "half \ufffd"),
    ],
)
def test_what_a_terminal_would_obey_is_stripped(text, shown):
    assert plain(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "\x1b]" * 10**5,
        "\x1b[" + "0" * 10**6,
        "\x9d" * 10**6,
        "\x1b]" + "\x9d" * 10**6,
        "\x1b " * 10**5,
    ],
)
def test_stripping_takes_linear_time(text):
    start = time.monotonic()
    plain(text)
    assert time.monotonic() - start < 2


def test_text_in_a_sentence_is_short():
    assert short("x" * 500) == "x" * 80 + "..." and short(["a\n b"], 20) == "['a\\n b']"
    assert encodable("as it is é") == "as it is é"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "30"}, 30),
        ({"Retry-After": "0.5"}, 0.5),
        ({"Retry-After": "-3"}, 0),
        ({"Retry-After-Ms": "1500", "Retry-After": "9"}, 1.5),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "Wed, 99 Nov 2026 25:00:00 GMT"}, None),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({}, None),
    ],
)
def test_retry_after_is_read(headers, seconds):
    assert retry_after(httpx.Headers(headers)) == seconds


def test_retry_after_may_be_a_date():
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert retry_after(httpx.Headers({"Retry-After": date})) == pytest.approx(90, abs=3)


def test_a_certificate_that_is_not_trusted_is_told_and_not_tried_again():
    cause = ssl.SSLCertVerificationError(1, "certificate verify failed")
    cause.verify_message = "self-signed certificate"
    error = httpx.ConnectError("no")
    error.__cause__ = cause
    told = _plainer(error)
    assert str(told) == "its certificate is not trusted: self-signed certificate" and told.lasting
    assert _plainer(httpx.ProxyError("no way")).lasting
    assert not _plainer(httpx.ReadError("")).lasting


@pytest.mark.parametrize("price", [-1.0, float("nan"), float("inf")])
def test_a_price_is_a_number_from_zero_up(price):
    with pytest.raises(InputError, match="is no price"):
        Prices(1.0, price)
