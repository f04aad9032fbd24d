from benchmarks import photos


def test_the_parts_are_always_the_same_and_differ(tmp_path):
    for name in ("one", "other"):
        photos.write(tmp_path / name, 6)
    one, other = ([(tmp_path / name / f"{i}.jpg").read_bytes() for i in range(6)] for name in ("one", "other"))
    assert one == other
    assert len(set(one)) == 6
