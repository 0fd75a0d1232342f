"""`sijill link` says at once what it could not write, and leaves whole files or none."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from linkage.model import LinkageError
from sijill.commands import link as command

SPEC = "key: k\nnational_number: n\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "spec.yaml").write_text(SPEC, encoding="utf-8")
    (tmp_path / "a.csv").write_text("k,n\n1,12345678\n", encoding="utf-8")
    (tmp_path / "folder.csv").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("out", "clusters", "seen"),
    [
        ("o.xlsx", None, r"ends in '\.xlsx'"),
        ("a.csv", None, "is a file that this run reads"),
        ("folder.csv", None, "is a folder"),
        ("a.csv/o.csv", None, "cannot be written"),
        ("o.csv", "o.csv", "writes something else to"),
    ],
)
def test_a_result_that_cannot_be_written_is_told_before_the_work(
    out: str, clusters: str | None, seen: str, folder: Path
) -> None:
    with pytest.raises(LinkageError, match=seen):
        command.link(
            spec=folder / "spec.yaml",
            left=folder / "a.csv",
            out=folder / out,
            clusters=folder / clusters if clusters else None,
        )
    assert (folder / "a.csv").read_text(encoding="utf-8").startswith("k,n\n")


def test_a_truth_that_cannot_be_read_is_told_before_the_work(folder: Path) -> None:
    with pytest.raises(LinkageError, match="lacks the columns key, person"):
        command.link(
            spec=folder / "spec.yaml", left=folder / "a.csv", out=folder / "o.csv", truth=folder / "a.csv"
        )
    assert not (folder / "o.csv").exists()


def test_a_result_is_written_whole_or_not_at_all(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.table({"k": ["1"]})
    target = folder / "it's.parquet"
    command._write(table, target)
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("no space")))
    with pytest.raises(LinkageError, match="cannot be written"):
        command._write(pa.table({"k": ["2", "3"]}), target)
    assert duckdb.execute("select k from read_parquet(?)", [str(target)]).fetchall() == [("1",)]
    assert [file.name for file in folder.iterdir() if file.name.endswith(".part")] == []
