"""What a transfer makes of a server's headers; whole ones stand in test_kaggle.py and test_weights.py."""

import time
from email.utils import formatdate

import pytest
import requests

from xraydenoise import transfer


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


@pytest.mark.parametrize("length", [None, "many", "-1", "1, 2", "1e3", ""])
def test_a_file_of_unknown_length_is_refused(length):
    with pytest.raises(transfer.Useless, match="does not say how long"):
        transfer.place(response(200, **({} if length is None else {"Content_Length": length})), 0)


def test_a_file_that_is_longer_than_allowed_is_refused_whether_all_or_a_part_of_it_is_sent():
    for answer in (response(200, Content_Length="3000000"), response(206, Content_Range="bytes 7-2999999/3000000")):
        assert transfer.place(answer, 7, 3_000_000)[1] == 3_000_000
        with pytest.raises(transfer.Useless, match=r"would send 3\.0 MB, more than the 2 MiB allowed"):
            transfer.place(answer, 7, 2 << 20)


def test_a_server_is_given_up_once_it_has_been_slower_than_the_pace_on_average(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(transfer.time, "monotonic", lambda: now[0])
    paced = transfer.pace(before=5_000_000)
    now[0] += transfer.GRACE  # nothing has to come until then
    paced(5_000_000)
    now[0] += 99
    paced(5_000_000 + 100 * int(transfer.PACE))
    now[0] += 2
    with pytest.raises(transfer.Useless, match="sent 2000000 bytes in 701 s, slower than 20 kB/s, so it was given up"):
        paced(5_000_000 + 100 * int(transfer.PACE))


@pytest.mark.parametrize(("asked", "seconds"), [("120", 120), ("soon", 0), ("", 0), ("Sat, 21 Nov 2020 15:10:29 -0000", 0)])
def test_the_wait_that_a_server_asks_for_is_read(asked, seconds):
    assert transfer.retry_after(response(429, Retry_After=asked)) == seconds


def test_a_date_to_come_back_at_counts_from_now():
    assert 50 < transfer.retry_after(response(429, Retry_After=formatdate(time.time() + 60))) <= 60


def test_an_address_in_an_error_is_told_without_its_query():
    error = requests.ConnectionError("HTTPSConnectionPool(host='a'): url: /archive.zip?X-Goog-Signature=abc (Caused by\nx)")
    assert transfer.told(error) == "HTTPSConnectionPool(host='a'): url: /archive.zip?... (Caused by x)"
