"""Files at URLs that come again: fetched, kept, asked for again, shared."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from sensorium.serving.media.budget import BUDGET, Budget, MediaBudgetError, RequestLimits
from sensorium.serving.media.downloads import Downloads, fresh_seconds
from sensorium.serving.media.fetch import FetchPolicy, MediaFetchError
from tests.serving.media.test_fetch import OPEN, site

CHANGED = {"Expires": "Sun, 06 Nov 1994 08:49:37 GMT", "Date": "Sun, 06 Nov 1994 08:48:37 GMT"}


class Origin:
    """A server that counts requests, answers 304 where it should, and can be slow."""

    def __init__(self, *head: str, body: bytes = b"picture", status: str = "200 OK") -> None:
        self.head, self.body, self.status = list(head), body, status
        self.asked: Counter[str] = Counter()
        self.seconds = 0.0

    async def __call__(self, request: str, writer: asyncio.StreamWriter) -> None:
        path = request.split()[1]
        self.asked[path] += 1
        await asyncio.sleep(self.seconds)
        tags = [line.partition(": ")[2] for line in self.head if line.startswith("ETag")]
        if tags and f"if-none-match: {tags[0]}".lower() in request.lower():
            self.asked["unchanged"] += 1
            writer.write(f"HTTP/1.1 304 Not Modified\r\nETag: {tags[0]}\r\n\r\n".encode())
        else:
            lines = [f"HTTP/1.1 {self.status}", f"Content-Length: {len(self.body)}", *self.head]
            writer.write("\r\n".join([*lines, "", ""]).encode() + self.body)
        await writer.drain()


async def twice(origin: Origin, downloads: Downloads, policy: FetchPolicy = OPEN) -> int:
    """How many of two requests, one after the other, reached the server."""
    async with site(origin) as port:
        for _ in range(2):
            content = await downloads.get(f"http://127.0.0.1:{port}/a", policy)
            assert content == origin.body
    return origin.asked["/a"]


class TestKept:
    @pytest.mark.parametrize("control", ["max-age=60", "public, S-MaxAge=60", 'max-age="60"'])
    async def test_a_fresh_file_is_used_again(self, control: str) -> None:
        downloads = Downloads(1000)
        assert await twice(Origin(f"Cache-Control: {control}"), downloads) == 1
        assert downloads.counts == {"fetched": 1, "fresh": 1, "unchanged": 0, "shared": 0}

    @pytest.mark.parametrize(
        "head",
        [
            (),
            ("Cache-Control: max-age=0",),
            ("Cache-Control: max-age=60, no-store", "ETag: x"),
            ("Cache-Control: private, max-age=60",),
            ("Cache-Control: max-age=60", "Vary: *"),
            ("Cache-Control: max-age=60", "Age: 61"),
            ("Cache-Control: max-age=soon",),
            ("Expires: 0",),
        ],
    )
    async def test_what_may_not_be_kept_is_fetched_anew(self, head: tuple[str, ...]) -> None:
        downloads = Downloads(1000)
        assert await twice(Origin(*head), downloads) == 2
        assert downloads.counts["fetched"] == 2
        assert downloads.bytes == 0

    async def test_a_file_with_a_tag_is_asked_for_with_it(self) -> None:
        origin, downloads = Origin('ETag: "v1"'), Downloads(1000)
        assert await twice(origin, downloads) == 2
        assert origin.asked["unchanged"] == 1
        assert downloads.counts["unchanged"] == 1

    async def test_a_changed_file_replaces_the_old_one(self) -> None:
        origin, downloads = Origin('ETag: "v1"'), Downloads(1000)
        async with site(origin) as port:
            url = f"http://127.0.0.1:{port}/a"
            await downloads.get(url, OPEN)
            origin.head, origin.body = ['ETag: "v2"'], b"another one"
            assert await downloads.get(url, OPEN) == b"another one"
        assert downloads.bytes == len(b"another one")

    async def test_the_bound_holds(self) -> None:
        origin, downloads = Origin("Cache-Control: max-age=60", body=b"x" * 400), Downloads(1000)
        async with site(origin) as port:
            for name in "abcde":
                await downloads.get(f"http://127.0.0.1:{port}/{name}", OPEN)
        assert downloads.bytes == 800

    async def test_another_policy_does_not_get_it(self) -> None:
        origin, downloads = Origin("Cache-Control: max-age=60"), Downloads(1000)
        async with site(origin) as port:
            url = f"http://127.0.0.1:{port}/a"
            await downloads.get(url, OPEN)
            with pytest.raises(MediaFetchError, match="loopback"):
                await downloads.get(url, FetchPolicy(ports=frozenset({port})))

    async def test_a_redirect_is_walked_again(self) -> None:
        goal = Origin("Cache-Control: max-age=60", 'ETag: "v1"')
        async with site(goal) as port:
            away = Origin(f"Location: http://127.0.0.1:{port}/a", status="302 Found")
            downloads = Downloads(1000)
            async with site(away) as other:
                for _ in range(2):
                    found = await downloads.get(f"http://127.0.0.1:{other}/a", OPEN)
                    assert found == goal.body
        assert (away.asked["/a"], goal.asked["/a"], goal.asked["unchanged"]) == (2, 2, 1)

    def test_freshness_by_dates(self) -> None:
        assert fresh_seconds({name.lower(): text for name, text in CHANGED.items()}) == 60
        assert fresh_seconds({"cache-control": "max-age=99999999"}) == 24 * 3600


class TestTogether:
    async def test_several_share_one_fetching(self) -> None:
        origin, downloads = Origin(), Downloads(1000)
        origin.seconds = 0.1
        async with site(origin) as port:
            url = f"http://127.0.0.1:{port}/a"
            found = await asyncio.gather(*(downloads.get(url, OPEN) for _ in range(5)))
        assert origin.asked["/a"] == 1
        assert found == [origin.body] * 5
        assert downloads.counts == {"fetched": 1, "fresh": 0, "unchanged": 0, "shared": 4}

    async def test_everybody_pays_and_who_cannot_does_not_hurt_others(self) -> None:
        origin, downloads = Origin(), Downloads(1000)
        origin.seconds = 0.05

        async def one(most: int) -> object:
            budget = Budget(RequestLimits(bytes=most))
            BUDGET.set(budget)
            await downloads.get(url, OPEN)
            return budget.spent["bytes"]

        async with site(origin) as port:
            url = f"http://127.0.0.1:{port}/a"
            poor, *others = await asyncio.gather(one(3), one(100), one(100), return_exceptions=True)
        assert isinstance(poor, MediaBudgetError)
        assert others == [len(origin.body)] * 2
        assert origin.asked["/a"] == 2

    async def test_a_failure_is_not_kept(self) -> None:
        origin, downloads = Origin(status="503 Busy"), Downloads(1000)
        async with site(origin) as port:
            url = f"http://127.0.0.1:{port}/a"
            with pytest.raises(MediaFetchError, match="503"):
                await downloads.get(url, OPEN)
            origin.status = "200 OK"
            assert await downloads.get(url, OPEN) == origin.body
