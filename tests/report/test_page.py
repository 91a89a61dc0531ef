"""The page in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from report.conftest import CLASSES, NAMES

SECTIONS = ["summary", "comparison", "plan", "learning", "classes", "calibration", "attention", "disagreements"]


class Opened:
    """A page, and what went on while it was opened."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.events: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.events.append(message.text))
        self.page.on("pageerror", lambda error: self.events.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.events.append("dialog"), dialog.dismiss()))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())


@pytest.fixture(scope="module")
def opened(browser: Any, report: Path) -> Iterator[Opened]:
    opened = Opened(browser, report, viewport={"width": 1280, "height": 900})
    yield opened
    opened.context.close()


def test_it_opens_without_errors_and_asks_for_nothing(opened: Opened, report: Path) -> None:
    assert opened.events == []
    assert [url for url in opened.requests if not url.startswith("data:")] == [report.as_uri()]
    assert report.stat().st_size < 3e6
    policy = opened.page.get_attribute("meta[http-equiv]", "content")
    assert policy.startswith("default-src 'none'; img-src data:;") and "unsafe" not in policy


def test_every_image_loads_and_says_what_it_shows(opened: Opened) -> None:
    images = opened.page.evaluate("[...document.images].map(i => [i.naturalWidth, i.alt, i.src.slice(0, 5)])")
    assert len(images) > 30
    assert all(width > 0 and alt and source == "data:" for width, alt, source in images)


def test_names_come_out_as_text(opened: Opened) -> None:
    page = opened.page
    assert page.locator("script").count() == 1
    assert page.locator("img[onerror], img[src=x], b").count() == 0
    text = page.locator("main").text_content()
    assert all(name in text for name in CLASSES)
    assert NAMES[3] in text and "49" not in page.locator("#disagreements").text_content()


def test_headings_landmarks_and_tables(opened: Opened) -> None:
    page = opened.page
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3, h4')].map(h => +h.tagName[1])")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:]))
    assert [page.locator(name).count() for name in ("header", "nav", "main", "footer")] == [1, 1, 1, 1]
    ids = page.evaluate("[...document.querySelectorAll('main > section')].map(s => s.id)")
    assert ids == [*SECTIONS, "reproduce"]
    for link in page.locator("nav a").all():
        assert page.locator(link.get_attribute("href")).count() == 1
    assert page.evaluate("[...document.querySelectorAll('th')].every(th => th.scope)")
    assert page.locator("html").get_attribute("lang") == "en"


def test_tabs_by_click_and_by_keyboard(opened: Opened) -> None:
    page = opened.page
    tabs = page.locator("#learning [role=tab]")
    panels = page.locator("#learning [role=tabpanel]")
    names = ["Loss", "Each term", "Gradients", "Direction", "Learning rate"]
    last = len(names) - 1
    assert tabs.all_inner_texts() == names
    assert [panel.is_visible() for panel in panels.all()] == [number == 0 for number in range(len(names))]
    tabs.nth(last - 1).click()
    assert [panel.is_visible() for panel in panels.all()] == [number == last - 1 for number in range(len(names))]
    for key, chosen in (("ArrowRight", last), ("ArrowRight", 0), ("ArrowLeft", last), ("Home", 0), ("End", last)):
        page.keyboard.press(key)
        assert [panel.is_visible() for panel in panels.all()] == [number == chosen for number in range(len(names))], key
        assert page.evaluate("document.activeElement.textContent") == names[chosen]
        assert tabs.nth(chosen).get_attribute("aria-selected") == "true"
    # One stop on the way of the tab key, and the panel is named by its tab.
    assert tabs.evaluate_all("tabs => tabs.filter(tab => tab.tabIndex === 0).length") == 1
    assert panels.nth(last).get_attribute("aria-labelledby") == tabs.nth(last).get_attribute("id")


def test_details_open_by_keyboard(opened: Opened) -> None:
    details = opened.page.locator("#classes details")
    assert not details.locator("table").is_visible()
    details.locator("summary").focus()
    opened.page.keyboard.press("Enter")
    assert details.locator("table").is_visible()
    assert details.locator("tbody tr").count() == len(CLASSES)


@pytest.mark.chaos
def test_nothing_is_wider_than_a_phone(browser: Any, report: Path) -> None:
    phone = Opened(browser, report, viewport={"width": 360, "height": 740}, is_mobile=True)
    phone.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    for tab in phone.page.locator("[role=tab]").all():
        tab.click()
        assert phone.page.evaluate("document.documentElement.scrollWidth") == 360
    phone.context.close()


@pytest.mark.chaos
def test_figures_follow_the_dark(browser: Any, report: Path) -> None:
    """Contrast of text on what it stands on, of the page and within a figure."""
    shades = {}
    for scheme in ("light", "dark"):
        seen = Opened(browser, report, color_scheme=scheme, viewport={"width": 1280, "height": 900})
        for selector in ("p", "figcaption", "nav a", "summary", "td", "[role=tab]"):
            ink, ground = seen.page.locator(f"main {selector}, {selector}").first.evaluate(COLOURS)
            assert contrast(ink, ground) >= 4.5, (scheme, selector, ink, ground)
        shades[scheme] = seen.page.locator("#comparison img").first.evaluate(MEAN_OF_IMAGE)
        seen.context.close()
    # The letters: dark on light paper, light on dark.
    assert shades["light"] < 120 < shades["dark"]


COLOURS = """element => {
  let ground = element;
  while (getComputedStyle(ground).backgroundColor === 'rgba(0, 0, 0, 0)') ground = ground.parentElement;
  return [getComputedStyle(element).color, getComputedStyle(ground).backgroundColor];
}"""
MEAN_OF_IMAGE = """async image => {
  await image.decode();
  const canvas = new OffscreenCanvas(40, 20), pen = canvas.getContext('2d');
  pen.drawImage(image, 0, 0, image.naturalWidth * 0.25, image.naturalHeight, 0, 0, 40, 20);
  let sum = 0, weight = 0;
  const pixels = pen.getImageData(0, 0, 40, 20).data;
  for (let i = 0; i < pixels.length; i += 4) { sum += pixels[i + 1] * pixels[i + 3]; weight += pixels[i + 3]; }
  return sum / weight;
}"""


def contrast(one: str, other: str) -> float:
    """The contrast of WCAG 2 between two colours as ``rgb(r, g, b)``."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    parts = [float(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear))


@pytest.mark.chaos
def test_without_script_and_on_paper_all_is_seen(browser: Any, report: Path) -> None:
    plain = Opened(browser, report, java_script_enabled=False)
    assert plain.page.locator(".tab h3").first.is_visible() and plain.page.locator("[role=tab]").count() == 0
    assert all(panel.is_visible() for panel in plain.page.locator(".tab").all())
    plain.context.close()
    paper = Opened(browser, report)
    paper.page.emulate_media(media="print")
    assert all(panel.is_visible() for panel in paper.page.locator(".tab").all())
    assert not paper.page.locator("nav").is_visible()
    paper.context.close()
