"""What `--plot` writes: valid files, with their fonts, the command and the version; the same bytes each time."""

import os
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pgcheck import __version__
from tests.conftest import Run
from tests.report.plots.svg import Drawn

pytestmark = pytest.mark.plot

ODD = """
name: "$x_1$ <b>&amp; 日本 🚀"
horizon: 2
states: ["$s_0$", "<script>alert(1)</script>", "状態 🏁 with a name that is far too long to be shown"]
actions: ["$\\\\frac$", "שלום"]
start: "$s_0$"
terminal: ["状態 🏁 with a name that is far too long to be shown"]
transitions:
  "$s_0$": {"$\\\\frac$": "<script>alert(1)</script>", "שלום": "$s_0$"}
  "<script>alert(1)</script>":
    "$\\\\frac$": {to: "状態 🏁 with a name that is far too long to be shown", reward: 2}
    "שלום": {to: "状態 🏁 with a name that is far too long to be shown", reward: 1}
"""
COMMANDS = (
    ("exact",), ("sample", "--top", "3"), ("converge", "--n", "10,100"), ("compare",), ("plan",),
    ("verify", "dropped-gamma"),
)  # fmt: skip


def pixels(png: bytes) -> tuple[int, int, dict[str, str]]:
    """Width, height and texts of a PNG file, read by the format's own rules: https://www.w3.org/TR/png/ ."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    place, texts, size = 8, dict[str, str](), (0, 0)
    while place < len(png):
        (length,), kind = struct.unpack(">I", png[place : place + 4]), png[place + 4 : place + 8]
        data = png[place + 8 : place + 8 + length]
        assert struct.unpack(">I", png[place + 8 + length : place + 12 + length])[0] == zlib.crc32(kind + data)
        if kind == b"IHDR":
            size = struct.unpack(">II", data[:8])
        if kind == b"tEXt":
            name, _, text = data.partition(b"\0")
            texts[name.decode()] = text.decode("latin-1")
        place += 12 + length
    return (*size, texts)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: words[0])
def test_every_picture_is_an_svg_with_its_own_font(launch: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "odd.yaml").write_text(ODD, encoding="utf-8")
    done = launch(*command, "odd.yaml", "--plot", "a.svg", "--quiet")
    assert done.returncode in (0, 1)
    assert done.stderr == ""
    drawn = Drawn((tmp_path / "a.svg").read_bytes())
    used = {character for text in drawn.texts for character in text} - {" "}
    missing = used - drawn.font()
    assert missing <= set("日本🚀状態🏁")  # which DejaVu lacks
    assert used - missing > set("abc")
    assert not list(drawn.root.iter("{http://www.w3.org/2000/svg}script"))
    assert drawn.metadata("description") == f"pgcheck {' '.join(command)} odd.yaml --plot a.svg --quiet"
    assert f"pgcheck {__version__}" in drawn.metadata("creator")
    assert "date" not in {element.tag.rpartition("}")[2] for element in drawn.root.iter()}


def test_a_font_without_a_character_would_be_seen(launch: Run, tmp_path: Path) -> None:
    launch("exact", "--plot", "a.svg")
    drawn = Drawn((tmp_path / "a.svg").read_bytes())
    assert "Ω" not in drawn.font()
    assert "∇" in drawn.font()


def test_a_png_has_its_size_and_metadata(launch: Run, tmp_path: Path) -> None:
    launch("exact", "two_state", "--plot", "a.png")
    width, height, texts = pixels((tmp_path / "a.png").read_bytes())
    assert width == 1024
    assert 300 < height < 600
    assert texts["Description"] == "pgcheck exact two_state --plot a.png"
    assert texts["Software"] == f"pgcheck {__version__}"
    assert texts["Title"] == "the gradient of two-state"


@pytest.mark.parametrize("model", ["two_state", "odd.yaml"])
def test_a_pdf_has_true_type_fonts_and_metadata(launch: Run, tmp_path: Path, model: str) -> None:
    (tmp_path / "odd.yaml").write_text(ODD, encoding="utf-8")
    assert launch("exact", model, "--plot", "a.pdf").stderr == ""
    pdf = (tmp_path / "a.pdf").read_bytes()
    assert pdf.startswith(b"%PDF-")
    assert pdf.rstrip().endswith(b"%%EOF")
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    assert f"/Subject (pgcheck exact {model} --plot a.pdf)".encode() in pdf
    assert f"/Creator (pgcheck {__version__})".encode() in pdf
    assert b"CreationDate" not in pdf


@pytest.mark.parametrize("form", ["svg", "png", "pdf"])
def test_the_same_command_writes_the_same_bytes(launch: Run, tmp_path: Path, form: str) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "matplotlibrc").write_text(
        "backend: nonsense\nfont.family: serif\nsvg.fonttype: path\nno.such.key: 1\nsavefig.bbox: tight\n"
    )
    surroundings: list[dict[str, str]] = [
        {}, {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "SOURCE_DATE_EPOCH": "1"},
        {"MPLCONFIGDIR": "config", "MPLBACKEND": "nonsense"}, {"MPLCONFIGDIR": "/proc/none", "LC_ALL": "C"},
        {"HOME": "/nonexistent"},
    ]  # fmt: skip
    files = set()
    for env in surroundings:
        done = launch("compare", "--n", "100", "--plot", f"a.{form}", env=env)
        assert (done.returncode, done.stderr) == (0, "")
        files.add((tmp_path / f"a.{form}").read_bytes())
    assert len(files) == 1
    launch("compare", "--n", "101", "--plot", f"a.{form}")
    assert (tmp_path / f"a.{form}").read_bytes() not in files


def test_nothing_is_left_of_a_picture_that_cannot_be_written(run: Run, tmp_path: Path) -> None:
    done = run("exact", "--plot", "none/a.svg")
    assert done.returncode == 74
    assert "none/a.svg: cannot be written" in done.stderr
    assert done.stdout == ""
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["exact", "--plot", "a.jpg"], "expected a file that ends in .svg, .png or .pdf"),
        (["exact", "--plot", "a"], "expected a file that ends in .svg, .png or .pdf"),
        (["exact", "--plot", "a.svg", "-o", "./a.svg"], "--output writes to the same file"),
        (["verify", "reinforce", "gae", "--plot", "a.svg"], "one estimator"),
        (["verify", "--config", "checks.toml", "--plot", "a.svg"], "--plot is not for a list of checks"),
    ],
)
def test_a_picture_that_cannot_be_drawn_is_refused_first(
    run: Run, tmp_path: Path, words: list[str], hint: str
) -> None:
    (tmp_path / "checks.toml").write_text('[[check]]\nestimator = "reinforce"\n')
    done = run(*words)
    assert done.returncode == 2
    assert hint in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "a.svg").exists()


@pytest.mark.parametrize("words", ["exact", "verify dropped-gamma two_state", "show", "compare --n 10"])
def test_a_picture_is_kept_where_the_reader_of_the_table_goes_away(tmp_path: Path, words: str) -> None:
    command = f"{sys.executable} -m pgcheck {words} --plot x.svg | head -c 1"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (len(done.stdout), done.stderr) == (1, "")
    ElementTree.fromstring((tmp_path / "x.svg").read_text())


def test_an_error_leaves_an_old_picture_as_it_was(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_text("old")
    assert run("exact", "no_such_model", "--plot", "a.svg").returncode != 0
    assert (tmp_path / "a.svg").read_text() == "old"
    assert run("exact", "--plot", "a.svg").returncode == 0
    assert (tmp_path / "a.svg").read_text() != "old"


def test_an_inline_picture_has_ids_of_its_own(two_state: tuple[object, object]) -> None:
    import pgcheck
    from pgcheck.exact.table import gradient_table
    from pgcheck.report.plots.gradient import gradient_picture
    from pgcheck.report.plots.picture import inline_svg

    models = pgcheck.load("two_state"), pgcheck.load("bandit")
    first, second = (inline_svg(gradient_picture(gradient_table(*model))) for model in models)
    assert not set(Drawn(first).ids) & set(Drawn(second).ids)
    assert first == inline_svg(gradient_picture(gradient_table(*models[0])))
    for text in (first, second):
        ids = set(Drawn(text).ids)
        wanted = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
        assert wanted
        assert wanted <= ids
    with pytest.raises(ElementTree.ParseError):
        Drawn(first[:-9])
