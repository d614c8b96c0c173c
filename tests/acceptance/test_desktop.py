"""The report in the programs that people open it with: a real Chromium with axe, and LibreOffice. `make test-desktop`."""

import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import docx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, sync_playwright

from nlp_service.cli.main import run
from tests.small_consultation import Files, write_consultation

pytestmark = [pytest.mark.slow, pytest.mark.desktop]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a report that has every part, as page and document."""
    place = tmp_path_factory.mktemp("report")
    (place / "last").mkdir()
    files, last = write_consultation(place), write_consultation(place / "last", seed=3)
    assert run(last.arguments(place / "last.json", "--decisions", str(last.decisions))) == 0
    more = ["--decisions", str(files.decisions), "--previous", str(place / "last.json"), "--out", str(place / "r.docx")]
    assert run(files.arguments(place / "r.html", *more)) == 0
    bare: Files = files
    assert run(bare.arguments(place / "bare.html")) == 0
    return place


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert chromium is not None, "Chromium is not installed"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.mark.parametrize("name", ["r.html", "bare.html"])
@pytest.mark.parametrize("width", [1100, 400])
def test_axe_finds_nothing_wrong_with_the_page(made: Path, browser: Browser, name: str, width: int) -> None:
    page = browser.new_page(bypass_csp=True, viewport={"width": width, "height": 900})  # axe itself is a script
    page.goto((made / name).as_uri())
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.close()


def test_the_page_asks_for_nothing_and_runs_nothing(made: Path, browser: Browser) -> None:
    page = browser.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("console", lambda message: said.append(message.text))
    page.goto((made / "r.html").as_uri())
    assert [url for url in asked if not url.startswith("data:")] == [(made / "r.html").as_uri()]
    assert said == []
    widths = page.evaluate("[...document.images].map(image => image.naturalWidth)")
    assert widths
    assert min(widths) > 0
    page.close()


def test_libreoffice_opens_the_document_and_keeps_its_headings_and_pictures(made: Path, tmp_path: Path) -> None:
    office = shutil.which("soffice")
    assert office is not None, "LibreOffice is not installed"
    command = [office, f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}", "--headless", "--convert-to"]
    for kind in ("pdf", "odt"):
        done = subprocess.run(
            [*command, kind, "--outdir", tmp_path, made / "r.docx"], capture_output=True, text=True, timeout=180
        )
        assert done.returncode == 0, done.stderr
        assert "Error" not in done.stdout + done.stderr
    assert (tmp_path / "r.pdf").read_bytes().startswith(b"%PDF")
    content = zipfile.ZipFile(tmp_path / "r.odt").read("content.xml").decode("utf-8")
    document = docx.Document(str(made / "r.docx"))
    headings = [p for p in document.paragraphs if p.style.name.startswith("Heading")]
    assert content.count("<text:h ") == len(headings) > 5
    assert content.count("<draw:image ") == len(document.inline_shapes)
    assert content.count("<svg:desc>") == len(document.inline_shapes)
