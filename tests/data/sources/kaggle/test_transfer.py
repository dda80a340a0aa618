"""What a transfer makes of a server's headers; whole transfers stand in sources/test_kaggle.py."""

import time
from email.utils import formatdate

import pytest
import requests

from xraydenoise.data.sources.kaggle import transfer


def response(state, **headers):
    answer = requests.Response()
    answer.status_code = state
    answer.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return answer


def test_a_part_is_placed_where_it_was_asked_for():
    assert transfer.place(response(206, Content_Range="bytes 700-999/1000"), 700) == (700, 1000)


def test_a_whole_answer_to_a_question_for_a_part_starts_anew():
    assert transfer.place(response(200, Content_Length="1000"), 700) == (0, 1000)


@pytest.mark.parametrize("headers", [{"Content_Range": "bytes 699-999/1000"}, {"Content_Range": "bytes 700-999/*"}, {}])
def test_another_part_than_the_one_asked_for_is_refused(headers):
    with pytest.raises(requests.RequestException, match="asked for the bytes from 700 on"):
        transfer.place(response(206, **headers), 700)


def test_an_archive_of_unknown_length_is_refused():
    with pytest.raises(requests.RequestException, match="does not say how long"):
        transfer.place(response(200), 0)


@pytest.mark.parametrize(("asked", "seconds"), [("120", 120), ("soon", 0), ("", 0), ("Sat, 21 Nov 2020 15:10:29 -0000", 0)])
def test_the_wait_that_a_server_asks_for_is_read(asked, seconds):
    assert transfer.retry_after(response(429, Retry_After=asked)) == seconds


def test_a_date_to_come_back_at_counts_from_now():
    assert 50 < transfer.retry_after(response(429, Retry_After=formatdate(time.time() + 60))) <= 60


def test_an_address_in_an_error_is_told_without_its_query():
    error = requests.ConnectionError("HTTPSConnectionPool(host='a'): url: /archive.zip?X-Goog-Signature=abc (Caused by\nx)")
    assert transfer.told(error) == "HTTPSConnectionPool(host='a'): url: /archive.zip?... (Caused by x)"
