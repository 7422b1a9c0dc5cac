from hypothesis import given
from hypothesis import strategies as st

from jobs.faces.windows import windows


@given(start=st.integers(0, 50), count=st.integers(0, 50), size=st.integers(1, 20))
def test_windows_cover_everything_once(start: int, count: int, size: int) -> None:
    parts = list(windows(start + count, start, size))
    places = [place for part in parts for place in range(part.start, part.stop)]
    assert places == list(range(start, start + count))
    assert all(part.stop - part.start == size for part in parts[:-1])
