import base64
import math
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

import example_records as examples
from example_records import evaluation, metric
from gentoolkit.records import Comparison
from gentoolkit.report.page import (
    Picture,
    ReportData,
    duration,
    flatten,
    number,
    plus_minus,
    report_page,
    time_bars,
)

VOID = {"meta", "img", "br", "hr", "link", "input", "source"}


class Page(HTMLParser):
    """Tags with their attributes, headings, and the text outside of the style."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.parts, self.headings = [], [], [], []
        self.feed(text)
        self.close()
        self.text = " ".join(" ".join(self.parts).split())

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag in {"h1", "h2", "h3"}:
            self.headings.append(int(tag[1]))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.parts.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "grid.png"
    Image.new("RGB", (3, 2), "red").save(path)
    return path


def full(picture: Path, word="calm"):
    """A page with everything on it, and a word in every place that takes text."""
    compared = metric(
        examples.compared(0.0277, 0.0148, 0.0204),
        examples.compared(0.02, 0.01, 0.015),
        {f"class {word}": examples.compared(0.0254, 0.0139, 0.0203), "b": examples.compared(None, 0.0157)},
        name=f"metric {word}",
        explanation=f"measures {word}",
    )
    other = examples.reference_loss(f"best {word}", 0.0491, [0.2, 0.3, 0.4], f"so {word}", 0.0221, 0.0013)
    return ReportData(
        name=f"run {word}",
        status=f"stopped {word}",
        evaluation=evaluation(
            examples.loss(0.0712, [0.25, None, 0.5], f"path {word}", other),
            [compared],
            (f"best {word}", f"what best is, {word}"),
            left_out={f"few {word}": 3},
        ),
        pictures=(Picture(picture, f"title {word}", f"alt {word}", f"caption {word}"),),
        recipe=f"name: {word}\n  key: value",
        provenance={f"key {word}": f"value {word}", "versions": {"torch": "2.13"}},
        timing={f"training {word}": 213.4},
    )


def page(tmp_path, data):
    text = report_page(data)
    return text, Page(text)


def test_nothing_is_loaded_from_anywhere(tmp_path, picture):
    text, parsed = page(tmp_path, full(picture))
    assert not {"script", "link", "iframe", "object", "embed", "base", "form", "a"} & {tag for tag, _ in parsed.tags}
    for tag, attributes in parsed.tags:
        assert not {"href", "srcset", "data", "background", "action"} & set(attributes), tag
        assert attributes.get("src", "data:").startswith("data:")
    assert "url(" not in text
    assert "@import" not in text
    assert "http://" not in text
    assert "https://" not in text
    policies = [meta["content"] for meta in parsed.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_it_is_well_formed_and_readable_without_eyes(tmp_path, picture):
    text, parsed = page(tmp_path, full(picture))
    assert text.startswith("<!DOCTYPE html>")
    assert parsed.open == []
    assert parsed.all("html") == [{"lang": "en"}]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in parsed.all("meta")
    assert parsed.headings[0] == 1
    assert parsed.headings.count(1) == 1
    assert all(b <= a + 1 for a, b in zip(parsed.headings, parsed.headings[1:], strict=False))
    assert all(image["alt"] for image in parsed.all("img"))
    assert all("scope" in cell for cell in parsed.all("th"))
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


def test_everything_is_on_the_page(tmp_path, picture):
    _, parsed = page(tmp_path, full(picture))
    for words in [
        "run calm",
        "stopped calm",
        "validation loss 0.07120 best calm 0.04910",
        "metric calm 0.0277 ± 0.0010 best calm 0.0204 ± 0.0010 floor 0.01480 measures calm",
        "title calm",
        "caption calm",
        "16 generated samples per class",
        "40 samples of all classes",
        "20 evaluations of the network",
        "class few calm (3)",
        "best calm: what best is, calm",
        "class generated best calm floor",
        "class calm 0.0254 ± 0.0010 0.0203 ± 0.0010 0.01390",
        "b not finite not finite 0.01570",
        "mean 0.0277 ± 0.0010 0.0204 ± 0.0010 0.01480 pooled 0.0200 ± 0.0010 0.0150 ± 0.0010 0.01000",
        "on the path calm path: 0.07120",
        "best calm: so calm",
        "0.0221 ± 0.0013 above it",
        "0.0 – 0.3 0.2500 0.2000 0.050",
        "0.7 – 1.0 0.5000 0.4000 0.10",
        "training calm 3 min 33 s",
        "key calm value calm",
        "versions.torch 2.13",
        "name: calm key: value",
    ]:
        assert words in parsed.text, words


def test_pictures_are_embedded_whole(tmp_path, picture):
    _, parsed = page(tmp_path, full(picture))
    (image,) = parsed.all("img")
    kind, _, content = image["src"].partition(";base64,")
    assert kind == "data:image/png"
    assert base64.b64decode(content) == picture.read_bytes()
    assert image["alt"] == "alt calm"


@pytest.mark.parametrize(
    "word", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }} & ' </pre>"]
)
def test_hostile_names_stay_text(tmp_path, picture, word):
    _, calm = page(tmp_path, full(picture))
    _, parsed = page(tmp_path, full(picture, word))
    assert [tag for tag, _ in parsed.tags] == [tag for tag, _ in calm.tags]
    assert [sorted(attributes) for _, attributes in parsed.tags] == [sorted(attributes) for _, attributes in calm.tags]
    assert parsed.all("img")[0]["alt"] == f"alt {word}"
    assert parsed.text.count(word) == calm.text.count("calm")


def test_bars_are_shares_of_the_largest(tmp_path, picture):
    _, parsed = page(tmp_path, full(picture))
    widths = [span["style"] for span in parsed.all("span") if "style" in span]
    assert widths == [f"width: {share}" for share in ("50.00%", "40.00%", "0%", "60.00%", "100.00%", "80.00%")]


def test_what_is_not_known_is_left_out(tmp_path):
    _, parsed = page(tmp_path, ReportData("early", "stopped at step 3"))
    assert parsed.headings == [1]
    assert parsed.text == "early · gentoolkit early stopped at step 3"


def test_without_a_reference_there_is_no_column(tmp_path):
    one, two = (examples.compared(*values, std=None) for values in ((0.5, 0.25), (0.125, 0.0625)))
    result = metric(examples.compared(0.3125, 0.156), one, {"0": one, "1": two}, name="m")
    data = ReportData("a", "finished", evaluation(examples.loss(None, [0.5, None]), [result]))
    _, parsed = page(tmp_path, data)
    assert "on the linear path" in parsed.text
    assert "class generated floor 0 0.5000 0.2500 1 0.1250 0.06250 mean 0.3125 ± 0.0010 0.1560" in parsed.text
    for absent in ("excess", "None", "perfect network"):
        assert absent not in parsed.text


def test_what_the_table_of_a_metric_leaves_out_is_below_it(tmp_path):
    pooled = Comparison(value=4.0, value_limit=3.25, floor=1.0, floor_limit=0.5, reference=None)
    refused = {"1": "too few", "2": "none", "3": "too few"}
    result = metric(pooled, pooled, {"0": pooled}, name="m", refused=refused)
    _, parsed = page(tmp_path, ReportData("a", "finished", evaluation(examples.loss(0.5, [0.5]), [result])))
    assert (
        "Not computed for class 1, 3: too few. Not computed for class 2: none. "
        "Extrapolated to infinitely many samples: 3.250, floor 0.5000 (pooled)."
    ) in parsed.text


def test_a_diverged_run_still_has_a_page(tmp_path):
    unknown = examples.compared(None, None)
    losses = examples.loss(None, [None, None], reference=examples.reference_loss("b", 0.1, [0.1, 0.1]))
    data = ReportData("a", "stopped", evaluation(losses, [metric(unknown, unknown, name="m")]))
    _, parsed = page(tmp_path, data)
    assert "validation loss not finite" in parsed.text
    assert "all not finite not finite" in parsed.text
    assert "not finite above it" in parsed.text
    assert parsed.all("tfoot") == []  # one group needs no mean


@pytest.mark.parametrize(
    ("value", "std", "shown"),
    [
        (0.01904, 0.00021, "0.0190 ± 0.0002"),
        (0.01904, 0.00018, "0.01904 ± 0.00018"),
        (0.707, 0.0976, "0.71 ± 0.10"),
        (17.4, 2.2, "17 ± 2"),
        (17.4, 22.0, "17 ± 22"),
        (0.5, 0.0, "0.5000"),
        (0.577666, 1.2e-16, "0.5777"),
        (0.5, None, "0.5000"),
        (None, 0.1, "not finite"),
        (math.inf, 0.1, "not finite"),
    ],
)
def test_a_number_is_shown_as_far_as_it_is_known(value, std, shown):
    assert plus_minus(value, std) == shown


def test_a_picture_that_is_gone_is_named(tmp_path):
    data = ReportData("a", "finished", pictures=(Picture(tmp_path / "gone.png", "Samples", "samples"),))
    _, parsed = page(tmp_path, data)
    assert "The picture gone.png is missing." in parsed.text
    assert parsed.all("img") == []


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"),
        (1.0, "1"),
        (12345, "12,345"),
        (0.06, "0.06000"),
        (0.061234, "0.06123"),
        (1.00004, "1.000"),
        (1234.4, "1234"),
        (-0.00012, "-0.0001200"),
        (None, "not finite"),
        (math.nan, "not finite"),
        (math.inf, "not finite"),
    ],
)
def test_numbers_have_four_digits(value, shown):
    assert number(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.42, "0.42 s"), (8.21, "8.2 s"), (9.97, "10 s"), (59.4, "59 s"), (59.7, "1 min 0 s"), (7620, "2 h 7 min")],
)
def test_durations_are_words(seconds, shown):
    assert duration(seconds) == shown


def test_nested_data_become_lines():
    values = {"a": {"b": 1, "c": {"d": None}}, "command": ["gentool", "run"], "dirty": True}
    assert flatten(values) == [("a.b", "1"), ("a.c.d", "none"), ("command", "gentool run"), ("dirty", "True")]


def test_time_is_cut_into_equal_parts():
    bars = time_bars(examples.loss(1.0, [0.1, 0.2, None, 0.4]))
    assert [(bar.start, bar.end, bar.loss, bar.reference) for bar in bars] == [
        (0.0, 0.25, 0.1, None),
        (0.25, 0.5, 0.2, None),
        (0.5, 0.75, None, None),
        (0.75, 1.0, 0.4, None),
    ]
